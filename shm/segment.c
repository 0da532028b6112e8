/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.c - the registry of this process's segments.
 *
 * Who is there   slots[id]: the authority; the table in the header is written from it and never read back.
 * Lock           one, over slots, listener, table and the kept ones. The listener is called under it and must not call
 *                back. Copying and mapping happen outside.
 * Forks          a child inherits maps and descriptors. It may read and release its parent's segments, but neither
 * frees their bytes nor hands them out again, and its table is its own (window.c).
 */
#include "shm/segment.h"

#include "base/memory.h"
#include "base/memory_policy.h"
#include "base/status.h"
#include "shm/segment_record.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct slot {
    struct loom_segment_record *record;
    uint32_t generation;
};

static struct {
    pthread_mutex_t lock;
    struct slot slots[LOOM_SEGMENT_SLOTS];
    uint32_t first_free; /* no slot below it is free */
    uint32_t used;       /* slots [0, used) have ever been taken */
    size_t live_count, live_nbytes;
    struct loom_segment_listener listener;
    uint32_t header_serial; /* of the header the table was last written to */
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

void loom_segment_lock(void)
{
    pthread_mutex_lock(&registry.lock);
}

void loom_segment_unlock(void)
{
    pthread_mutex_unlock(&registry.lock);
}

/* -------------------------------------------------------------------- forks */

static void after_fork_in_child(void)
{
    registry.listener = (struct loom_segment_listener){ 0 }; /* its supervisor is the parent's */
    pthread_mutex_unlock(&registry.lock);
}

static void watch_forks(void)
{
    loom_window_watch_forks(); /* first, so that its lock is taken last */
    (void)pthread_atfork(loom_segment_lock, loom_segment_unlock, after_fork_in_child);
}

void loom_segment_watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

/* -------------------------------------------------------------------- table */

/* A child of fork has an empty table: all that lives is written into it once. false: none to write to. */
static bool has_table(void)
{
    if (loom_window_is_attached() || loom_window_open(NULL) != PARLOOM_OK) return false;
    uint32_t serial = loom_window_header_serial();
    if (registry.header_serial == serial) return true;
    registry.header_serial = serial;
    for (uint32_t id = 0; id < registry.used; id++) {
        if (registry.slots[id].record) loom_segment_table_publish(&registry.slots[id].record->segment);
    }
    return true;
}

void loom_segment_set_listener(const struct loom_segment_listener *listener)
{
    loom_segment_lock();
    registry.listener = listener ? *listener : (struct loom_segment_listener){ 0 };
    if (registry.live_count > 0) (void)has_table();
    for (uint32_t id = 0; listener && listener->added && id < registry.used; id++) {
        if (registry.slots[id].record) listener->added(&registry.slots[id].record->segment, listener->state);
    }
    loom_segment_unlock();
}

/* ----------------------------------------------------------------- registry */

static bool find_slot(uint32_t *id_out)
{
    for (uint32_t id = registry.first_free; id < LOOM_SEGMENT_SLOTS; id++) {
        if (registry.slots[id].record) continue;
        *id_out = id;
        return true;
    }
    return false;
}

static void occupy(struct loom_segment_record *record, uint32_t id)
{
    struct slot *slot = &registry.slots[id];
    slot->record = record;
    if (++slot->generation == 0) slot->generation = 1; /* 0 means gone */
    registry.first_free = id + 1;
    if (id >= registry.used) registry.used = id + 1;
    record->segment.id = id;
    record->segment.generation = slot->generation;
    registry.live_count++;
    registry.live_nbytes += record->segment.nbytes;
}

static parloom_status enter(struct loom_segment_record *record, parloom_error *error)
{
    uint32_t id = 0;
    if (!find_slot(&id))
        return loom_status_fail(error, PARLOOM_ERR_LIMIT, 0,
                                "there are %d pieces of shared memory already: use fewer, larger arrays",
                                LOOM_SEGMENT_SLOTS);
    bool publishes = has_table(); /* before it is in its slot, or it would be published twice */
    if (!loom_segment_index_set(record))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the index of shared memory");
    occupy(record, id);
    if (registry.listener.added) registry.listener.added(&record->segment, registry.listener.state);
    if (publishes) loom_segment_table_publish(&record->segment);
    return PARLOOM_OK;
}

parloom_status loom_segment_enroll(struct loom_segment_record *record, parloom_error *error)
{
    loom_segment_lock();
    parloom_status status = enter(record, error);
    loom_segment_unlock();
    return status;
}

void loom_segment_withdraw(struct loom_segment_record *record)
{
    const struct loom_segment *segment = &record->segment;
    if (has_table()) loom_segment_table_clear(segment->id);
    if (registry.listener.removed) registry.listener.removed(segment->id, segment->generation, registry.listener.state);
    loom_segment_index_clear(record);
    registry.slots[segment->id].record = NULL;
    if (segment->id < registry.first_free) registry.first_free = segment->id;
    registry.live_count--;
    registry.live_nbytes -= segment->nbytes;
}

void loom_segment_discard(struct loom_segment_record *record)
{
    struct loom_segment *segment = &record->segment;
    bool is_file = loom_segment_is_mapped_file(segment->access);
    if (is_file) loom_segment_file_gone();
    /* Workers may have it mapped until they look at the table again: the bytes go now. Those of a file stay. */
    if (!is_file && record->fork_count == loom_window_fork_count())
        (void)fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)record->file_nbytes);
    munmap(segment->address, segment->nbytes);
    if (segment->worker_fd != segment->fd) close(segment->worker_fd);
    close(segment->fd);
    loom_window_give((uint64_t)(uintptr_t)segment->address, segment->nbytes);
    free((void *)(uintptr_t)record->folder.path);
    free(record);
}

