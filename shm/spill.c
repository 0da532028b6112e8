/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spill.c - the cloakroom.
 *
 * Each range of a call is one of: shared already, published, inherited (fork), or private. A file mapped with mode c is
 * the file's (shared) where nobody writes, and private memory else. Private ones are sorted by
 * address, which makes overlaps neighbours: those of one kind become one group, and each group is copied once, into
 *
 *   letters      one block of the read-only arena for all small groups that are only read
 *   staging      one block of the writable arena for all small groups that are written
 *   a segment    each large group
 *
 * Small and large is a matter of cost (LETTER_NBYTES); inline and spilled one of the caller's limit (max_nbytes): it
 * decides what a task is told, and which folder. A warm call with small ranges makes no system call.
 */
#include "shm/spill.h"

#include "base/memory.h"
#include "base/status.h"
#include "shm/fill.h"
#include "shm/letters.h"
#include "shm/published.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTER_NBYTES = 1 << 20, INSERTION_SORT_MAX = 16, LINE = 64 };

/* Private ranges that overlap, or one alone. */
struct group {
    const char *low, *high;
    bool written;
    bool is_spilled;              /* one of its ranges is larger than max_nbytes */
    size_t offset;                /* in the block of its kind, before it is aligned */
    char *copy;                   /* of low */
    struct loom_segment *segment; /* NULL: in a block */
};

/* A private range in order of address. */
struct ticket {
    const char *data;
    size_t index; /* of the caller's range */
    size_t group; /* NO_GROUP: needs no copy */
};
#define NO_GROUP SIZE_MAX

/* What one range of the caller holds until the end. */
struct hold {
    void *block;                      /* of the public arena; NULL */
    struct loom_published *published; /* NULL */
    struct loom_segment *file;        /* that the user mapped; NULL */
};

struct loom_spill {
    size_t n_groups, n_holds, n_tickets;
    size_t n_segments; /* of groups */
    bool has_written;  /* a group */
    bool is_lent;      /* its memory */
    size_t inline_nbytes, spilled_nbytes, largest_nbytes;
    char *blocks[2]; /* [written]: letters and staging */
    char place[64];
    struct group *groups; /* by address */
    struct hold *holds;
    struct ticket *tickets;
};

/* One call of begin. */
struct pass {
    struct loom_spill *spill;
    struct loom_spill_range *ranges;
    size_t count;
    const struct loom_spill_limits *limits;
    parloom_error *error;
};

static struct loom_spill *create(size_t count, const struct loom_spill_limits *limits)
{
    /* One piece: three allocations would be a quarter of a warm call. */
    size_t each = sizeof(struct group) + sizeof(struct hold) + sizeof(struct ticket), nbytes = 0;
    if (!loom_memory_mul(count, each, &nbytes) || !loom_memory_add(nbytes, sizeof(struct loom_spill), &nbytes))
        return NULL;
    bool is_lent = nbytes <= limits->account_nbytes;
    struct loom_spill *spill = is_lent ? limits->account : loom_memory_large(nbytes);
    if (!spill) return NULL;
    *spill = (struct loom_spill){ .is_lent = is_lent };
    spill->groups = (struct group *)(spill + 1);
    spill->holds = (struct hold *)(spill->groups + count);
    spill->tickets = (struct ticket *)(spill->holds + count);
    return spill;
}

/* ----------------------------------------------------------------- classify */

static bool is_within(const struct loom_segment *segment, const struct loom_spill_range *range)
{
    const char *data = range->data;
    return segment && range->nbytes <= (size_t)(segment->address + segment->nbytes - data);
}

/* Of mode c: the program's bytes are no longer the file's, or are not to be. In a worker (which has no descriptor of
 * it) they are the task's. */
static bool is_own(const struct loom_segment *segment, const struct loom_spill_range *range)
{
    return segment->access == LOOM_SEGMENT_MAP_PRIVATE &&
           (range->written || segment->fd < 0 || loom_segment_is_changed(range->data, range->nbytes));
}

