/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * images.c - take, keep and open libraries by value (see images.h).
 *
 * Where from    the file under the library's path, if it is still the one that is loaded; else, where the system lets
 *               us, /proc/self/map_files, which reaches a file that was deleted or replaced.
 * How opened    dlopen of /proc/self/fd/N. The loader knows libraries by these names for ever, so N is never used for
 *               two: it stays open, and the next one is higher.
 */
#include "backends/images.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "shm/segment.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LABEL "parloom-module-"
enum { MOST_OPEN = 256 };

struct image {
    struct image *next;
    struct loom_segment *segment;
    uint64_t nbytes; /* of the file */
    unsigned serial; /* part of its label */
};

static struct {
    pthread_mutex_t lock;
    struct image *first;
    unsigned serial;
    uint32_t owner; /* process whose segments they are; a child of fork has none */
} images = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void forget_in_child(void)
{
    images.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_in_child);
}

/* ------------------------------------------------------------------ sameness */

struct search {
    const char *bytes; /* of the image */
    uint64_t nbytes;
    uint64_t base; /* of the loaded library that is asked for; 0: any */
    uint64_t base_out;
    bool is_found;
};

static bool is_comparable(const ElfW(Phdr) * part)
{
    return part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0 && (part->p_flags & PF_R) != 0;
}

/* First whether all of it is in the image: a file that was cut short is not to be read beyond its end. */
static bool is_same(const struct dl_phdr_info *module, const char *bytes, uint64_t nbytes)
{
    bool has_code = false;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_offset > nbytes || part->p_filesz > nbytes - part->p_offset))
            return false;
    }
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (!is_comparable(part)) continue;
        has_code = has_code || (part->p_flags & PF_X) != 0;
        const void *loaded = (const void *)(module->dlpi_addr + part->p_vaddr); /* NOLINT: an address of the loader */
        if (memcmp(loaded, bytes + part->p_offset, part->p_filesz) != 0) return false;
    }
    return has_code;
}

static int compare(struct dl_phdr_info *module, size_t size, void *state)
{
    (void)size;
    struct search *search = state;
    if (search->base != 0 && module->dlpi_addr != search->base) return 0;
    if (!is_same(module, search->bytes, search->nbytes)) return search->base != 0;
    search->base_out = module->dlpi_addr;
    search->is_found = true;
    return 1;
}

static bool is_loaded(const char *bytes, uint64_t nbytes, uint64_t base, uint64_t *base_out)
{
    struct search search = { .bytes = bytes, .nbytes = nbytes, .base = base };
    (void)dl_iterate_phdr(compare, &search);
    if (search.is_found && base_out != NULL) *base_out = search.base_out;
    return search.is_found;
}

/* ----------------------------------------------------------------- the bytes */

/* NULL: it cannot be read. */
static char *read_whole(const char *path, uint64_t *nbytes_out)
{
    struct stat file;
    char *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0)
        bytes = loom_memory_zeroed(1, (size_t)file.st_size);
    if (bytes != NULL && loom_file_read_all(fd, bytes, (size_t)file.st_size, 0) != 0) {
        free(bytes);
        bytes = NULL;
    }
    (void)close(fd);
    if (bytes != NULL) *nbytes_out = (uint64_t)file.st_size;
    return bytes;
}

/* "/proc/self/map_files/7f00-7f10" of the mapping that holds the address. */
static bool find_map_file(uint64_t address, char *path, size_t size)
{
    char line[512];
    bool is_found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && !is_found && fgets(line, sizeof line, maps) != NULL) {
        uint64_t begin, end;
        is_found = sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2 && address >= begin && address < end;
        if (is_found) (void)snprintf(path, size, "/proc/self/map_files/%" PRIx64 "-%" PRIx64, begin, end);
    }
    if (maps != NULL) (void)fclose(maps);
    return is_found;
}

static char *read_if_same(const char *path, uint64_t base, uint64_t *nbytes_out)
{
    char *bytes = read_whole(path, nbytes_out);
    if (bytes != NULL && is_loaded(bytes, *nbytes_out, base, NULL)) return bytes;
    free(bytes);
    return NULL;
}

static char *read_module(const struct loom_module *module, uint64_t *nbytes_out, parloom_error *error)
{
    char path[128];
    char *bytes = read_if_same(module->path, module->base, nbytes_out);
    if (bytes == NULL && find_map_file(module->base, path, sizeof path))
        bytes = read_if_same(path, module->base, nbytes_out);
    if (bytes == NULL)
        loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0,
                         "%s is no longer the file that the program has loaded: it was deleted or replaced before its "
                         "bytes were taken; make a first call by value (modules = PARLOOM_MODULES_BY_VALUE) right "
                         "after it is loaded, restart the program, or run on threads",
                         module->path);
    return bytes;
}

/* ------------------------------------------------------------------- program */

/* Under the lock. Those that a parent took are the parent's. */
static void leave_parents(void)
{
    if (images.owner != (uint32_t)getpid()) images.first = NULL;
    images.owner = (uint32_t)getpid();
}

/* Under the lock. */
static void trim(void)
{
    for (struct image **link = &images.first; *link != NULL;) {
        struct image *image = *link;
        if (is_loaded(image->segment->address, image->nbytes, 0, NULL)) {
            link = &image->next;
            continue;
        }
        *link = image->next;
        loom_segment_release(image->segment, false);
        free(image);
    }
}

