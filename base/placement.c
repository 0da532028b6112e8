/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * placement.c - from a word or a set of CPUs to one set for each worker (see placement.h).
 *
 * Places      cores, nodes or hardware threads in the order the word asks for, those without an allowed CPU left out;
 *             worker k gets place k, in turns. So a worker sits where it sat in the last call, whatever n is.
 * Strict      a word that is misspelt is refused, not taken as "none"; "0-3, 8" has a blank and is refused too.
 */
#include "base/placement.h"

#include "base/atomics.h"
#include "base/binding.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum kind { NONE, CORE, NUMA, COMPACT, SPREAD, SET, UNKNOWN };

static enum kind kind_of_word(const char *bind)
{
    static const char *const words[] = { "none", "core", "numa", "compact", "spread" };
    for (int kind = NONE; kind < SET; kind++)
        if (strcmp(bind, words[kind]) == 0) return (enum kind)kind;
    return isdigit((unsigned char)bind[0]) ? SET : UNKNOWN;
}

bool loom_placement_is_wanted(const char *bind)
{
    return bind && kind_of_word(bind) != NONE;
}

/* ------------------------------------------------------------ sets as text */

/* A number below LOOM_CPUSET_CPUS; NULL: none there. */
static const char *read_cpu(const char *text, int *cpu_out)
{
    int cpu = 0;
    if (!isdigit((unsigned char)*text)) return NULL;
    for (; isdigit((unsigned char)*text); text++) {
        cpu = 10 * cpu + (*text - '0');
        if (cpu >= LOOM_CPUSET_CPUS) return NULL;
    }
    *cpu_out = cpu;
    return text;
}

/* "0-3,8,12-": the last means and all above. */
static bool read_list(const char *text, struct loom_cpuset *set)
{
    for (;;) {
        int first, last;
        text = read_cpu(text, &first);
        if (!text) return false;
        last = first;
        if (*text == '-') {
            last = LOOM_CPUSET_CPUS - 1;
            if (text[1] != '\0' && text[1] != ',') {
                text = read_cpu(text + 1, &last);
                if (!text) return false;
            } else {
                text++;
            }
        }
        if (last < first) return false;
        for (int cpu = first; cpu <= last; cpu++) loom_cpuset_add(set, cpu);
        if (*text == '\0') return true;
        if (*text++ != ',') return false;
    }
}

static bool add_digit(struct loom_cpuset *set, char digit, int lowest)
{
    int value = isdigit((unsigned char)digit) ? digit - '0' : tolower((unsigned char)digit) - 'a' + 10;
    for (int bit = 0; bit < 4; bit++) {
        if ((value >> bit & 1) == 0) continue;
        if (lowest + bit >= LOOM_CPUSET_CPUS) return false;
        loom_cpuset_add(set, lowest + bit);
    }
    return true;
}

/* One group of digits, most significant first; the last stands for CPUs from lowest on. most: digits it may have. */
static bool read_group(const char *group, size_t length, size_t most, int lowest, struct loom_cpuset *set)
{
    if (length > 2 && group[0] == '0' && (group[1] == 'x' || group[1] == 'X')) {
        group += 2;
        length -= 2;
    }
    if (length == 0 || length > most) return false;
    for (size_t i = 0; i < length; i++)
        if (!isxdigit((unsigned char)group[i]) || !add_digit(set, group[i], lowest + 4 * (int)(length - 1 - i)))
            return false;
    return true;
}

/* "0x10f", or as hwloc writes it, in groups of 32 CPUs: "0x00000001,0x0000000f". */
static bool read_mask(const char *text, struct loom_cpuset *set)
{
    int groups = 1;
    for (const char *at = text; *at; at++) groups += *at == ',';
    size_t most = groups > 1 ? 8 : LOOM_CPUSET_CPUS / 4;
    for (int group = groups - 1; group >= 0; group--) {
        size_t length = strcspn(text, ",");
        if (!read_group(text, length, most, 32 * group, set)) return false;
        text += length + 1;
    }
    return true;
}

