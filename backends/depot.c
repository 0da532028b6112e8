/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * depot.c - segment id -> descriptor; and the working directories that calls need.
 *
 * Order    the program sends a descriptor before it publishes the segment. A worker that saw the publication may still
 *          ask before that message was read here: so everything the program has sent is read before each answer.
 */
#include "backends/depot.h"

#include "backends/messages.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ID_MAX = 1 << 20 }; /* a program has at most 65 530 mappings: larger ids are rubbish */

static struct shelf {
    uint32_t generation;
    int fd;
} * shelves;
static size_t shelf_count;

/* Calls that overlap may need several; where two of them share a place, workers of the older one try its path. */
enum { DIRECTORIES = 16 };
static struct shelf directories[DIRECTORIES]; /* generation 0: empty */

static struct shelf *directory_shelf(uint32_t number)
{
    return &directories[number % DIRECTORIES];
}

static bool make_room(uint32_t id)
{
    if (id < shelf_count) return true;
    if (id >= ID_MAX) return false;
    size_t room = shelf_count == 0 ? 64 : shelf_count;
    while (room <= id) room *= 2;
    struct shelf *larger = loom_memory_grow(shelves, room, sizeof *larger);
    if (larger == NULL) return false;
    for (size_t i = shelf_count; i < room; i++) larger[i] = (struct shelf){ .fd = -1 };
    shelves = larger;
    shelf_count = room;
    return true;
}

static void clear(struct shelf *shelf)
{
    if (shelf->fd >= 0) (void)close(shelf->fd);
    *shelf = (struct shelf){ .fd = -1 };
}

static void put_directory(uint32_t number, int fd)
{
    struct shelf *shelf = directory_shelf(number);
    if (shelf->generation != 0) (void)close(shelf->fd);
    *shelf = (struct shelf){ .generation = number, .fd = fd };
}

static void remove_directory(uint32_t number)
{
    struct shelf *shelf = directory_shelf(number);
    if (shelf->generation != number || number == 0) return;
    (void)close(shelf->fd);
    *shelf = (struct shelf){ .generation = 0 };
}

void loom_depot_put(uint32_t id, uint32_t generation, int fd)
{
    if (id == LOOM_DEPOT_DIRECTORY) {
        put_directory(generation, fd);
        return;
    }
    if (!make_room(id)) {
        (void)close(fd); /* workers that ask are told it is gone; their call fails, the program lives */
        return;
    }
    clear(&shelves[id]);
    shelves[id] = (struct shelf){ .generation = generation, .fd = fd };
}

void loom_depot_remove(uint32_t id, uint32_t generation)
{
    if (id == LOOM_DEPOT_DIRECTORY) remove_directory(generation);
    if (id < shelf_count && shelves[id].generation == generation) clear(&shelves[id]);
}

void loom_depot_close_all(void)
{
    for (size_t i = 0; i < shelf_count; i++) clear(&shelves[i]);
    free(shelves);
    shelves = NULL;
    shelf_count = 0;
    for (uint32_t number = 0; number < DIRECTORIES; number++) remove_directory(directories[number].generation);
}

static int find(uint32_t id, uint32_t generation)
{
    if (id == LOOM_DEPOT_DIRECTORY) {
        const struct shelf *shelf = directory_shelf(generation);
        return shelf->generation == generation && generation != 0 ? shelf->fd : -1;
    }
    return id < shelf_count && shelves[id].generation == generation ? shelves[id].fd : -1;
}

int loom_depot_answer(int fetch_fd, void (*sync)(void))
{
    struct loom_message_fetch request;
    ssize_t length = loom_message_receive(fetch_fd, &request, sizeof request, NULL, NULL, MSG_DONTWAIT);
    if (length == -EAGAIN) return 0;
    if (!loom_message_is(&request, length, LOOM_MESSAGE_FETCH, sizeof request) || request.count > LOOM_MESSAGE_FDS)
        return length < 0 ? (int)-length : EPROTO;
    sync();

    struct loom_message_fetched answer = { .head = { LOOM_MESSAGE_MAGIC, LOOM_MESSAGE_FETCHED },
                                           .count = request.count };
    int fds[LOOM_MESSAGE_FDS];
    size_t n_fds = 0;
    for (uint32_t i = 0; i < request.count; i++) {
        int fd = find(request.ids[i], request.generations[i]);
        if (fd < 0) continue;
        answer.is_found[i] = 1;
        fds[n_fds++] = fd;
    }
    /* A worker that does not read its answers loses them; the supervisor waits for nobody. */
    return loom_message_send(fetch_fd, &answer, sizeof answer, fds, n_fds, MSG_DONTWAIT);
}
