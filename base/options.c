/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.c - reads, checks, merges and copies option structs.
 * Promise   what leaves loom_options_read is of this version's size and every value in it makes sense by itself;
 *           what fits together is core's to decide. Threads: any.
 */
#include "base/options.h"

#include "base/expression.h"
#include "base/memory.h"
#include "base/options_table.h"
#include "base/placement.h"
#include "base/status.h"
#include "base/variables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The first version had at least the fields up to pool; anything shorter is no parloom_options. */
#define LEAST_STRUCT_NBYTES offsetof(parloom_options, prefer)

/* ----------------------------------------------------------------------------- reading */

static parloom_status check_struct_size(const parloom_options *given, parloom_error *error)
{
    size_t size = given->struct_size;
    if (size < LEAST_STRUCT_NBYTES || size > LOOM_OPTIONS_MOST_NBYTES || size % _Alignof(parloom_options) != 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "options have struct_size %zu, which no version has (start from PARLOOM_OPTIONS_INIT)",
                                size);
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t i = sizeof *given; i < size; i++)
        if (bytes[i])
            return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                    "options of %zu bytes use what this version (%zu bytes) does not know (update "
                                    "parloom, or leave the newer options unset)",
                                    size, sizeof *given);
    return PARLOOM_OK;
}

static parloom_status check_text(const char *name, const char *text, parloom_error *error)
{
    if (!text || text[0]) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s is empty (NULL leaves it unset)", name);
}

static parloom_status check_seconds(const char *name, double seconds, parloom_error *error)
{
    if (isfinite(seconds)) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s is %g (give seconds, or -1 for no limit)", name,
                            seconds);
}

static parloom_status check_room(const char *name, const void *array, size_t count, parloom_error *error)
{
    if (array || count == 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "n_%s is %zu but %s is NULL", name, count, name);
}

static parloom_status check_choices(const parloom_options *options, parloom_error *error)
{
    int value;
    const struct loom_option *option = loom_options_table_find_odd(options, &value);
    if (!option) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s is %d, which is none of: %s", option->name, value,
                            option->range);
}

static parloom_status check_sizes(const parloom_options *options, parloom_error *error)
{
    if (options->batch_size > PTRDIFF_MAX)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "batch_size is %zu, a negative number perhaps (0 leaves it unset: auto)",
                                options->batch_size);
    if (options->worker_init_state_nbytes && !options->worker_init_state)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "worker_init_state_nbytes is %zu but worker_init_state is NULL",
                                options->worker_init_state_nbytes);
    return PARLOOM_OK;
}

static parloom_status check_ranges(const parloom_options *options, parloom_error *error)
{
    parloom_status status = check_choices(options, error);
    if (status == PARLOOM_OK) status = check_text("backend", options->backend, error);
    if (status == PARLOOM_OK) status = check_text("backend_params", options->backend_params, error);
    if (status == PARLOOM_OK) status = check_text("temp_folder", options->temp_folder, error);
    if (status == PARLOOM_OK && options->pre_dispatch)
        status = loom_expression_check("pre_dispatch", options->pre_dispatch, error);
    if (status == PARLOOM_OK) status = loom_placement_check(options->bind, NULL, error);
    if (status == PARLOOM_OK) status = loom_variables_check("worker_environment", options->worker_environment, error);
    if (status == PARLOOM_OK) status = check_seconds("task_timeout", options->task_timeout, error);
    if (status == PARLOOM_OK) status = check_seconds("timeout", options->timeout, error);
    if (status == PARLOOM_OK) status = check_seconds("idle_timeout", options->idle_timeout, error);
    if (status == PARLOOM_OK) status = check_room("statuses", options->statuses, options->n_statuses, error);
    if (status == PARLOOM_OK) status = check_room("errors", options->errors, options->n_errors, error);
    return status == PARLOOM_OK ? check_sizes(options, error) : status;
}

parloom_status loom_options_read(const parloom_options *given, parloom_options *options_out, parloom_error *error)
{
    parloom_options options = { .struct_size = sizeof options };
    if (given) {
        parloom_status status = check_struct_size(given, error);
        if (status != PARLOOM_OK) return status;
        memcpy(&options, given, given->struct_size < sizeof options ? given->struct_size : sizeof options);
        options.struct_size = sizeof options;
        status = check_ranges(&options, error);
        if (status != PARLOOM_OK) return status;
        options.task_timeout += 0.0; /* -0.0 is unset too; from here on unset is all bytes zero */
        options.timeout += 0.0;
        options.idle_timeout += 0.0;
    }
    *options_out = options;
    return PARLOOM_OK;
}

/* -------------------------------------------------------------------------- precedence */

/* Every field, in groups: the first of a group is taken where it is unset, those that follow go with it. */
static const struct field {
    size_t offset;
    size_t nbytes;
    bool follows;
} FIELDS[] = {
#define ALONE(name)                                                                  \
    {                                                                                \
        offsetof(parloom_options, name), sizeof(((parloom_options *)0)->name), false \
    }
#define AFTER(name)                                                                 \
    {                                                                               \
        offsetof(parloom_options, name), sizeof(((parloom_options *)0)->name), true \
    }
    ALONE(n_jobs),
    ALONE(backend),
    ALONE(backend_params),
    ALONE(pool),
    ALONE(prefer),
    ALONE(require),
    ALONE(max_nbytes),
    ALONE(mmap_mode),
    ALONE(temp_folder),
    ALONE(pre_dispatch),
    ALONE(batch_size),
    ALONE(schedule),
    ALONE(task_timeout),
    ALONE(timeout),
    ALONE(on_error),
    ALONE(retries),
    ALONE(statuses),
    AFTER(n_statuses),
    ALONE(errors),
    AFTER(n_errors),
    ALONE(report),
    ALONE(progress),
    AFTER(progress_state),
    ALONE(stop),
    ALONE(verbose),
    ALONE(inner_max_num_threads),
    ALONE(worker_init),
    AFTER(worker_init_state),
    AFTER(worker_init_state_nbytes),
    ALONE(progress_style),
    ALONE(fresh_worker_every),
    ALONE(memory_policy),
    ALONE(modules),
    ALONE(bind),
    ALONE(check_globals),
    ALONE(idle_timeout),
    ALONE(worker_growth_limit),
    ALONE(worker_environment),
#undef ALONE
#undef AFTER
};