static bool read_set(const char *text, struct loom_cpuset *set_out)
{
    memset(set_out, 0, sizeof *set_out);
    if (strlen(text) > LOOM_CPUSET_CPUS) return false; /* so that 4 * digits and 32 * groups stay small numbers */
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return read_mask(text, set_out);
    return read_list(text, set_out);
}

/* named is used up. What reaches the last CPU there could be is a range without an end: it takes what there is. */
static void tell_left_out(const char *bind, struct loom_cpuset *named, const struct loom_cpuset *allowed)
{
    static _Atomic int is_told;
    char cpus[128];
    for (int cpu = LOOM_CPUSET_CPUS - 1; cpu >= 0 && loom_cpuset_has(named, cpu); cpu--)
        named->words[cpu / 64] &= ~((uint64_t)1 << (cpu % 64));
    for (int k = 0; k < LOOM_CPUSET_WORDS; k++) named->words[k] &= ~allowed->words[k];
    if (loom_cpuset_count(named) == 0 || loom_exchange_full(&is_told, 1)) return; /* whoever comes first says it */
    loom_cpuset_write(named, cpus, sizeof cpus);
    loom_log(LOOM_LOG_WARNING, "bind \"%.100s\" is narrowed: affinity and control groups leave out %s", bind, cpus);
}

parloom_status loom_placement_check(const char *bind, const struct loom_cpuset *allowed, parloom_error *error)
{
    struct loom_cpuset set, named;
    char usable[128];
    enum kind kind = bind ? kind_of_word(bind) : NONE;
    if (kind < SET) return PARLOOM_OK;
    if (kind == UNKNOWN || !read_set(bind, &set))
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "bind \"%.100s\" is neither none, core, numa, compact, spread nor a set of CPUs below "
                                "%d (\"0-3,8\" or \"0x10f\", without blanks)",
                                bind, LOOM_CPUSET_CPUS);
    named = set;
    if (!allowed || loom_cpuset_meet(&set, allowed)) {
        if (allowed) tell_left_out(bind, &named, allowed);
        return PARLOOM_OK;
    }
    loom_cpuset_write(allowed, usable, sizeof usable);
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "bind \"%.100s\" has no CPU that may be used here: affinity and control groups leave %s",
                            bind, usable);
}

/* ------------------------------------------------------------------ places */

/* What is filled: the sets of the first workers, until there are no more places or workers. */
struct seats {
    struct loom_placement *placement;
    const struct loom_cpuset *allowed;
    uint32_t filled;
};

static void seat(struct seats *seats, const struct loom_cpuset *place)
{
    struct loom_placement *placement = seats->placement;
    struct loom_cpuset ours = *place;
    if (seats->filled == placement->n_workers || !loom_cpuset_meet(&ours, seats->allowed)) return;
    memcpy(placement->words + (size_t)seats->filled++ * placement->words_each, ours.words,
           placement->words_each * sizeof *ours.words);
}

static void seat_on_threads(struct seats *seats, const struct loom_machine *machine)
{
    for (int i = 0; i < machine->n_threads; i++) {
        struct loom_cpuset one = { { 0 } };
        loom_cpuset_add(&one, machine->threads[i]);
        seat(seats, &one);
    }
}

static void fill(struct seats *seats, const struct loom_machine *machine, enum kind kind, const char *bind)
{
    struct loom_cpuset set;
    if (kind == SET && read_set(bind, &set)) seat(seats, &set);
    if (!machine) return;
    for (int i = 0; kind == CORE && i < machine->n_cores; i++) seat(seats, &machine->cores[i]);
    for (int i = 0; kind == SPREAD && i < machine->n_cores; i++) seat(seats, &machine->cores[machine->spread[i]]);
    for (int i = 0; kind == NUMA && i < machine->n_nodes; i++) seat(seats, &machine->nodes[i]);
    if (kind == COMPACT) seat_on_threads(seats, machine);
}

static uint32_t words_of(const struct loom_cpuset *set)
{
    uint32_t count = LOOM_CPUSET_WORDS;
    while (count > 1 && set->words[count - 1] == 0) count--;
    return count;
}

