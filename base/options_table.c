/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_table.c - the one table of options that can be written as text.
 * Text, environment, checks and documentation all read it, so none of them can know an option the others do not.
 */
#include "base/options_table.h"

#include "base/expression.h"
#include "base/options_parse.h"
#include "base/placement.h"
#include "base/status.h"
#include "base/variables.h"

#include <string.h>

enum kind { INTEGER, INTEGER_NOT_ZERO, COUNT, NBYTES, TEXT, PRE_DISPATCH, BIND, VARIABLES, SECONDS, CHOICE };

static const struct loom_options_choice PREFER[] = { { "processes", PARLOOM_PREFER_PROCESSES },
                                                     { "threads", PARLOOM_PREFER_THREADS },
                                                     { NULL, 0 } };
static const struct loom_options_choice REQUIRE[] = { { "sharedmem", PARLOOM_REQUIRE_SHAREDMEM },
                                                      { "isolation", PARLOOM_REQUIRE_ISOLATION },
                                                      { NULL, 0 } };
static const struct loom_options_choice MMAP_MODE[] = {
    { "r", PARLOOM_MMAP_R }, { "r+", PARLOOM_MMAP_RW }, { "w+", PARLOOM_MMAP_W }, { "c", PARLOOM_MMAP_C }, { NULL, 0 }
};
static const struct loom_options_choice SCHEDULE[] = { { "static", PARLOOM_SCHEDULE_STATIC }, { NULL, 0 } };
static const struct loom_options_choice ON_ERROR[] = { { "stop", PARLOOM_ON_ERROR_STOP },
                                                       { "go_on", PARLOOM_ON_ERROR_GO_ON },
                                                       { NULL, 0 } };
static const struct loom_options_choice PROGRESS_STYLE[] = { { "lines", PARLOOM_PROGRESS_STYLE_LINES },
                                                             { "bar", PARLOOM_PROGRESS_STYLE_BAR },
                                                             { "json", PARLOOM_PROGRESS_STYLE_JSON },
                                                             { NULL, 0 } };

static const struct loom_options_choice MEMORY_POLICY[] = { { "first_touch", PARLOOM_MEMORY_FIRST_TOUCH },
                                                            { "local", PARLOOM_MEMORY_LOCAL },
                                                            { "interleave", PARLOOM_MEMORY_INTERLEAVE },
                                                            { NULL, 0 } };
static const struct loom_options_choice MODULES[] = { { "by_reference", PARLOOM_MODULES_BY_REFERENCE },
                                                      { "by_value", PARLOOM_MODULES_BY_VALUE },
                                                      { NULL, 0 } };

#define AT(field) offsetof(parloom_options, field)

