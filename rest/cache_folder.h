/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_folder.h - the folders of the local store: made, listed, thrown away. root is LOCATION/parloom. Functions that
 * return bool leave errno when they fail. Any thread and process at once.
 */
#ifndef LOOM_REST_CACHE_FOLDER_H
#define LOOM_REST_CACHE_FOLDER_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes root with what is above it, .work, and .gitignore where there is none. */
bool loom_cache_folder_prepare(const char *root);
/* failed_out: the folder that could not be made. */
bool loom_cache_folder_prepare_or_say(const char *root, char failed_out[PARLOOM_CACHE_PATH_BYTES]);
/* A path below .work that nobody has. */
bool loom_cache_folder_choose(const char *root, char path[PARLOOM_CACHE_PATH_BYTES]);
/* Removes a folder with all that is in it, as far as possible; links are not followed. */
void loom_cache_folder_remove(const char *path);
/* Takes the name away at once, then removes. What is not there is done. */
bool loom_cache_folder_discard(const char *root, const char *path);
bool loom_cache_folder_discard_all(const char *root);
/* Removes what is below .work and belongs to nobody that lives. */
void loom_cache_folder_sweep(const char *root);
bool loom_cache_folder_list(const char *root, void (*each)(const parloom_cache_item *, void *), void *state);
bool loom_cache_folder_sync(const char *path);       /* the folder's names */
bool loom_cache_folder_sync_files(const char *path); /* its files and names */

#ifdef __cplusplus
}
#endif
#endif