/* More workers than places: in turns. */
static void repeat(struct loom_placement *placement, uint32_t filled)
{
    size_t each = placement->words_each;
    for (size_t worker = filled; worker < placement->n_workers; worker++)
        memcpy(placement->words + worker * each, placement->words + (worker - filled) * each, each * sizeof(uint64_t));
}

struct loom_placement *loom_placement_compute(const struct loom_machine *machine, const char *bind,
                                              const struct loom_cpuset *allowed, int n)
{
    uint32_t each = words_of(allowed);
    if (n < 1 || !loom_placement_is_wanted(bind)) return NULL;
    struct loom_placement *placement =
        loom_memory_zeroed(1, sizeof *placement + (size_t)n * each * sizeof *placement->words);
    if (!placement) return NULL;
    placement->n_workers = (uint32_t)n;
    placement->words_each = each;
    struct seats seats = { .placement = placement, .allowed = allowed };
    if (loom_cpuset_count(allowed) == 1)
        seat(&seats, allowed);
    else
        fill(&seats, machine, kind_of_word(bind), bind);
    if (seats.filled > 0) {
        repeat(placement, seats.filled);
        return placement;
    }
    free(placement);
    return NULL;
}

/* ------------------------------------------------------------ this machine */

static struct {
    pthread_mutex_t lock;
    char bind[128]; /* longer ones are computed afresh */
    int n;
    struct loom_cpuset allowed;
    struct loom_placement *placement;
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void renew_in_child(void)
{
    last.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    last.n = 0; /* another thread may have been writing it */
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, renew_in_child);
}

static struct loom_placement *copy(const struct loom_placement *placement)
{
    struct loom_placement *made = placement ? loom_memory_zeroed(1, loom_placement_nbytes(placement)) : NULL;
    if (made) memcpy(made, placement, loom_placement_nbytes(placement));
    return made;
}

static struct loom_placement *compute_here(const char *bind, const struct loom_cpuset *allowed, int n)
{
    bool is_simple = kind_of_word(bind) == SET || loom_cpuset_count(allowed) == 1;
    return loom_placement_compute(is_simple ? NULL : loom_machine_here(), bind, allowed, n);
}

static bool is_last(const char *bind, const struct loom_cpuset *allowed, int n)
{
    return last.n == n && strcmp(last.bind, bind) == 0 && memcmp(&last.allowed, allowed, sizeof *allowed) == 0;
}

struct loom_placement *loom_placement_make(const char *bind, int n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct loom_cpuset allowed;
    if (!loom_placement_is_wanted(bind) || !loom_binding_allowed(&allowed)) return NULL;
    if (strlen(bind) >= sizeof last.bind) return compute_here(bind, &allowed, n);
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&last.lock);
    if (!is_last(bind, &allowed, n)) {
        free(last.placement);
        last.placement = compute_here(bind, &allowed, n);
        last.allowed = allowed;
        last.n = n;
        memcpy(last.bind, bind, strlen(bind) + 1);
    }
    struct loom_placement *made = copy(last.placement);
    pthread_mutex_unlock(&last.lock);
    return made;
}

size_t loom_placement_nbytes(const struct loom_placement *placement)
{
    if (!placement) return 0;
    return sizeof *placement + (size_t)placement->n_workers * placement->words_each * sizeof *placement->words;
}

void loom_placement_of(const struct loom_placement *placement, uint32_t worker, struct loom_cpuset *set_out)
{
    size_t each = placement->words_each < LOOM_CPUSET_WORDS ? placement->words_each : LOOM_CPUSET_WORDS;
    memset(set_out, 0, sizeof *set_out);
    if (placement->n_workers == 0) return;
    memcpy(set_out->words, placement->words + (size_t)(worker % placement->n_workers) * placement->words_each,
           each * sizeof *set_out->words);
}

int loom_placement_least(const struct loom_placement *placement)
{
    int least = LOOM_CPUSET_CPUS;
    for (uint32_t worker = 0; worker < placement->n_workers; worker++) {
        struct loom_cpuset set;
        loom_placement_of(placement, worker, &set);
        int count = loom_cpuset_count(&set);
        if (count < least) least = count;
    }
    return least;
}
