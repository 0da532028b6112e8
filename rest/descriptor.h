/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptor.h - read and write a descriptor from its position on: files, pipes, sockets. Functions give 0 or an errno.
 */
#ifndef LOOM_REST_DESCRIPTOR_H
#define LOOM_REST_DESCRIPTOR_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All of it, waiting where the descriptor does not block. EPIPE comes without SIGPIPE. */
int loom_descriptor_write(int fd, const void *data, size_t nbytes);
/* What is there, at least a byte and at most nbytes; *got_out 0: the end. */
int loom_descriptor_read_some(int fd, void *data, size_t nbytes, size_t *got_out);
/* Bytes from the position to the end; UINT64_MAX: not a regular file. */
uint64_t loom_descriptor_left(int fd);

#ifdef __cplusplus
}
#endif
#endif