/* Such bytes are copied here, and the program must not die of a file that somebody has cut short. */
static parloom_status check_whole(const struct loom_segment *segment, parloom_error *error)
{
    if (loom_segment_is_whole(segment)) return PARLOOM_OK;
    return loom_status_fail(
        error, PARLOOM_ERR_IO, 0,
        "an argument lies in a mapped file that was cut short since: bytes behind its end cannot be "
        "read");
}

static void pass_as_it_is(struct loom_spill_range *range)
{
    range->shared = (void *)(uintptr_t)range->data; // NOLINT(performance-no-int-to-ptr)
}

static void *hold_block(const void *data)
{
    struct loom_arena *arena = loom_arena_public(NULL);
    return arena ? loom_arena_hold_at(arena, data) : NULL;
}

/* Of most ranges there is nothing to hold. */
static void add_hold(struct loom_spill *spill, struct hold hold)
{
    if (hold.block || hold.published || hold.file) spill->holds[spill->n_holds++] = hold;
}

static parloom_status use_published(struct pass *pass, struct loom_spill_range *range, struct loom_published *published)
{
    size_t made = 0;
    parloom_status status =
        loom_published_copy(published, range->data, pass->limits->temp_folder, &range->shared, &made, pass->error);
    if (status) return status;
    range->is_memmap = true;
    pass->spill->spilled_nbytes += made;
    if (made > pass->spill->largest_nbytes) {
        pass->spill->largest_nbytes = made;
        snprintf(pass->spill->place, sizeof pass->spill->place, "%s", loom_published_place(published));
    }
    return PARLOOM_OK;
}

/* Private ranges get a ticket, also those that need no copy. */
static parloom_status classify(struct pass *pass, size_t index)
{
    struct loom_spill_range *range = &pass->ranges[index];
    range->shared = NULL;
    range->is_memmap = false;
    if (range->nbytes == 0) return PARLOOM_OK; /* nothing that a task could read */
    if (!range->data || range->nbytes > UINTPTR_MAX - (uintptr_t)range->data)
        return loom_status_fail(pass->error, PARLOOM_ERR_INVALID, 0, "no range of %zu bytes at %p", range->nbytes,
                                range->data);
    const struct loom_segment *segment = loom_segment_of(range->data);
    bool is_shared = is_within(segment, range), is_own_file = is_shared && is_own(segment, range);
    struct hold hold = { .file = is_shared ? loom_segment_hold_file(range->data) : NULL };
    if (is_shared && !is_own_file && !hold.file) hold.block = hold_block(range->data);
    add_hold(pass->spill, hold);
    if (is_shared && !is_own_file) {
        pass_as_it_is(range);
        range->is_memmap = true;
        return PARLOOM_OK;
    }
    struct ticket *ticket = &pass->spill->tickets[pass->spill->n_tickets++];
    *ticket = (struct ticket){ .data = range->data, .index = index, .group = NO_GROUP };
    if (range->written ? pass->limits->outputs_stay : pass->limits->inputs_stay && !is_own_file) {
        pass_as_it_is(range);
        return PARLOOM_OK;
    }
    if (is_own_file) return check_whole(segment, pass->error);
    if (range->written) return PARLOOM_OK;
    struct loom_published *published = loom_published_acquire(range->data, range->nbytes);
    add_hold(pass->spill, (struct hold){ .published = published });
    return published ? use_published(pass, range, published) : PARLOOM_OK;
}

/* --------------------------------------------------------------------- sort */