static const struct row {
    struct loom_option shown;
    enum kind kind;
    size_t offset;
    const struct loom_options_choice *choices;
} TABLE[] = {
    { { "n_jobs", "integer", "1", "not 0; -1 all usable cores, -2 all but one, ...", "how many workers run tasks" },
      INTEGER_NOT_ZERO,
      AT(n_jobs),
      NULL },
    { { "backend", "text", "processes", "sequential, threads, processes, fork or a registered name",
        "who runs the tasks" },
      TEXT,
      AT(backend),
      NULL },
    { { "backend_params", "text", "none", "key=value;...", "settings of a registered backend" },
      TEXT,
      AT(backend_params),
      NULL },
    { { "prefer", "choice", "none", "processes, threads", "a hint that loses to a chosen backend" },
      CHOICE,
      AT(prefer),
      PREFER },
    { { "require", "choice", "none", "sharedmem, isolation", "a constraint that wins over a scope's backend" },
      CHOICE,
      AT(require),
      REQUIRE },
    { { "max_nbytes", "nbytes", "1M", "1 or more, or never", "private inputs larger than this are spilled" },
      NBYTES,
      AT(max_nbytes),
      NULL },
    { { "mmap_mode", "choice", "r", "r, r+, w+, c", "what tasks may do to inputs in private memory" },
      CHOICE,
      AT(mmap_mode),
      MMAP_MODE },
    { { "temp_folder", "text", "/dev/shm, a memfd, then TMPDIR", "a folder that exists", "where spilled data lives" },
      TEXT,
      AT(temp_folder),
      NULL },
    { { "pre_dispatch", "text", "2*n_jobs", "all, or 1 and more: a number or an expression of n_jobs",
        "tasks a stream takes ahead of its consumer" },
      PRE_DISPATCH,
      AT(pre_dispatch),
      NULL },
    { { "batch_size", "integer", "auto", "1 or more", "tasks handed over at once" }, COUNT, AT(batch_size), NULL },
    { { "schedule", "choice", "whoever is free", "static", "which worker takes which batch" },
      CHOICE,
      AT(schedule),
      SCHEDULE },
    { { "task_timeout", "seconds", "never", "more than 0, or never", "time limit of one task" },
      SECONDS,
      AT(task_timeout),
      NULL },
    { { "timeout", "seconds", "never", "more than 0, or never", "time limit of the whole call" },
      SECONDS,
      AT(timeout),
      NULL },
    { { "on_error", "choice", "stop", "stop, go_on", "what happens after a task failed" },
      CHOICE,
      AT(on_error),
      ON_ERROR },
    { { "retries", "integer", "0", "any; negative: none", "runs added for a task whose worker died" },
      INTEGER,
      AT(retries),
      NULL },
    { { "verbose", "integer", "0", "any; negative: silent", "progress lines: above 0 some, above 10 every batch" },
      INTEGER,
      AT(verbose),
      NULL },
    { { "progress_style", "choice", "bar on a terminal, else lines", "lines, bar, json", "how progress is shown" },
      CHOICE,
      AT(progress_style),
      PROGRESS_STYLE },
    { { "inner_max_num_threads", "integer", "cores / n_jobs", "any; negative: the default, also below a scope",
        "OpenMP and BLAS threads inside a task" },
      INTEGER,
      AT(inner_max_num_threads),
      NULL },
    { { "fresh_worker_every", "integer", "never", "any; negative: never",
        "a worker that has run so many tasks is replaced" },
      INTEGER,
      AT(fresh_worker_every),
      NULL },
    { { "check_globals", "integer", "0", "above 0: on; negative: off", "warn of globals that tasks leave changed" },
      INTEGER,
      AT(check_globals),
      NULL },
    { { "memory_policy", "choice", "first_touch", "first_touch, local, interleave",
        "on which NUMA nodes shared memory lies" },
      CHOICE,
      AT(memory_policy),
      MEMORY_POLICY },
    { { "modules", "choice", "by_reference", "by_reference, by_value",
        "how the code of libraries gets to worker processes" },
      CHOICE,
      AT(modules),
      MODULES },
    { { "bind", "text", "none", "none, core, numa, compact, spread or a set of CPUs: 0-3,8 or 0x10f",
        "which CPUs each worker may use" },
      BIND,
      AT(bind),
      NULL },
    { { "idle_timeout", "seconds", "300; of a pool never", "more than 0, or never",
        "worker processes without work end after that" },
      SECONDS,
      AT(idle_timeout),
      NULL },
    { { "worker_growth_limit", "nbytes", "never", "1 or more, or never",
        "worker processes whose memory grew by more are replaced" },
      NBYTES,
      AT(worker_growth_limit),
      NULL },
    { { "worker_environment", "text", "none", "NAME=value;NAME2=value2", "variables that only worker processes have" },
      VARIABLES,
      AT(worker_environment),
      NULL },
};
enum { ROWS = (int)(sizeof TABLE / sizeof TABLE[0]) };

const struct loom_option *loom_options_table(size_t index)
{
    return index < ROWS ? &TABLE[index].shown : NULL;
}

int loom_options_table_find(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(TABLE[i].shown.name, name) == 0) return i;
    return -1;
}

const char *loom_options_table_nearest(const char *name)
{
    const char *nearest = NULL;
    int least = 1 + (int)strlen(name) / 3; /* a third of the letters wrong, or one more: not that word any longer */
    for (int i = 0; i < ROWS; i++) {
        int distance = loom_options_parse_distance(name, TABLE[i].shown.name);
        if (distance > least || (nearest && distance == least)) continue;
        least = distance;
        nearest = TABLE[i].shown.name;
    }
    return nearest;
}

/* Zero in the struct means unset; as text it is said on purpose, and the negative number means the same. */
static int zero_as_negative(int value)
{
    return value == 0 ? -1 : value;
}

