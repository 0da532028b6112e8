/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_folder.h - the folders of the local store: opened, made, listed, thrown away.
 *
 * Trust   Only folders are opened that are ours or root's and that nobody else may write, and never through a link;
 *         from there on names are looked up in descriptors, so that who moves folders about meanwhile moves nothing
 *         else under our hands. is_shared leaves out the question whose they are, and nothing of the rest.
 * Names   What is listed, evicted or removed has a name that we gave: 32 hexadecimal digits.
 *
 * Functions that return bool or a descriptor (-1) leave errno when they fail; EPERM: not trusted. Any thread and
 * process at once.
 */
#ifndef LOOM_REST_CACHE_FOLDER_H
#define LOOM_REST_CACHE_FOLDER_H

#include "rest/cache.h"

#include <dirent.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOOM_CACHE_DIGITS_BYTES = 33 }; /* of a key, or of a random name */

/* Where a local store lies, and how it is treated. */
struct loom_cache_root {
    bool is_durable, is_shared;
    char path[PARLOOM_CACHE_PATH_BYTES]; /* LOCATION/parloom */
};

/* ---- open: rest/cache_folder.c */
int loom_cache_folder_open_root(const struct loom_cache_root *root);
int loom_cache_folder_open(const struct loom_cache_root *root, int parent, const char *name);
/* name in root. */
int loom_cache_folder_open_in_root(const struct loom_cache_root *root, const char *name);
/* Made where they are missing, root with what is above it; root has a .gitignore then. */
int loom_cache_folder_make_root(const struct loom_cache_root *root);
int loom_cache_folder_make_in_root(const struct loom_cache_root *root, const char *name);
/* failed_out: the folder that could not be made, or "". */
int loom_cache_folder_make_in_root_or_say(const struct loom_cache_root *root, const char *name,
                                          char failed_out[PARLOOM_CACHE_PATH_BYTES]);
/* IO, EPERM: root is there, and not trusted; the message says what to do. */
parloom_status loom_cache_folder_check(const struct loom_cache_root *root, parloom_error *error);
/* Forces to the disk what is open, and the name of root. */
bool loom_cache_folder_sync(int fd);
bool loom_cache_folder_sync_above(const struct loom_cache_root *root);
/* NULL as fdopendir. Takes the descriptor, also when it fails, and -1. */
DIR *loom_cache_folder_list_of(int fd);
/* What others may do with folders and files that are made. */
unsigned loom_cache_folder_mode(const struct loom_cache_root *root);
/* The key in "function/key"; the function is copied. */
const char *loom_cache_folder_split(const char *item, char function[LOOM_CACHE_FOLDER_BYTES]);
bool loom_cache_folder_is_digits(const char *name);
/* A name that nobody has. */
bool loom_cache_folder_choose(char name[LOOM_CACHE_DIGITS_BYTES]);

/* ---- remove: rest/cache_removal.c */
/* Removes a file or a folder with all that is in it, as far as possible; links are not followed. */
void loom_cache_folder_remove(int parent, const char *name);
/* Takes the name away at once, then removes. What is not there is done. item: "function/key". */
bool loom_cache_folder_discard(const struct loom_cache_root *root, int parent, const char *name);
bool loom_cache_folder_discard_item(const struct loom_cache_root *root, const char *item);
/* All entries of a function; of all functions, and what is below .work and belongs to nobody that lives. */
bool loom_cache_folder_discard_function(const struct loom_cache_root *root, const char *name);
bool loom_cache_folder_discard_all(const struct loom_cache_root *root);
/* Removes that alone; work: .work. */
void loom_cache_folder_sweep(const struct loom_cache_root *root, int work);

/* ---- list: rest/cache_listing.c */
bool loom_cache_folder_list(const struct loom_cache_root *root, void (*each)(const parloom_cache_item *, void *),
                            void *state);

#ifdef __cplusplus
}
#endif
#endif