static bool is_unset(const void *options, const struct field *field)
{
    const unsigned char *byte = (const unsigned char *)options + field->offset;
    for (size_t i = 0; i < field->nbytes; i++)
        if (byte[i]) return false;
    return true;
}

/* As the environment mostly is: no field has to be looked at, in each call. */
static bool is_all_unset(const parloom_options *options)
{
    static const parloom_options unset = { .struct_size = sizeof unset };
    const unsigned char *bytes = (const unsigned char *)options, *none = (const unsigned char *)&unset;
    return memcmp(bytes, none, sizeof unset) == 0; /* padding that is not zero only makes it slow */
}

void loom_options_fill_unset(parloom_options *onto, const parloom_options *under)
{
    bool take = false;
    if (is_all_unset(under)) return;
    /* Settings of another backend than the one that was chosen above would only be refused by it. */
    bool other_backend = onto->backend && under->backend && strcmp(onto->backend, under->backend) != 0;
    const char *params = onto->backend_params;
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        const struct field *field = &FIELDS[i];
        if (!field->follows) take = is_unset(onto, field);
        if (take) memcpy((char *)onto + field->offset, (const char *)under + field->offset, field->nbytes);
    }
    if (other_backend) onto->backend_params = params;
}

/* ------------------------------------------------------------------------------ copies */

static bool copy_text(const char **text)
{
    if (!*text) return true;
    *text = loom_memory_text(*text);
    return *text != NULL;
}

static bool copy_state(parloom_options *copy)
{
    size_t nbytes = copy->worker_init_state_nbytes;
    if (nbytes == 0) return true;
    void *state = loom_memory_zeroed(1, nbytes);
    if (state) memcpy(state, copy->worker_init_state, nbytes);
    copy->worker_init_state = state;
    return state != NULL;
}

parloom_status loom_options_copy(parloom_options *copy_out, const parloom_options *options, parloom_error *error)
{
    parloom_options copy = *options;
    if (!copy_text(&copy.backend)) goto out_nothing;
    if (!copy_text(&copy.backend_params)) goto out_backend;
    if (!copy_text(&copy.temp_folder)) goto out_params;
    if (!copy_text(&copy.pre_dispatch)) goto out_folder;
    if (!copy_text(&copy.bind)) goto out_dispatch;
    if (!copy_text(&copy.worker_environment)) goto out_bind;
    if (!copy_state(&copy)) goto out_environment;
    *copy_out = copy;
    return PARLOOM_OK;

out_environment:
    free((void *)(uintptr_t)copy.worker_environment);
out_bind:
    free((void *)(uintptr_t)copy.bind);
out_dispatch:
    free((void *)(uintptr_t)copy.pre_dispatch);
out_folder:
    free((void *)(uintptr_t)copy.temp_folder);
out_params:
    free((void *)(uintptr_t)copy.backend_params);
out_backend:
    free((void *)(uintptr_t)copy.backend);
out_nothing:
    return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for a copy of the options");
}

void loom_options_destroy(parloom_options *copy)
{
    if (!copy) return;
    /* Through uintptr_t: the texts are const for everyone who reads the options, but the copy owns them. */
    free((void *)(uintptr_t)copy->backend);
    free((void *)(uintptr_t)copy->backend_params);
    free((void *)(uintptr_t)copy->temp_folder);
    free((void *)(uintptr_t)copy->pre_dispatch);
    free((void *)(uintptr_t)copy->bind);
    free((void *)(uintptr_t)copy->worker_environment);
    if (copy->worker_init_state_nbytes) free((void *)(uintptr_t)copy->worker_init_state);
    *copy = (parloom_options){ .struct_size = sizeof *copy };
}

/* ---------------------------------------------------------------------------- comparing */

static bool are_same_texts(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool are_same_states(const parloom_options *a, const parloom_options *b)
{
    size_t nbytes = a->worker_init_state_nbytes;
    if (nbytes != b->worker_init_state_nbytes) return false;
    if (nbytes == 0) return a->worker_init_state == b->worker_init_state;
    return memcmp(a->worker_init_state, b->worker_init_state, nbytes) == 0;
}

static const size_t TEXTS[] = { offsetof(parloom_options, backend),     offsetof(parloom_options, backend_params),
                                offsetof(parloom_options, temp_folder), offsetof(parloom_options, pre_dispatch),
                                offsetof(parloom_options, bind),        offsetof(parloom_options, worker_environment) };

static const char **text_of(parloom_options *options, size_t i)
{
    return (const char **)(void *)((char *)options + TEXTS[i]);
}

/* Field by field: what lies between them says nothing. */
bool loom_options_are_equal(const parloom_options *a, const parloom_options *b)
{
    parloom_options one = *a, other = *b;
    if (!are_same_states(a, b)) return false;
    one.worker_init_state = other.worker_init_state = NULL;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        if (!are_same_texts(*text_of(&one, i), *text_of(&other, i))) return false;
        *text_of(&one, i) = *text_of(&other, i) = NULL;
    }
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++)
        if (memcmp((const char *)&one + FIELDS[i].offset, (const char *)&other + FIELDS[i].offset, FIELDS[i].nbytes) !=
            0)
            return false;
    return true;
}
