/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_listing.c - which entries there are, how large, and when they were used (see cache_folder.h). */
#include "rest/cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct listing {
    const struct loom_cache_root *root;
    void (*each)(const parloom_cache_item *, void *);
    void *state;
};

/* Bytes of its files. False: it is gone, or no entry. */
static bool measure(int folder, parloom_cache_item *item)
{
    struct stat about;
    bool is_entry = false;
    DIR *list = loom_cache_folder_list_of(folder);
    if (list == NULL) return false;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (fstatat(dirfd(list), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(about.st_mode)) continue;
        item->nbytes += (uint64_t)about.st_size;
        if (strcmp(entry->d_name, "metadata.json") == 0) is_entry = true;
    }
    bool is_known = fstat(dirfd(list), &about) == 0;
    closedir(list);
    item->used_s = (double)about.st_mtim.tv_sec + (double)about.st_mtim.tv_nsec * 1e-9;
    return is_entry && is_known;
}

static void list_function(const struct listing *listing, int parent, const char *function)
{
    char path[2 * PARLOOM_CACHE_PATH_BYTES];
    const struct loom_cache_root *root = listing->root;
    DIR *list = loom_cache_folder_list_of(loom_cache_folder_open(root, parent, function));
    if (list == NULL) return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (!loom_cache_folder_is_digits(entry->d_name)) continue;
        parloom_cache_item item = { .path = path, .name = path + strlen(root->path) + 1 };
        snprintf(path, sizeof path, "%s/%s/%s", root->path, function, entry->d_name);
        if (measure(loom_cache_folder_open(root, dirfd(list), entry->d_name), &item))
            listing->each(&item, listing->state);
    }
    closedir(list);
}

bool loom_cache_folder_list(const struct loom_cache_root *root, void (*each)(const parloom_cache_item *, void *),
                            void *state)
{
    const struct listing listing = { root, each, state };
    int parent = loom_cache_folder_open_root(root);
    if (parent < 0) return errno == ENOENT;
    DIR *list = loom_cache_folder_list_of(parent);
    if (list == NULL) return false;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.') list_function(&listing, parent, entry->d_name);
    closedir(list);
    return true;
}