static void discard_list(struct loom_segment_record *record)
{
    while (record) {
        struct loom_segment_record *next = record->older;
        loom_segment_discard(record);
        record = next;
    }
}

/* ------------------------------------------------------------------- create */

struct loom_segment_record *loom_segment_record_make(enum loom_segment_access access, const char *folder)
{
    struct loom_segment_record *record = loom_memory_zeroed(1, sizeof *record);
    if (!record) return NULL;
    record->folder = loom_segment_place_look(loom_memory_text(folder));
    if (folder && !record->folder.path) {
        free(record);
        return NULL;
    }
    record->segment.access = access;
    record->policy = loom_memory_policy_now();
    record->segment.fd = record->segment.worker_fd = -1;
    record->segment.internal = record;
    record->private_fd = -1;
    record->fork_count = loom_window_fork_count();
    return record;
}

static parloom_status try_create(const struct loom_fill_source *source, size_t lead, enum loom_segment_access access,
                                 const char *folder, struct loom_segment **segment_out, parloom_error *error)
{
    parloom_status status = loom_window_is_attached() ? PARLOOM_OK : loom_window_open(error);
    if (status) return status;
    struct loom_segment_record *record = loom_segment_record_make(access, folder);
    if (!record) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory for the record of a segment");
    status = loom_segment_place_fill(record, source, lead, error);
    if (status) {
        free((void *)(uintptr_t)record->folder.path);
        free(record);
        return status;
    }
    record->segment.used_nbytes = source->nbytes;
    status = loom_segment_enroll(record, error);
    if (status) {
        loom_segment_discard(record);
        return status;
    }
    *segment_out = &record->segment;
    return PARLOOM_OK;
}

/* true: there were some. */
static bool drop_warm(void)
{
    loom_segment_lock();
    struct loom_segment_record *dropped = loom_segment_warm_drain();
    loom_segment_unlock();
    discard_list(dropped);
    return dropped != NULL;
}

