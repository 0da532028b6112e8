/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * surroundings.c - environment, working directory, locale and umask: compare, copy, take on (see surroundings.h).
 *
 * The environment is read as getenv reads it: a program that changes it in one thread while another one makes a call
 * has the race that it has with getenv.
 */
#include "backends/surroundings.h"

#include "backends/inner_threads.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/variables.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UMASK_USUAL = 022 };

/* ------------------------------------------------------------------- compare */

bool loom_surroundings_have_environment(const char *environment, size_t nbytes)
{
    const char *at = environment, *end = environment + nbytes;
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        if (at == end || strcmp(at, *variable) != 0) return false;
        at += strlen(at) + 1;
    }
    return at == end;
}

static const char *locale_now(void)
{
    const char *locale = setlocale(LC_ALL, NULL);
    return locale != NULL ? locale : "C";
}

/* How many bytes the variables from k on take that lie one behind the other, as the kernel has put them, before the
 * last of them; *k_out is the last. */
static size_t measure_run(const struct loom_surroundings *surroundings, size_t k, size_t *k_out)
{
    const size_t *steps = surroundings->steps, end = surroundings->n_variables - 1;
    char *const *variables = environ;
    const char *first = variables[k], *next = first + steps[k];
    for (; k < end && variables[k + 1] == next; next += steps[k]) k++;
    *k_out = k;
    return (size_t)(next - first) - steps[k];
}

/* Those that lie in a row are compared in one go: all of them, mostly, and in a stream for each call. */
static bool has_environment(const struct loom_surroundings *surroundings)
{
    const char *at = surroundings->environment;
    for (size_t k = 0, last; k < surroundings->n_variables; k = last + 1) {
        const char *variable = environ != NULL ? environ[k] : NULL;
        if (variable == NULL) return false;
        size_t nbytes = measure_run(surroundings, k, &last);
        if (memcmp(at, variable, nbytes) != 0 || strcmp(at + nbytes, variable + nbytes) != 0) return false;
        at += nbytes + surroundings->steps[last];
    }
    return environ == NULL || environ[surroundings->n_variables] == NULL;
}

bool loom_surroundings_hold(const struct loom_surroundings *surroundings)
{
    struct loom_directory_identity here;
    (void)loom_directory_identify(&here);
    return loom_directory_is_same(&here, loom_directory_identity_of(surroundings->directory)) &&
           has_environment(surroundings) && strcmp(surroundings->locale, locale_now()) == 0;
}

/* ---------------------------------------------------------------------- read */

char *loom_surroundings_copy_environment(size_t *nbytes_out)
{
    size_t nbytes = 0;
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) nbytes += strlen(*variable) + 1;
    char *copy = loom_memory_zeroed(nbytes + 1, 1), *at = copy;
    for (char **variable = environ; copy != NULL && variable != NULL && *variable != NULL; variable++)
        at = stpcpy(at, *variable) + 1;
    *nbytes_out = nbytes;
    return copy;
}

static uint32_t read_umask(void)
{
    char text[4096];
    unsigned mask = UMASK_USUAL;
    if (loom_file_read_text("/proc/self/status", text, sizeof text) <= 0) return mask;
    const char *line = strstr(text, "\nUmask:");
    if (line != NULL) (void)sscanf(line, "\nUmask: %o", &mask);
    return mask;
}

static void destroy(struct loom_surroundings *surroundings)
{
    free(surroundings->environment);
    free(surroundings->steps);
    free(surroundings->locale);
    loom_directory_close(surroundings->directory);
    free(surroundings);
}

static bool measure(struct loom_surroundings *surroundings)
{
    const char *at = surroundings->environment, *end = at + surroundings->environment_nbytes;
    size_t count = 0;
    if (at == NULL) return false;
    for (const char *text = at; text < end; text += strlen(text) + 1) count++;
    surroundings->steps = loom_memory_zeroed(count + 1, sizeof *surroundings->steps);
    if (surroundings->steps == NULL) return false;
    for (; at < end; at += surroundings->steps[surroundings->n_variables++])
        surroundings->steps[surroundings->n_variables] = strlen(at) + 1;
    return true;
}

static parloom_status refuse_memory(parloom_error *error)
{
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for a copy of the environment");
}

parloom_status loom_surroundings_read(struct loom_surroundings **surroundings_out, parloom_error *error)
{
    struct loom_surroundings *read = loom_memory_zeroed(1, sizeof *read);
    if (read == NULL) return refuse_memory(error);
    read->holders = 1;
    read->umask = read_umask();
    read->environment = loom_surroundings_copy_environment(&read->environment_nbytes);
    read->locale = loom_memory_text(locale_now());
    if (measure(read) && read->locale != NULL) read->directory = loom_directory_open(error);
    if (read->directory == NULL) {
        destroy(read);
        return refuse_memory(error);
    }
    *surroundings_out = read;
    return PARLOOM_OK;
}

void loom_surroundings_let_go(struct loom_surroundings *surroundings)
{
    if (--surroundings->holders == 0) destroy(surroundings);
}

/* --------------------------------------------------------------------- apply */

static const char *find(const char *environment, size_t nbytes, const char *name, size_t length)
{
    for (const char *at = environment; at < environment + nbytes; at += strlen(at) + 1)
        if (strncmp(at, name, length) == 0 && at[length] == '=') return at;
    return NULL;
}

