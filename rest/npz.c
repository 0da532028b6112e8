/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npz.c - arrays out of .npz archives: read, or mapped where they are stored as they are.
 *
 * Threads  an archive is only read from after it was opened, at places of one's own: any number at once.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/npy_items.h"
#include "rest/zip.h"
#include "shm/array.h"
#include "shm/mapping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_NBYTES ((size_t)1 << 20) /* what is read, and then summed while it is near */
enum { LABEL_NBYTES = 640 };

struct parloom_npz {
    char *path;
    int fd;
    struct loom_zip zip; /* its members: arrays only, without .npy */
};

/* --------------------------------------------------------------------------- open */

static void keep_arrays(struct loom_zip *zip)
{
    size_t kept = 0;
    for (size_t k = 0; k < zip->n_members; k++) {
        struct loom_zip_member *member = &zip->members[k];
        size_t length = strlen(member->name);
        if (length <= 4 || strcmp(member->name + length - 4, ".npy") != 0) continue;
        zip->names[(size_t)(member->name - zip->names) + length - 4] = '\0';
        zip->members[kept++] = *member;
    }
    zip->n_members = kept;
}

static bool is_npy(int fd)
{
    unsigned char prefix[LOOM_NPY_PREFIX_NBYTES];
    size_t header_nbytes = 0;
    return loom_file_read_all(fd, prefix, sizeof prefix, 0) == 0 &&
           loom_npy_measure(prefix, sizeof prefix, "", &header_nbytes, NULL) == PARLOOM_OK;
}

static parloom_status open_archive(parloom_npz *npz, const char *path, parloom_error *error)
{
    uint64_t nbytes = 0;
    npz->fd = -1;
    npz->path = loom_memory_text(path);
    if (npz->path == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is opened", path);
    parloom_status status = loom_mapping_open_file(path, PARLOOM_MMAP_R, &npz->fd, &nbytes, error);
    if (status == PARLOOM_OK) status = loom_zip_read(&npz->zip, npz->path, npz->fd, nbytes, error);
    if (status == PARLOOM_OK) keep_arrays(&npz->zip);
    if (status == PARLOOM_ERR_FORMAT && is_npy(npz->fd))
        status =
            loom_status_fail(error, PARLOOM_ERR_FORMAT, 0,
                             "%.400s is a .npy file, one array and no archive: load it with parloom_array_load", path);
    return status;
}

parloom_status parloom_npz_open(parloom_npz **npz_out, const char *path, parloom_error *error)
{
    if (npz_out == NULL || path == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no %s given to open an archive",
                                path == NULL ? "path" : "place for it");
    parloom_npz *npz = loom_memory_zeroed(1, sizeof *npz);
    if (npz == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short while %.400s is opened", path);
    parloom_status status = open_archive(npz, path, error);
    if (status != PARLOOM_OK) {
        parloom_npz_close(npz);
        return status;
    }
    *npz_out = npz;
    loom_status_clear(error);
    return PARLOOM_OK;
}

void parloom_npz_close(parloom_npz *npz)
{
    if (npz == NULL) return;
    loom_zip_forget(&npz->zip);
    if (npz->fd >= 0) close(npz->fd);
    free(npz->path);
    free(npz);
}

size_t parloom_npz_count(const parloom_npz *npz)
{
    return npz != NULL ? npz->zip.n_members : 0;
}

const char *parloom_npz_name(const parloom_npz *npz, size_t index)
{
    return index < parloom_npz_count(npz) ? npz->zip.members[index].name : NULL;
}

/* --------------------------------------------------------------------------- load */

struct load {
    const struct loom_zip_member *member;
    struct loom_zip_reader reader;
    struct loom_npy_header header;
    char *header_text;
    char label[LABEL_NBYTES]; /* for messages */
};

static parloom_status parse_rest(struct load *load, const unsigned char *prefix, size_t prefix_nbytes,
                                 size_t header_nbytes, parloom_error *error)
{
    if (header_nbytes > load->member->nbytes)
        return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%.600s ends within its header of %zu bytes", load->label,
                                header_nbytes);
    load->header_text = loom_memory_zeroed(header_nbytes + 1, 1);
    if (load->header_text == NULL)
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, 0, "memory is short for the header of %.600s", load->label);
    size_t had = prefix_nbytes < header_nbytes ? prefix_nbytes : header_nbytes;
    memcpy(load->header_text, prefix, had);
    parloom_status status = loom_zip_reader_read(&load->reader, load->header_text + had, header_nbytes - had, error);
    if (status != PARLOOM_OK) return status;
    return loom_npy_parse(load->header_text, header_nbytes, load->label, &load->header, error);
}