static parloom_status assign_integer(const struct row *row, void *field, const char *label, const char *text,
                                     parloom_error *error)
{
    int value;
    parloom_status status = loom_options_parse_integer(label, text, &value, error);
    if (status != PARLOOM_OK) return status;
    if (row->kind == INTEGER_NOT_ZERO && value == 0)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "%s == 0 has no meaning (1 runs in the caller, -1 on all usable cores)", label);
    value = zero_as_negative(value);
    memcpy(field, &value, sizeof value);
    return PARLOOM_OK;
}

static parloom_status assign_choice(const struct row *row, void *field, const char *label, const char *text,
                                    parloom_error *error)
{
    int value;
    parloom_status status = loom_options_parse_choice(label, text, row->choices, &value, error);
    if (status == PARLOOM_OK) memcpy(field, &value, sizeof value); /* parloom.h refuses enums that are no ints */
    return status;
}

static parloom_status assign_text(const struct row *row, void *field, const char *label, const char *text,
                                  parloom_error *error)
{
    if (row->kind == PRE_DISPATCH) {
        parloom_status status = loom_expression_check(label, text, error);
        if (status != PARLOOM_OK) return status;
    }
    if (row->kind == BIND) {
        parloom_error why;
        parloom_status status = loom_placement_check(text, NULL, &why);
        if (status != PARLOOM_OK)
            return loom_status_fail(error, status, 0, "%s: %.*s", label, PARLOOM_MESSAGE_BYTES - 80, why.message);
    }
    if (row->kind == VARIABLES) {
        parloom_status status = loom_variables_check(label, text, error);
        if (status != PARLOOM_OK) return status;
    }
    if (!text[0]) return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%s is empty (leave it out instead)", label);
    memcpy(field, &text, sizeof text);
    return PARLOOM_OK;
}

parloom_status loom_options_table_assign(parloom_options *options, int index, const char *label, const char *text,
                                         parloom_error *error)
{
    const struct row *row = &TABLE[index];
    void *field = (char *)options + row->offset;
    switch (row->kind) {
    case COUNT:
        return loom_options_parse_count(label, text, field, error);
    case NBYTES:
        return loom_options_parse_nbytes(label, text, field, error);
    case SECONDS:
        return loom_options_parse_seconds(label, text, field, error);
    case CHOICE:
        return assign_choice(row, field, label, text, error);
    case TEXT:
    case PRE_DISPATCH:
    case BIND:
    case VARIABLES:
        return assign_text(row, field, label, text, error);
    case INTEGER:
    case INTEGER_NOT_ZERO:
        return assign_integer(row, field, label, text, error);
    }
    return loom_status_fail(error, PARLOOM_ERR_INTERNAL, 0, "option %s has no kind", label);
}

static bool is_known(const struct row *row, int value)
{
    const struct loom_options_choice *choice = row->choices;
    while (choice->word && choice->value != value) choice++;
    return choice->word;
}

const struct loom_option *loom_options_table_find_odd(const parloom_options *options, int *value_out)
{
    for (const struct row *row = TABLE; row < TABLE + ROWS; row++) {
        if (row->kind != CHOICE) continue;
        memcpy(value_out, (const char *)options + row->offset, sizeof *value_out);
        if (*value_out != 0 && !is_known(row, *value_out)) return &row->shown;
    }
    return NULL;
}

/* Borrows value: the texts of an option (backend, temp_folder, ...) live as long as the options that name them. */
parloom_status parloom_options_set(parloom_options *options, const char *name, const char *value, parloom_error *error)
{
    if (!options || !name || !value)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "options, name and value of an option must be given");
    int index = loom_options_table_find(name);
    if (index < 0) {
        const char *nearest = loom_options_table_nearest(name);
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "no option that can be set from text is called \"%.64s\"%s%s%s", name,
                                nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "");
    }
    /* The widest field: an older caller's struct may end before this option. */
    if (TABLE[index].offset + sizeof(uint64_t) > options->struct_size)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "options of %zu bytes have no room for %s (start from PARLOOM_OPTIONS_INIT)",
                                options->struct_size, name);
    parloom_status status = loom_options_table_assign(options, index, name, value, error);
    if (status == PARLOOM_OK) loom_status_clear(error);
    return status;
}
