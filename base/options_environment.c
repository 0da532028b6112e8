/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_environment.c - PARLOOM_* variables as options.
 *
 * Read once: what a program changes in its environment later does not change calls half way through.
 * The texts are copied, since setenv may move or free them. Threads: any; the first to ask reads for all.
 */
#include "base/log.h"
#include "base/memory.h"
#include "base/options_parse.h"
#include "base/options_table.h"
#include "base/process.h"
#include "base/status.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "PARLOOM_"
enum { PREFIX_LENGTH = sizeof PREFIX - 1, VARIABLE_BYTES = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_read;
static parloom_options options;
static parloom_status outcome;
static parloom_error complaint; /* filled when outcome is not OK */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

static void make_variable(const char *name, char variable[VARIABLE_BYTES])
{
    snprintf(variable, VARIABLE_BYTES, PREFIX "%s", name);
    for (char *at = variable; *at; at++)
        if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 'a' + 'A');
}

static parloom_status assign(parloom_options *into, int index, const char *variable, parloom_error *error)
{
    const char *text = secure_getenv(variable);
    if (!text || !text[0]) return PARLOOM_OK; /* VAR= is how shells unset a variable for one command */
    return loom_options_table_assign(into, index, variable, text, error);
}

static parloom_status read_variables(parloom_options *into, parloom_error *error)
{
    char variable[VARIABLE_BYTES];
    const struct loom_option *option;
    for (size_t i = 0; (option = loom_options_table(i)); i++) {
        make_variable(option->name, variable);
        parloom_status status = assign(into, (int)i, variable, error);
        if (status != PARLOOM_OK) return status;
    }
    if (into->temp_folder) return PARLOOM_OK;
    return assign(into, loom_options_table_find("temp_folder"), "JOBLIB_TEMP_FOLDER", error);
}

/* ------------------------------------------------------------------- unknown variables */

static bool is_known(const char *variable)
{
    static const char *const OTHERS[] = { "PARLOOM_MAX_CPU_COUNT", "PARLOOM_MAX_DEPTH", "PARLOOM_DISABLE_PROCESSES",
                                          "PARLOOM_LOG" }; /* that are no options */
    char known[VARIABLE_BYTES];
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++)
        if (strcmp(variable, OTHERS[i]) == 0) return true;
    for (size_t i = 0; loom_options_table(i); i++) {
        make_variable(loom_options_table(i)->name, known);
        if (strcmp(variable, known) == 0) return true;
    }
    return false;
}

static void warn_of(const char *variable)
{
    char name[VARIABLE_BYTES], nearest_variable[VARIABLE_BYTES];
    snprintf(name, sizeof name, "%s", variable + PREFIX_LENGTH);
    for (char *at = name; *at; at++)
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
    const char *nearest = loom_options_table_nearest(name);
    make_variable(nearest ? nearest : "", nearest_variable);
    loom_log(LOOM_LOG_WARNING, "%s in the environment is not known and ignored%s%s%s", variable,
             nearest ? " (did you mean " : "", nearest ? nearest_variable : "", nearest ? "?)" : "");
}

static bool is_hushed;

void loom_options_hush_environment(void)
{
    is_hushed = true;
}

static void warn_of_unknown(void)
{
    if (is_hushed || loom_process_is_secure()) return;
    for (char **entry = environ; entry && *entry; entry++) {
        char variable[VARIABLE_BYTES];
        if (strncmp(*entry, PREFIX, PREFIX_LENGTH) != 0) continue;
        snprintf(variable, sizeof variable, "%.*s", (int)strcspn(*entry, "="), *entry);
        if (!is_known(variable)) warn_of(variable);
    }
}

/* ---------------------------------------------------------------------------- once */

/* Under lock. Short memory is told but not remembered: the next call may find some. */
static parloom_status read_once(parloom_error *error)
{
    parloom_options borrowed = { .struct_size = sizeof borrowed };
    parloom_status status = read_variables(&borrowed, &complaint);
    if (status == PARLOOM_OK) {
        status = loom_options_copy(&options, &borrowed, error);
        if (status != PARLOOM_OK) return status;
    }
    outcome = status;
    is_read = true;
    return PARLOOM_OK;
}

parloom_status loom_options_environment(const parloom_options **options_out, parloom_error *error)
{
    pthread_mutex_lock(&lock);
    bool is_first = !is_read;
    parloom_status status = is_first ? read_once(error) : PARLOOM_OK;
    pthread_mutex_unlock(&lock);
    if (status != PARLOOM_OK) return status;
    if (is_first) warn_of_unknown(); /* without the lock: the sink is the program's and may call us */
    if (outcome != PARLOOM_OK) {
        if (error) *error = complaint;
        return outcome;
    }
    *options_out = &options;
    return PARLOOM_OK;
}