/* What lacks may be what the kept ones hold: bytes of a place, descriptors, addresses. */
static parloom_status create(const struct loom_fill_source *source, size_t lead, enum loom_segment_access access,
                             const char *folder, struct loom_segment **segment_out, parloom_error *error)
{
    parloom_status status = try_create(source, lead, access, folder, segment_out, error);
    bool is_short = status == PARLOOM_ERR_SPACE || status == PARLOOM_ERR_LIMIT || status == PARLOOM_ERR_MEMORY;
    if (!is_short || !drop_warm()) return status;
    status = try_create(source, lead, access, folder, segment_out, error);
    if (status == PARLOOM_OK) loom_status_clear(error); /* of the first try */
    return status;
}

static parloom_status check(size_t nbytes, enum loom_segment_access access, parloom_error *error)
{
    loom_segment_watch_forks();
    if (nbytes > 0 && access >= LOOM_SEGMENT_READ && access <= LOOM_SEGMENT_FILE) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "a segment needs at least one byte and an access");
}

parloom_status loom_segment_create(size_t nbytes, enum loom_segment_access access, const char *folder,
                                   struct loom_segment **segment_out, parloom_error *error)
{
    const struct loom_fill_source nothing = { .nbytes = nbytes };
    parloom_status status = check(nbytes, access, error);
    return status ? status : create(&nothing, 0, access, folder, segment_out, error);
}

static void reuse(struct loom_segment *warm, const struct loom_fill_source *source, size_t lead)
{
    if (loom_fill_has_source(source)) loom_fill_bring_all(source, warm->address + lead);
    warm->used_nbytes = source->nbytes;
    warm->owner = NULL;
}

parloom_status loom_segment_create_filled(const struct loom_fill_source *source, size_t lead,
                                          enum loom_segment_access access, const char *folder,
                                          struct loom_segment **segment_out, parloom_error *error)
{
    parloom_status status = check(source->nbytes, access, error);
    if (status) return status;
    const struct loom_segment_folder place = loom_segment_place_look(folder);
    loom_segment_lock();
    struct loom_segment_record *warm =
        loom_segment_warm_take((uint64_t)source->nbytes + lead, access, &place, loom_memory_policy_now());
    loom_segment_unlock();
    if (!warm) return create(source, lead, access, folder, segment_out, error);
    reuse(&warm->segment, source, lead);
    *segment_out = &warm->segment;
    return PARLOOM_OK;
}

parloom_status loom_segment_create_copy(const void *data, size_t nbytes, size_t lead, enum loom_segment_access access,
                                        const char *folder, struct loom_segment **segment_out, parloom_error *error)
{
    const struct loom_fill_source source = { .data = data, .nbytes = nbytes };
    return loom_segment_create_filled(&source, lead, access, folder, segment_out, error);
}

void loom_segment_release(struct loom_segment *segment, bool keep)
{
    if (!segment) return;
    struct loom_segment_record *record = loom_segment_record_of(segment);
    struct loom_segment_record *dropped = NULL;
    loom_segment_lock();
    if (record->holds > 0) {
        record->holds--;
        loom_segment_unlock();
        return;
    }
    bool is_kept = keep && loom_segment_warm_keep(record, &dropped);
    if (!is_kept) loom_segment_withdraw(record);
    loom_segment_unlock();
    if (!is_kept) loom_segment_discard(record);
    discard_list(dropped);
}

void loom_segment_trim(void)
{
    (void)drop_warm();
}

/* ---------------------------------------------------------------- questions */

struct loom_segment *loom_segment_of(const void *address)
{
    struct loom_segment_record *record = loom_segment_index_find(address);
    return record && !record->is_kept ? &record->segment : NULL;
}

size_t loom_segment_live_count(void)
{
    loom_segment_lock();
    size_t count = registry.live_count;
    loom_segment_unlock();
    return count;
}

size_t loom_segment_live_nbytes(void)
{
    loom_segment_lock();
    size_t nbytes = registry.live_nbytes;
    loom_segment_unlock();
    return nbytes;
}
