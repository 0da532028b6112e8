/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * messages.h - what program, supervisor and workers say to each other over SOCK_SEQPACKET sockets.
 *
 * One fixed struct per kind; whoever receives checks magic, kind and length, and ignores the rest. Descriptors travel
 * as SCM_RIGHTS.
 *
 *  message   from        to           descriptors
 *  hello     supervisor  program      pidfd of the supervisor
 *  control   program     supervisor   OPEN_CREW: event socket, bells; ADD_SEGMENT: the segment
 *  event     supervisor  program      -        (over the socket of the crew)
 *  fetch     worker      supervisor   -        (over the socket of the worker)
 *  fetched   supervisor  worker       the segments found, in order
 */
#ifndef LOOM_BACKENDS_MESSAGES_H
#define LOOM_BACKENDS_MESSAGES_H

#include "backends/supervisor.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_MESSAGE_MAGIC = 0x4d4f4f4c, LOOM_MESSAGE_FDS = 64, LOOM_MESSAGE_BELLS = 16 };

enum loom_message_kind {
    LOOM_MESSAGE_HELLO = 1,
    LOOM_MESSAGE_OPEN_CREW,
    LOOM_MESSAGE_CLOSE_CREW,
    LOOM_MESSAGE_START_WORKER,
    LOOM_MESSAGE_KILL_WORKER,
    LOOM_MESSAGE_ADD_SEGMENT,
    LOOM_MESSAGE_REMOVE_SEGMENT,
    LOOM_MESSAGE_EVENT,
    LOOM_MESSAGE_FETCH,
    LOOM_MESSAGE_FETCHED
};

struct loom_message_head {
    uint32_t magic;
    uint32_t kind;
};

/* Followed by modules_nbytes of text: "<identity> <name>\n" for each module the supervisor started with. */
struct loom_message_hello {
    struct loom_message_head head;
    int32_t pid;
    int32_t thread_count;
    uint32_t modules_nbytes;
    uint32_t reserved;
};

struct loom_message_control {
    struct loom_message_head head;
    uint32_t crew; /* or the id of a segment */
    uint32_t seat;
    uint32_t generation;
    int32_t level;
    int32_t bell_count;
    uint32_t reserved;
    uint64_t board_address;
};

struct loom_message_event {
    struct loom_message_head head;
    struct loom_worker_event event;
};

struct loom_message_fetch {
    struct loom_message_head head;
    uint32_t count;
    uint32_t ids[LOOM_MESSAGE_FDS];
    uint32_t generations[LOOM_MESSAGE_FDS];
};

struct loom_message_fetched {
    struct loom_message_head head;
    uint32_t count;
    uint8_t is_found[LOOM_MESSAGE_FDS]; /* the n-th 1 belongs to the n-th descriptor */
};

/* Sends one message; flags: MSG_DONTWAIT or 0. 0 or an errno. Never SIGPIPE. */
int loom_message_send(int fd, const void *message, size_t nbytes, const int *fds, size_t n_fds, int flags);
/* Receives one. Its length; 0: the other side is gone; a negative errno (EPROTO: too long or too many descriptors;
 * they are closed then). *n_fds: room, then count; descriptors are >= 3 and close-on-exec. */
ssize_t loom_message_receive(int fd, void *message, size_t nbytes, int *fds, size_t *n_fds, int flags);
/* Magic and kind of a message of exactly this length. */
bool loom_message_is(const void *message, ssize_t length, enum loom_message_kind kind, size_t expected_nbytes);

#ifdef __cplusplus
}
#endif
#endif