static int compare(const void *left, const void *right)
{
    const struct ticket *a = left, *b = right;
    if (a->data != b->data) return a->data < b->data ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* As the arguments of a list mostly are: neighbours in an array. */
static bool are_sorted(const struct ticket *tickets, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (tickets[i].data < tickets[i - 1].data) return false; /* equal ones stand in the order of their indices */
    return true;
}

static void sort_tickets(struct ticket *tickets, size_t count)
{
    if (are_sorted(tickets, count)) return;
    if (count > INSERTION_SORT_MAX) {
        qsort(tickets, count, sizeof *tickets, compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct ticket moving = tickets[i];
        size_t at = i;
        for (; at > 0 && compare(&moving, &tickets[at - 1]) < 0; at--) tickets[at] = tickets[at - 1];
        tickets[at] = moving;
    }
}

/* ------------------------------------------------------------------- groups */

/* The group that a range joins, or a new one. */
static struct group *group_for(struct loom_spill *spill, const struct loom_spill_range *range)
{
    struct group *last = spill->n_groups ? &spill->groups[spill->n_groups - 1] : NULL;
    const char *data = range->data;
    if (last && data < last->high) {
        assert(last->written == range->written);
        return last;
    }
    struct group *group = &spill->groups[spill->n_groups++];
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): groups are part of the spill's own block
    *group = (struct group){ .low = data, .high = data, .written = range->written };
    if (range->written) spill->has_written = true;
    return group;
}

static void make_groups(struct pass *pass)
{
    struct loom_spill *spill = pass->spill;
    for (size_t i = 0; i < spill->n_tickets; i++) {
        const struct loom_spill_range *range = &pass->ranges[spill->tickets[i].index];
        if (range->shared) continue; /* inherited or published */
        struct group *group = group_for(spill, range);
        const char *high = (const char *)range->data + range->nbytes;
        if (high > group->high) group->high = high;
        if (range->nbytes > pass->limits->max_nbytes) group->is_spilled = true;
        spill->tickets[i].group = (size_t)(group - spill->groups);
    }
}

/* --------------------------------------------------------------------- copy */

static size_t nbytes_of(const struct group *group)
{
    return (size_t)(group->high - group->low);
}

/* A small one goes to the arenas, unless the caller said in which folder it shall lie. */
static bool needs_segment(const struct pass *pass, const struct group *group)
{
    return nbytes_of(group) >= LETTER_NBYTES || (group->is_spilled && pass->limits->temp_folder);
}

static parloom_status copy_to_segment(struct pass *pass, struct group *group)
{
    size_t lead = (uintptr_t)group->low % LINE;
    const struct loom_fill_source bytes = { .data = group->low,
                                            .nbytes = nbytes_of(group),
                                            .n_threads = pass->limits->n_threads };
    parloom_status status =
        loom_segment_create_filled(&bytes, lead, group->written ? LOOM_SEGMENT_WRITE : LOOM_SEGMENT_READ,
                                   group->is_spilled ? pass->limits->temp_folder : NULL, &group->segment, pass->error);
    if (status) return status;
    group->segment->owner = pass->spill;
    pass->spill->n_segments++;
    group->copy = group->segment->address + lead;
    return PARLOOM_OK;
}

/* Lays out the small groups of one kind, one behind the other on lines of their own; how much room they need. */
static size_t lay_out(const struct pass *pass, bool written)
{
    struct loom_spill *spill = pass->spill;
    size_t offset = 0;
    for (size_t i = 0; i < spill->n_groups; i++) {
        struct group *group = &spill->groups[i];
        if (group->written != written || needs_segment(pass, group)) continue;
        group->offset = offset;
        offset = (offset + (uintptr_t)group->low % LINE + nbytes_of(group) + LINE - 1) / LINE * LINE;
    }
    return offset;
}

static char *make_block(bool written, size_t nbytes, parloom_error *error)
{
    struct loom_arena *arena = loom_letters_arena(written ? LOOM_SEGMENT_WRITE : LOOM_SEGMENT_READ, error);
    return arena ? loom_arena_allocate(arena, nbytes, 0, false, error) : NULL;
}

static parloom_status copy_small(struct pass *pass, bool written)
{
    struct loom_spill *spill = pass->spill;
    parloom_error own;
    parloom_error *error = pass->error ? pass->error : &own;
    size_t nbytes = lay_out(pass, written);
    if (nbytes == 0) return PARLOOM_OK;
    char *block = !written && nbytes <= pass->limits->letter_nbytes ? pass->limits->letter : NULL;
    if (!block) block = spill->blocks[written] = make_block(written, nbytes, error);
    if (!block) return error->status;
    for (size_t i = 0; i < spill->n_groups; i++) {
        struct group *group = &spill->groups[i];
        if (group->written != written || needs_segment(pass, group)) continue;
        group->copy = block + group->offset + (uintptr_t)group->low % LINE;
        memcpy(group->copy, group->low, nbytes_of(group));
    }
    return PARLOOM_OK;
}

/* Counts a group that was copied. */
static void count(struct loom_spill *spill, const struct group *group)
{
    size_t nbytes = nbytes_of(group);
    if (!group->is_spilled) {
        spill->inline_nbytes += nbytes;
        return;
    }
    spill->spilled_nbytes += nbytes;
    if (nbytes <= spill->largest_nbytes) return;
    spill->largest_nbytes = nbytes;
    const struct loom_segment *segment = group->segment ? group->segment : loom_segment_of(group->copy);
    snprintf(spill->place, sizeof spill->place, "%s", segment->place);
}

static parloom_status copy_groups(struct pass *pass)
{
    struct loom_spill *spill = pass->spill;
    parloom_status status = PARLOOM_OK;
    for (size_t i = 0; i < spill->n_groups && !status; i++) {
        if (needs_segment(pass, &spill->groups[i])) status = copy_to_segment(pass, &spill->groups[i]);
    }
    if (!status) status = copy_small(pass, false);
    if (!status && spill->has_written) status = copy_small(pass, true);
    for (size_t i = 0; i < spill->n_groups && !status; i++) count(spill, &spill->groups[i]);
    return status;
}

static void answer(const struct pass *pass)
{
    for (size_t i = 0; i < pass->spill->n_tickets; i++) {
        const struct ticket *ticket = &pass->spill->tickets[i];
        if (ticket->group == NO_GROUP) continue;
        const struct group *group = &pass->spill->groups[ticket->group];
        pass->ranges[ticket->index].shared = group->copy + (ticket->data - group->low);
        pass->ranges[ticket->index].is_memmap = group->is_spilled;
    }
}

/* --------------------------------------------------------------- begin, end */

static parloom_status take_all(struct pass *pass)
{
    parloom_status status = PARLOOM_OK;
    for (size_t i = 0; i < pass->count && !status; i++) status = classify(pass, i);
    if (status) return status;
    sort_tickets(pass->spill->tickets, pass->spill->n_tickets);
    make_groups(pass);
    status = copy_groups(pass);
    if (!status) answer(pass);
    return status;
}

parloom_status loom_spill_begin(struct loom_spill **spill_out, struct loom_spill_range *ranges, size_t count,
                                const struct loom_spill_limits *limits, parloom_error *error)
{
    struct loom_spill *spill = create(count, limits);
    if (!spill)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to keep account of %zu arguments", count);
    struct pass pass = { .spill = spill, .ranges = ranges, .count = count, .limits = limits, .error = error };
    parloom_status status = take_all(&pass);
    if (status) {
        loom_spill_end(spill);
        return status;
    }
    *spill_out = spill;
    return PARLOOM_OK;
}

static void let_go(const struct hold *hold)
{
    if (hold->block) loom_arena_drop(loom_arena_public(NULL), hold->block);
    loom_segment_release(hold->file, false);
    loom_published_release(hold->published);
}

void loom_spill_end(struct loom_spill *spill)
{
    if (!spill) return;
    for (size_t i = 0; i < spill->n_groups && spill->n_segments > 0; i++)
        loom_segment_release(spill->groups[i].segment, true);
    if (spill->blocks[0]) loom_arena_free(loom_letters_arena(LOOM_SEGMENT_READ, NULL), spill->blocks[0]);
    if (spill->blocks[1]) loom_arena_free(loom_letters_arena(LOOM_SEGMENT_WRITE, NULL), spill->blocks[1]);
    for (size_t i = 0; i < spill->n_holds; i++) let_go(&spill->holds[i]);
    if (!spill->is_lent) free(spill);
}

/* ---------------------------------------------------------------- questions */

bool loom_spill_has_written(const struct loom_spill *spill)
{
    return spill->has_written;
}

size_t loom_spill_inline_nbytes(const struct loom_spill *spill)
{
    return spill->inline_nbytes;
}

size_t loom_spill_spilled_nbytes(const struct loom_spill *spill)
{
    return spill->spilled_nbytes;
}

size_t loom_spill_largest_nbytes(const struct loom_spill *spill)
{
    return spill->largest_nbytes;
}

const char *loom_spill_place(const struct loom_spill *spill)
{
    return spill->place;
}
