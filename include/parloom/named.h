/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named.h - arrays with a name in /dev/shm, which programs that were started apart share without a copy: a simulation
 * and its viewer, two MPI ranks on a node, a C program and Python.
 *
 *     one program                                            the other
 *     parloom_array_create_named(&a, "field", ...)   ──►     parloom_array_open_named(&b, "field", PARLOOM_MMAP_R, ...)
 *     writes a.data                                          sees what was written, without a copy
 *
 * Names     1 to 255 bytes without "/", not beginning with "."; the array is the file of that name in /dev/shm (mode
 *           0600), for shm_open the name with a "/" before it. Its bytes: docs/named-arrays.md.
 * Owner     who created it, until the array is released or the program ends, however it ends; a child of fork that
 *           neither executes another program nor releases its copy of the array is the owner, too. Who opens an array
 *           is not.
 * Lifetime  the name stays until parloom_array_unlink_named or parloom_clean_named, also when its owner has released
 *           it or ended, as with shm_open; the memory until, beyond that, nobody has it open any more.
 * Order     nothing here orders what one program writes with what another reads: use atomics in the array, a barrier
 *           or a message, as between threads.
 *
 * As an argument of a call a named array is what a mapped file is (parloom_array_map): every worker sees it at its
 * address, nothing is copied, and what is written to it is seen by all programs.
 */
#ifndef PARLOOM_NAMED_H
#define PARLOOM_NAMED_H

#include <parloom/array.h>
#include <parloom/options.h>
#include <parloom/status.h>

#include <stddef.h>

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Creates an array with a name: zero-filled, its space reserved, to be opened by programs of the same user. The name
 * appears when the array is whole; a program that is killed meanwhile leaves none.
 *
 * array_out   set on success; gives: release it with parloom_array_release, which leaves the name
 * name        see above; copied
 * dtype       of its items
 * item_nbytes bytes of one item; 0: the dtype's
 * ndim, shape as parloom_array_wrap
 * strides     steps in bytes, which may be negative; NULL: C order
 * error       NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      no array or name given, the name cannot be one, or dtype, ndim, shape or strides make no
 *                            sense
 *   PARLOOM_ERR_SPACE        /dev/shm or the memory cgroup has no room for it
 *   PARLOOM_ERR_LIMIT        descriptors, mappings or file size are limited
 *   PARLOOM_ERR_MEMORY       out of memory or of addresses
 *   PARLOOM_ERR_IO           sys_errno EEXIST: the name is taken, and the message says whether its owner lives; else a
 *                            system call failed
 *   PARLOOM_ERR_UNSUPPORTED  there is no /dev/shm, or it knows no locks
 * Threads: any thread, also in a task body: then the worker is its owner.
 * Blocks:  for as long as reserving the space takes.
 * Since:   0.1
 * Example: docs/guide/programs/sharing_named.c
 */
parloom_status parloom_array_create_named(parloom_array *array_out, const char *name, parloom_dtype dtype,
                                          size_t item_nbytes, int ndim, const size_t *shape, const ptrdiff_t *strides,
                                          parloom_error *error);

/*
 * Opens an array that another program, or this one, created with a name. Its header is checked against the file, and
 * not looked at again afterwards: what another program writes there later changes nothing for this array.
 *
 * array_out set on success; gives: release it with parloom_array_release, which leaves the name
 * name      as it was created
 * mode      R (also UNSET): read-only, in tasks too; RW: writes are seen by all who have it; C: writes stay with the
 *           process that made them
 * error     NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      no array or name given, the name cannot be one, or mode is W or none
 *   PARLOOM_ERR_FORMAT       what has the name is no named array, its header contradicts itself, or it was cut short
 *   PARLOOM_ERR_VERSION      it was made by another release, or machine, with another layout
 *   PARLOOM_ERR_IO           sys_errno ENOENT: nothing has the name; EPERM: it is another user's; else a system call
 *                            failed
 *   PARLOOM_ERR_MEMORY, PARLOOM_ERR_LIMIT  no memory, addresses, mappings or descriptors
 *   PARLOOM_ERR_SPACE        RW: somebody gave its memory back, and there is no more
 *   PARLOOM_ERR_UNSUPPORTED  there is no /dev/shm
 * Threads: any thread, also in a task body.
 * Blocks:  never for long; RW looks whether all of its space is reserved, some 30 ms a GiB.
 * Since:   0.1
 * Example: docs/guide/programs/sharing_named.c
 */
parloom_status parloom_array_open_named(parloom_array *array_out, const char *name, parloom_mmap_mode mode,
                                        parloom_error *error);

/*
 * Takes the name of an array away, whether its owner lives or not: it can be created anew, and who has the array keeps
 * it until he releases it.
 *
 * name     as it was created
 * error    NULL is fine
 *
 * Returns: PARLOOM_OK, or
 * Errors:
 *   PARLOOM_ERR_INVALID      the name cannot be one
 *   PARLOOM_ERR_FORMAT       what has the name is no named array: it stays
 *   PARLOOM_ERR_IO           sys_errno ENOENT: nothing has the name; EPERM: it is another user's; else a system call
 *                            failed
 *   PARLOOM_ERR_LIMIT        descriptors are limited
 *   PARLOOM_ERR_BUSY         another program has been about to remove it for a second
 *   PARLOOM_ERR_UNSUPPORTED  there is no /dev/shm, or it knows no locks
 * Threads: any thread, also in a task body.
 * Blocks:  while another program removes it, a second at most.
 * Since:   0.1
 * Example: docs/guide/programs/sharing_named.c
 */
parloom_status parloom_array_unlink_named(const char *name, parloom_error *error);

/*
 * Removes named arrays that have no owner any more: of programs that ended, also by SIGKILL, without taking the names
 * away, and of those that have released their array and left the name. Arrays of the living, of other users, and files
 * that are no named arrays stay. Owners are known by locks that the kernel gives back, not by numbers of processes.
 *
 * prefix      only names that begin with it; NULL: all
 * removed_out how many names were removed, set whatever is returned; NULL is fine
 * error       NULL is fine
 *
 * Returns: PARLOOM_OK, also where there was nothing to remove, or, when all that could be removed are,
 * Errors:
 *   PARLOOM_ERR_IO           one could not be looked at or removed: the first such
 *   PARLOOM_ERR_MEMORY       out of memory
 *   PARLOOM_ERR_LIMIT        descriptors are limited
 *   PARLOOM_ERR_UNSUPPORTED  there is no /dev/shm, or it knows no locks
 * Threads: any thread, also in a task body; programs may clean at the same time.
 * Blocks:  never for long: it opens each file of this user's in /dev/shm that might be one. Where another program is
 *          about to remove one, until it has, a second at most.
 * Since:   0.1
 * Example: docs/guide/programs/sharing_leftovers.c
 */
parloom_status parloom_clean_named(const char *prefix, size_t *removed_out, parloom_error *error);

#ifdef __cplusplus
}
#endif
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