/* The name of a variable, in a block of its own; NULL: no memory, or it has none. */
static char *name_of(const char *variable)
{
    size_t length = strcspn(variable, "=");
    char *name = length > 0 && variable[length] == '=' ? loom_memory_zeroed(length + 1, 1) : NULL;
    if (name != NULL) memcpy(name, variable, length);
    return name;
}

static const char *own; /* variables of this worker process, or NULL; set before its first task */

static bool set_own(void)
{
    struct loom_variable variable;
    bool is_set = true;
    for (const char *at = own; is_set && loom_variables_next(&at, &variable);) {
        char *name = strndup(variable.name, variable.name_nbytes);
        char *value = strndup(variable.value, variable.value_nbytes);
        is_set = name != NULL && value != NULL && setenv(name, value, 1) == 0;
        free(name);
        free(value);
    }
    return is_set;
}

bool loom_surroundings_own(const char *variables)
{
    own = variables;
    return set_own();
}

/* Removes what the program has not. unsetenv moves those behind it one place forward. */
static void remove_others(const char *environment, size_t nbytes)
{
    for (size_t k = 0; environ != NULL && environ[k] != NULL;) {
        const char *variable = environ[k];
        char *name = name_of(variable);
        bool is_kept = name == NULL || find(environment, nbytes, name, strlen(name)) != NULL ||
                       loom_variables_name(own, name, strlen(name));
        bool is_removed = !is_kept && unsetenv(name) == 0;
        free(name);
        if (!is_removed) k++;
    }
}

/* Variable by variable: what libraries remember of getenv stays where it is unless it changed. Of a name that stands
 * there twice the first counts, as for getenv. */
static bool set_environment(const char *environment, size_t nbytes)
{
    if (loom_surroundings_have_environment(environment, nbytes)) return true;
    loom_inner_threads_forget(); /* its variables are not the program's */
    remove_others(environment, nbytes);
    for (const char *at = environment; at < environment + nbytes; at += strlen(at) + 1) {
        size_t length = strcspn(at, "=");
        if (length == 0 || at[length] != '=' || find(environment, nbytes, at, length) != at) continue;
        if (loom_variables_name(own, at, length)) continue;
        char *name = name_of(at);
        const char *has = name != NULL ? getenv(name) : NULL;
        bool is_set = name != NULL &&
                      ((has != NULL && strcmp(has, at + length + 1) == 0) || setenv(name, at + length + 1, 1) == 0);
        free(name);
        if (!is_set) return false;
    }
    return set_own(); /* where a task has changed them */
}

static const char *text_at(uint64_t address)
{
    return (const char *)(uintptr_t)address;
}

parloom_status loom_surroundings_apply(const struct loom_surroundings_shared *shared, loom_segment_fetch fetch,
                                       void *fetch_state, parloom_error *error)
{
    const char *locale = text_at(shared->locale);
    if (!set_environment(text_at(shared->environment), (size_t)shared->environment_nbytes))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory in a worker for the program's environment");
    /* After the environment: it says where locales are found. */
    if (strcmp(locale, locale_now()) != 0 && setlocale(LC_ALL, locale) == NULL)
        return loom_status_fail(error, PARLOOM_ERR_IO, 0, "a worker cannot set the locale of the program, %s", locale);
    (void)umask((mode_t)shared->umask);
    return loom_directory_enter(&shared->directory, shared->directory_number, text_at(shared->path), fetch, fetch_state,
                                error);
}

/* ---------------------------------------------------------------------- marks */

/* Where its variables are, not what they say: setenv and putenv move them, and this is looked at after each call (20
 * ns; to compare what they say takes 350). */
struct loom_surroundings_mark {
    char **environment; /* where environ pointed to */
    char **variables;   /* a copy of what stood there */
    size_t count;
    char *locale;
    struct loom_directory_identity directory;
};

static size_t count_variables(void)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL) count++;
    return count;
}

struct loom_surroundings_mark *loom_surroundings_mark(void)
{
    struct loom_surroundings_mark *mark = loom_memory_zeroed(1, sizeof *mark);
    if (mark == NULL) return NULL;
    mark->environment = environ;
    mark->count = count_variables();
    mark->variables = loom_memory_zeroed(mark->count + 1, sizeof *mark->variables);
    mark->locale = loom_memory_text(locale_now());
    (void)loom_directory_identify(&mark->directory);
    if (mark->variables == NULL || mark->locale == NULL) {
        loom_surroundings_unmark(mark);
        return NULL;
    }
    if (mark->count > 0) memcpy(mark->variables, environ, mark->count * sizeof *environ);
    return mark;
}

static bool has_same_variables(const struct loom_surroundings_mark *mark)
{
    if (environ != mark->environment) return false;
    for (size_t k = 0; k < mark->count; k++)
        if (environ[k] != mark->variables[k]) return false;
    return environ == NULL || environ[mark->count] == NULL;
}

bool loom_surroundings_are_as_marked(const struct loom_surroundings_mark *mark)
{
    struct loom_directory_identity here;
    return has_same_variables(mark) && strcmp(mark->locale, locale_now()) == 0 && loom_directory_identify(&here) &&
           loom_directory_is_same(&here, &mark->directory);
}

void loom_surroundings_unmark(struct loom_surroundings_mark *mark)
{
    if (mark == NULL) return;
    free(mark->variables);
    free(mark->locale);
    free(mark);
}