/* Under the lock. */
static parloom_status keep(const char *bytes, uint64_t nbytes, parloom_error *error)
{
    char label[sizeof LABEL + 16];
    struct image *image = loom_memory_zeroed(1, sizeof *image);
    if (image == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "no memory to note a library");
    image->nbytes = nbytes;
    image->serial = ++images.serial;
    (void)snprintf(label, sizeof label, "%s%u", LABEL, image->serial);
    parloom_status status =
        loom_segment_create_copy(bytes, (size_t)nbytes, 0, LOOM_SEGMENT_FILE, label, &image->segment, error);
    if (status != PARLOOM_OK) {
        free(image);
        return status;
    }
    image->next = images.first;
    images.first = image;
    return PARLOOM_OK;
}

static const struct image *find(uint64_t base)
{
    const struct image *image = images.first;
    while (image != NULL && !is_loaded(image->segment->address, image->nbytes, base, NULL)) image = image->next;
    return image;
}

static parloom_status take(const struct loom_module *module, parloom_error *error)
{
    uint64_t nbytes = 0;
    char *bytes = read_module(module, &nbytes, error);
    if (bytes == NULL) return PARLOOM_ERR_FUNCTION;
    trim();
    parloom_status status = keep(bytes, nbytes, error);
    free(bytes);
    return status;
}

parloom_status loom_image_take(const struct loom_module *module, uint64_t *address_out, uint64_t *nbytes_out,
                               parloom_error *error)
{
    parloom_status status = PARLOOM_OK;
    (void)pthread_mutex_lock(&images.lock);
    leave_parents();
    const struct image *image = find(module->base);
    if (image == NULL) {
        status = take(module, error);
        image = images.first;
    }
    if (status == PARLOOM_OK) {
        *address_out = (uint64_t)(uintptr_t)image->segment->address;
        *nbytes_out = image->nbytes;
    }
    (void)pthread_mutex_unlock(&images.lock);
    return status;
}

void loom_image_trim(void)
{
    (void)pthread_mutex_lock(&images.lock);
    leave_parents();
    trim();
    (void)pthread_mutex_unlock(&images.lock);
}

bool loom_image_file(const char *path, char *file, size_t size)
{
    unsigned serial;
    bool is_found = false;
    if (sscanf(path, "/memfd:" LABEL "%u", &serial) != 1) return false;
    (void)pthread_mutex_lock(&images.lock);
    leave_parents();
    for (const struct image *image = images.first; image != NULL && !is_found; image = image->next) {
        if (image->serial != serial) continue;
        (void)snprintf(file, size, "/proc/self/fd/%d", image->segment->fd);
        is_found = true;
    }
    (void)pthread_mutex_unlock(&images.lock);
    return is_found;
}

/* -------------------------------------------------------------------- worker */

static struct {
    uint64_t address;
    uint32_t id, generation; /* of the segment: another one may come to lie there */
    uint64_t base;
} opened[MOST_OPEN]; /* a ring: what fell out is found again by its bytes */
static unsigned next_opened;
static int last_fd = 15; /* above what programs expect to get */

static bool find_opened(const struct loom_segment *segment, uint64_t *base_out)
{
    for (unsigned i = 0; i < MOST_OPEN; i++) {
        if (opened[i].address != (uint64_t)(uintptr_t)segment->address || opened[i].id != segment->id ||
            opened[i].generation != segment->generation)
            continue;
        *base_out = opened[i].base;
        return true;
    }
    return false;
}

/* A number that no library was opened by. */
static int new_descriptor(const void *address)
{
    int fd = loom_segment_descriptor(address);
    if (fd < 0) return -1;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, last_fd + 1);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    if (higher >= 0) last_fd = higher;
    return higher;
}

static parloom_status load(const struct loom_segment *segment, const char *name, uint64_t *base_out,
                           parloom_error *error)
{
    char path[64];
    struct link_map *map = NULL;
    int fd = new_descriptor(segment->address);
    if (fd < 0)
        return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                "the worker has no descriptor for the bytes of %s: %m", name);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0,
                                "the worker could not load %s by value: %s (libraries that it needs must be found by "
                                "the usual search: $ORIGIN means nothing there)",
                                name, dlerror());
    *base_out = map->l_addr;
    return PARLOOM_OK;
}

parloom_status loom_image_open(uint64_t address, uint64_t nbytes, const char *name, uint64_t *base_out,
                               parloom_error *error)
{
    const char *bytes = (const char *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr)
    const struct loom_segment *segment = loom_segment_of(bytes);
    if (segment == NULL || segment->access != LOOM_SEGMENT_FILE || segment->address != bytes ||
        nbytes > segment->nbytes)
        return loom_status_fail(error, PARLOOM_ERR_FUNCTION, 0, "the bytes of %s are not in the worker any more", name);
    if (find_opened(segment, base_out)) return PARLOOM_OK;
    if (is_loaded(bytes, nbytes, 0, base_out)) return PARLOOM_OK; /* by somebody else, who may unload it */
    parloom_status status = load(segment, name, base_out, error);
    if (status != PARLOOM_OK) return status;
    opened[next_opened].address = address;
    opened[next_opened].id = segment->id;
    opened[next_opened].generation = segment->generation;
    opened[next_opened].base = *base_out;
    next_opened = (next_opened + 1) % MOST_OPEN;
    return PARLOOM_OK;
}
