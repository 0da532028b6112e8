/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * messages.c - send and receive one message with descriptors, whole or not at all.
 */
#include "backends/messages.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(LOOM_MESSAGE_FDS * sizeof(int))];
};

/* sendmsg wants a plain pointer although it only reads. */
static void *without_const(const void *data)
{
    void *plain;
    memcpy(&plain, &data, sizeof plain);
    return plain;
}

static void attach_fds(struct msghdr *header, union control_room *room, const int *fds, size_t n_fds)
{
    if (n_fds == 0) return;
    memset(room, 0, sizeof *room);
    header->msg_control = room->bytes;
    header->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
}

int loom_message_send(int fd, const void *message, size_t nbytes, const int *fds, size_t n_fds, int flags)
{
    if (n_fds > LOOM_MESSAGE_FDS) return EINVAL;
    struct iovec part = { .iov_base = without_const(message), .iov_len = nbytes };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    union control_room room;
    attach_fds(&header, &room, fds, n_fds);
    for (;;) {
        if (sendmsg(fd, &header, flags | MSG_NOSIGNAL) >= 0) return 0;
        if (errno != EINTR) return errno;
    }
}

static size_t take_fds(struct msghdr *header, int *fds, size_t room)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
            if (count == room) {
                (void)close(fd);
                header->msg_flags |= MSG_CTRUNC;
                continue;
            }
            fds[count++] = fd < 3 ? loom_file_move_up(fd) : fd;
        }
    }
    return count;
}

ssize_t loom_message_receive(int fd, void *message, size_t nbytes, int *fds, size_t *n_fds, int flags)
{
    struct iovec part = { .iov_base = message, .iov_len = nbytes };
    union control_room room;
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes
    };
    ssize_t length;
    do length = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    size_t fds_room = n_fds == NULL ? 0 : *n_fds;
    if (n_fds != NULL) *n_fds = 0;
    if (length < 0) return -errno;

    size_t count = take_fds(&header, fds, fds_room);
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < count; i++) (void)close(fds[i]);
        return -EPROTO;
    }
    if (n_fds != NULL) *n_fds = count;
    return length;
}

bool loom_message_is(const void *message, ssize_t length, enum loom_message_kind kind, size_t expected_nbytes)
{
    struct loom_message_head head;
    if (length < (ssize_t)sizeof head || (size_t)length != expected_nbytes) return false;
    memcpy(&head, message, sizeof head);
    return head.magic == LOOM_MESSAGE_MAGIC && head.kind == (uint32_t)kind;
}