static parloom_status read_header(struct load *load, parloom_error *error)
{
    unsigned char prefix[LOOM_NPY_PREFIX_NBYTES];
    size_t prefix_nbytes = load->member->nbytes < sizeof prefix ? (size_t)load->member->nbytes : sizeof prefix;
    size_t header_nbytes = 0;
    parloom_status status = loom_zip_reader_read(&load->reader, prefix, prefix_nbytes, error);
    if (status == PARLOOM_OK) status = loom_npy_measure(prefix, prefix_nbytes, load->label, &header_nbytes, error);
    if (status == PARLOOM_OK) status = parse_rest(load, prefix, prefix_nbytes, header_nbytes, error);
    if (status != PARLOOM_OK) return status;
    if (load->member->nbytes - load->header.payload_offset == load->header.payload_nbytes) return PARLOOM_OK;
    return loom_status_fail(
        error, PARLOOM_ERR_FORMAT, 0, "%.600s has %llu bytes, its header promises %zu from byte %zu on", load->label,
        (unsigned long long)load->member->nbytes, load->header.payload_nbytes, load->header.payload_offset);
}

static parloom_status read_items(struct load *load, char *items, parloom_error *error)
{
    size_t nbytes = load->header.payload_nbytes;
    parloom_status status = PARLOOM_OK;
    for (size_t at = 0; at < nbytes && status == PARLOOM_OK; at += PIECE_NBYTES)
        status = loom_zip_reader_read(&load->reader, items + at,
                                      nbytes - at < PIECE_NBYTES ? nbytes - at : PIECE_NBYTES, error);
    if (status == PARLOOM_OK) status = loom_zip_reader_check(&load->reader, error);
    return status;
}

static parloom_status load_copy(parloom_array *array, struct load *load, parloom_error *error)
{
    parloom_status status = loom_array_allocate(array, false, error);
    if (status != PARLOOM_OK) return status;
    status = read_items(load, array->data, error);
    if (status == PARLOOM_OK)
        status = loom_npy_make_native(&load->header, load->header_text, array->data, load->label, error);
    if (status != PARLOOM_OK) parloom_array_release(array);
    return status;
}

static parloom_status load_mapped(parloom_array *array, const struct load *load, parloom_mmap_mode mode,
                                  parloom_error *error)
{
    const struct loom_zip *zip = load->reader.zip;
    parloom_status status = loom_npy_check_alignment(&load->header, load->reader.at, load->label, error);
    if (status == PARLOOM_OK)
        status =
            loom_array_map_part(array, zip->path, zip->fd, mode, load->reader.at, load->header.payload_nbytes, error);
    if (status == PARLOOM_OK && load->header.is_swapped) array->flags |= LOOM_ARRAY_SWAPPED;
    return status;
}

static parloom_status load_member(parloom_array *array, struct load *load, parloom_mmap_mode mode, parloom_error *error)
{
    parloom_status status = read_header(load, error);
    if (status != PARLOOM_OK) return status;
    *array = loom_npy_describe(&load->header);
    bool is_stored = load->member->method == LOOM_ZIP_STORED;
    if (mode != PARLOOM_MMAP_UNSET && is_stored) return load_mapped(array, load, mode, error);
    if (mode != PARLOOM_MMAP_UNSET)
        loom_log(LOOM_LOG_WARNING, "%s is deflated and cannot be mapped: it is read into memory", load->label);
    return load_copy(array, load, error);
}

static parloom_status check_mode(const parloom_npz *npz, parloom_mmap_mode mode, parloom_error *error)
{
    parloom_status status = loom_mapping_check_mode(mode, error);
    if (status != PARLOOM_OK || (mode != PARLOOM_MMAP_RW && mode != PARLOOM_MMAP_W)) return status;
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                            "an array in %.400s can be mapped with mode r or c only (PARLOOM_MMAP_R, PARLOOM_MMAP_C): "
                            "what is written would contradict its checksum",
                            npz->path);
}

static const struct loom_zip_member *find(const parloom_npz *npz, const char *name)
{
    for (size_t k = npz->zip.n_members; k > 0; k--)
        if (strcmp(npz->zip.members[k - 1].name, name) == 0) return &npz->zip.members[k - 1];
    return NULL;
}

parloom_status parloom_npz_load(parloom_array *array_out, const parloom_npz *npz, const char *name,
                                parloom_mmap_mode mode, parloom_error *error)
{
    if (array_out == NULL || npz == NULL || name == NULL)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "no %s given to load an array",
                                array_out == NULL ? "place for it"
                                : npz == NULL     ? "archive"
                                                  : "name");
    struct load load = { .member = find(npz, name) };
    parloom_array array;
    parloom_status status = check_mode(npz, mode, error);
    if (status == PARLOOM_OK && load.member == NULL)
        status = loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "%.400s has no array \"%.200s\"", npz->path, name);
    if (status != PARLOOM_OK) return status;
    snprintf(load.label, sizeof load.label, "%.200s in %.400s", name, npz->path);
    status = loom_zip_reader_begin(&load.reader, &npz->zip, load.member, error);
    if (status != PARLOOM_OK) return status;
    status = load_member(&array, &load, mode, error);
    free(load.header_text);
    loom_zip_reader_end(&load.reader);
    if (status != PARLOOM_OK) return status;
    *array_out = array;
    loom_status_clear(error);
    return PARLOOM_OK;
}
