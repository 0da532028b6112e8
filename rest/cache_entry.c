/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_entry.c - one entry: a .npy file for each result, and metadata.json, which is written last (docs/cache.md).
 *
 * Believed  An entry is of this call if metadata.json begins with the bytes that this call would write, and if each
 *           file holds an array as it was declared. Anything else is told, and computed again.
 * Replaced  What is open stays of one piece; files may go while it is read. Then it is asked for again.
 */
#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "rest/cache.h"
#include "rest/cache_text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_METADATA_BYTES = 1 << 20, PATH_BYTES = PARLOOM_CACHE_PATH_BYTES + 256, MOST_TRIES = 10 };

static const char CREATED[] = "  \"created_s\": ", DURATION[] = ",\n  \"duration_s\": ",
                  ENDING[] = ",\n  \"ending\": \"", DIGESTS[] = "\",\n  \"digests\": {\n";

/* By their names people see what they are: what reads them looks at the content. */
static const char *ending_of(const char *codec)
{
    static const struct {
        const char *codec, *ending;
    } KNOWN[] = { { "gzip", ".npy.gz" },   { "zlib", ".npy.z" },  { "bz2", ".npy.bz2" }, { "xz", ".npy.xz" },
                  { "lzma", ".npy.lzma" }, { "lz4", ".npy.lz4" }, { "zstd", ".npy.zst" } };
    if (codec == NULL) return ".npy";
    for (size_t k = 0; k < sizeof KNOWN / sizeof KNOWN[0]; k++)
        if (strcmp(codec, KNOWN[k].codec) == 0) return KNOWN[k].ending;
    return ".npy.packed";
}

static void name_file(char path[PATH_BYTES], const parloom_cache_place *place, const char *name, const char *ending)
{
    snprintf(path, PATH_BYTES, "%s/%s%s", place->path, name, ending);
}

bool loom_cache_is_damage(const parloom_error *error)
{
    return error->status == PARLOOM_ERR_FORMAT || error->status == PARLOOM_ERR_UNSUPPORTED ||
           error->status == PARLOOM_ERR_VERSION || (error->status == PARLOOM_ERR_IO && error->sys_errno == ENOENT);
}

/* What is open is read by its descriptor; people are told its path. */
static void tell_path(const parloom_cache_place *place, parloom_error *error)
{
    char folder[PARLOOM_CACHE_PATH_BYTES], *message = NULL;
    char *at = strstr(error->message, place->path);
    if (at == NULL || strncmp(place->path, "/proc/self/fd/", 14) != 0) return;
    ssize_t length = readlink(place->path, folder, sizeof folder - 1);
    if (length <= 0) return;
    folder[length] = '\0';
    if (asprintf(&message, "%.*s%s%s", (int)(at - error->message), error->message, folder, at + strlen(place->path)) <
        0)
        return;
    loom_status_cut(message, sizeof error->message - 1);
    memcpy(error->message, message, strlen(message) + 1);
    free(message);
}

/* -------------------------------------------------------------------------- read */

static parloom_status read_metadata(const parloom_cache_place *place, char **text_out, size_t *nbytes_out,
                                    parloom_error *error)
{
    char path[PATH_BYTES];
    struct stat about;
    name_file(path, place, "metadata", ".json");
    int fd = loom_file_move_up(open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (fd < 0 && errno == ELOOP) return loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "metadata.json is a link");
    if (fd < 0) return loom_status_fail(error, loom_status_of_errno(errno), errno, "could not open %.400s: %m", path);
    bool is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size < MOST_METADATA_BYTES;
    size_t nbytes = is_file ? (size_t)about.st_size : 0;
    char *text = is_file ? loom_memory_zeroed(nbytes + 1, 1) : NULL;
    int failed = !is_file ? EINVAL : text == NULL ? ENOMEM : loom_file_read_all(fd, text, nbytes, 0);
    close(fd);
    if (failed == 0) {
        *text_out = text;
        *nbytes_out = nbytes;
        return PARLOOM_OK;
    }
    free(text);
    return loom_status_fail(error, failed == ENOMEM ? PARLOOM_ERR_MEMORY : PARLOOM_ERR_FORMAT, 0,
                            "metadata.json cannot be read");
}

/* The digest of each result in declared order, and the end. */
static bool parse_digests(const char *text, const parloom_cached *function, struct loom_cache_entry *entry)
{
    const parloom_cache_function *definition = &function->definition;
    for (size_t k = 0; k < definition->n_results; k++) {
        char line[PARLOOM_CACHE_NAME_BYTES + 64], *digest = entry->digests.text[k];
        int length = snprintf(line, sizeof line, "%s    \"%s\": \"", k > 0 ? ",\n" : "", definition->results[k].name);
        if (strncmp(text, line, (size_t)length) != 0) return false;
        text += length;
        if (strspn(text, "0123456789abcdef") != PARLOOM_DIGEST_TEXT_BYTES - 1) return false;
        memcpy(digest, text, PARLOOM_DIGEST_TEXT_BYTES - 1);
        digest[PARLOOM_DIGEST_TEXT_BYTES - 1] = '\0';
        text += PARLOOM_DIGEST_TEXT_BYTES - 1;
        if (*text++ != '"') return false;
    }
    return strcmp(text, "\n  }\n}\n") == 0;
}

static bool take_text(const char **at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length) != 0) return false;
    *at += length;
    return true;
}

/* "12.50", in every locale. Neither "nan", which would never expire, nor anything else that is not written here. */
static bool take_seconds(const char **at, double *seconds_out)
{
    size_t whole = strspn(*at, "0123456789");
    if (whole == 0 || (*at)[whole] != '.') return false;
    const char *fraction = *at + whole + 1;
    size_t digits = strspn(fraction, "0123456789");
    if (digits == 0 || digits > 9) return false;
    double unit = 1;
    for (size_t k = 0; k < digits; k++) unit *= 10;
    *seconds_out = (double)strtoull(*at, NULL, 10) + (double)strtoull(fraction, NULL, 10) / unit;
    *at = fraction + digits;
    return true;
}

/* What stands behind the arguments: a line can only begin so where it is ours, since texts have no line ends. */
static bool parse_rest(const char *text, size_t from, const parloom_cached *function, struct loom_cache_entry *entry)
{
    const char *at = strstr(text + from, CREATED);
    if (at == NULL || (at != text && at[-1] != '\n') || !take_text(&at, CREATED)) return false;
    if (!take_seconds(&at, &entry->created_s) || !take_text(&at, DURATION)) return false;
    if (!take_seconds(&at, &entry->duration_s) || !take_text(&at, ENDING)) return false;
    size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789.");
    if (length == 0 || length >= sizeof entry->ending) return false;
    memcpy(entry->ending, at, length);
    entry->ending[length] = '\0';
    at += length;
    return take_text(&at, DIGESTS) && parse_digests(at, function, entry);
}

/* Where the line that says the identity begins, and what is behind it. */
static const char *find_identity(const char *text, const char **behind_out)
{
    const char *line = strstr(text, "\n  \"identity\": ");
    *behind_out = line != NULL ? strchr(line + 1, '\n') : NULL;
    return *behind_out != NULL ? line : NULL;
}

/* All but the identity is as in head: a key that was made elsewhere was asked for here. */
static bool is_of_another_identity(const char *text, const char *head, size_t head_nbytes)
{
    const char *behind = NULL, *own_behind = NULL;
    const char *line = find_identity(text, &behind), *own_line = find_identity(head, &own_behind);
    if (line == NULL || own_line == NULL || line - text != own_line - head) return false;
    return memcmp(text, head, (size_t)(line - text)) == 0 &&
           strncmp(behind, own_behind, head_nbytes - (size_t)(own_behind - head)) == 0;
}

static parloom_status check_metadata(const parloom_cached *function, const char *head, size_t head_nbytes,
                                     struct loom_cache_entry *entry, parloom_error *error)
{
    char *text = NULL;
    size_t nbytes = 0;
    parloom_status status = read_metadata(&entry->place, &text, &nbytes, error);
    if (status != PARLOOM_OK) return status;
    bool is_own = nbytes >= head_nbytes && memcmp(text, head, head_nbytes) == 0;
    if (!is_own && is_of_another_identity(text, head, head_nbytes))
        status = loom_status_fail(error, PARLOOM_ERR_VERSION, 0, "it was made by another build or version of %s",
                                  function->definition.name);
    else if (!is_own || !parse_rest(text, head_nbytes, function, entry))
        status = loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "metadata.json is not of this call of %s",
                                  function->definition.name);
    free(text);
    return status;
}

parloom_status loom_cache_entry_open(const parloom_cached *function, const char *item, const char *head,
                                     size_t head_nbytes, struct loom_cache_entry *entry_out, bool *is_there_out,
                                     parloom_error *error)
{
    parloom_cache *cache = function->cache;
    parloom_status status = PARLOOM_OK;
    for (int k = 0; k < MOST_TRIES; k++) {
        status = cache->ops.fetch(cache->store, item, &entry_out->place, is_there_out, error);
        if (status != PARLOOM_OK || !*is_there_out) return status;
        status = check_metadata(function, head, head_nbytes, entry_out, error);
        if (status == PARLOOM_OK) return PARLOOM_OK;
        tell_path(&entry_out->place, error);
        cache->ops.release(cache->store, &entry_out->place);
        if (error->sys_errno != ENOENT) break;
    }
    bool is_without = status == PARLOOM_ERR_IO && error->sys_errno == ENOENT;
    return is_without ? loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "it has no metadata.json") : status;
}

void loom_cache_entry_close(const parloom_cached *function, struct loom_cache_entry *entry)
{
    function->cache->ops.release(function->cache->store, &entry->place);
}

static bool is_as_declared(const parloom_array *array, const parloom_cache_result *result)
{
    bool is_item = result->dtype != PARLOOM_ITEM || array->item_nbytes == result->item_nbytes;
    if (array->dtype != result->dtype || !is_item || !parloom_array_is_native(array)) return false;
    if (result->ndim == PARLOOM_CACHE_TOLD) return true;
    return array->ndim == result->ndim &&
           (result->ndim == 0 ||
            memcmp(array->shape, result->shape, (size_t)result->ndim * sizeof array->shape[0]) == 0);
}

static parloom_status load_result(const parloom_cached *function, const struct loom_cache_entry *entry, size_t k,
                                  parloom_array *array_out, parloom_error *error)
{
    const parloom_cache_result *result = &function->definition.results[k];
    bool can_map = strcmp(entry->ending, ".npy") == 0;
    char path[PATH_BYTES];
    name_file(path, &entry->place, result->name, entry->ending);
    parloom_mmap_mode mode = can_map ? function->mmap_mode : PARLOOM_MMAP_UNSET;
    parloom_status status = parloom_array_load(array_out, path, mode, error);
    if (status == PARLOOM_ERR_INVALID) error->status = PARLOOM_ERR_FORMAT; /* no regular file */
    if (status == PARLOOM_ERR_INVALID) return PARLOOM_ERR_FORMAT;
    if (status != PARLOOM_OK) return status;
    if (!is_as_declared(array_out, result))
        status = loom_status_fail(error, PARLOOM_ERR_FORMAT, 0, "%s%s holds another kind of array than declared",
                                  result->name, entry->ending);
    else if (loom_cache_is_verified(function->cache, mode))
        status = loom_cache_verify_result(function, array_out, k, &entry->digests, error);
    if (status != PARLOOM_OK) parloom_array_release(array_out);
    return status;
}

parloom_status loom_cache_entry_load(const parloom_cached *function, const struct loom_cache_entry *entry,
                                     parloom_array *results_out, parloom_error *error)
{
    parloom_array results[PARLOOM_CACHE_MOST_RESULTS];
    parloom_status status = PARLOOM_OK;
    memset(results, 0, sizeof results);
    for (size_t k = 0; k < function->definition.n_results && status == PARLOOM_OK; k++)
        status = load_result(function, entry, k, &results[k], error);
    if (status == PARLOOM_OK) {
        memcpy(results_out, results, function->definition.n_results * sizeof results[0]);
        return PARLOOM_OK;
    }
    loom_cache_release_results(function, results);
    tell_path(&entry->place, error);
    return status;
}

parloom_status loom_cache_entry_get(const parloom_cached *function, const char *item, const char *head,
                                    size_t head_nbytes, parloom_array *results_out, bool *is_there_out,
                                    parloom_error *error)
{
    parloom_cache *cache = function->cache;
    struct loom_cache_entry entry;
    parloom_status status = PARLOOM_OK;
    for (int k = 0; k < MOST_TRIES; k++) {
        status = loom_cache_entry_open(function, item, head, head_nbytes, &entry, is_there_out, error);
        if (status != PARLOOM_OK || !*is_there_out) return status;
        status = loom_cache_entry_load(function, &entry, results_out, error);
        if (status == PARLOOM_OK && cache->ops.touch != NULL) cache->ops.touch(cache->store, item, &entry.place);
        loom_cache_entry_close(function, &entry);
        if (status == PARLOOM_OK || error->sys_errno != ENOENT) return status;
    }
    return status;
}

/* ------------------------------------------------------------------------- write */

static void add_digests(struct loom_cache_text *text, const parloom_cached *function,
                        const struct loom_cache_digests *digests)
{
    for (size_t k = 0; k < function->definition.n_results; k++)
        loom_cache_text_add(text, "%s    \"%s\": \"%s\"", k > 0 ? ",\n" : "", function->definition.results[k].name,
                            digests->text[k]);
    loom_cache_text_add(text, "\n  }\n}\n");
}

static parloom_status write_metadata(const struct loom_cache_call *call, const parloom_cache_place *place,
                                     double duration_s, const struct loom_cache_digests *digests, parloom_error *error)
{
    struct loom_cache_text text = { NULL, 0, 0, false };
    struct timespec now;
    char path[PATH_BYTES];
    name_file(path, place, "metadata", ".json");
    clock_gettime(CLOCK_REALTIME, &now);
    loom_cache_text_append(&text, call->head, call->head_nbytes);
    const long long duration_ns = llround(duration_s * 1e9); /* no "%f": some locales have a comma */
    loom_cache_text_add(&text, "%s%lld.%06ld%s%lld.%09lld%s%s%s", CREATED, (long long)now.tv_sec, now.tv_nsec / 1000,
                        DURATION, duration_ns / 1000000000, duration_ns % 1000000000, ENDING,
                        ending_of(call->function->cache->options.codec), DIGESTS);
    add_digests(&text, call->function, digests);
    int fd = loom_fault_hit(LOOM_FAULT_OPEN)
                 ? -1
                 : loom_file_move_up(open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    int failed = fd < 0 ? errno : text.is_short ? ENOMEM : loom_file_write_all(fd, text.bytes, text.length, 0);
    if (fd >= 0) close(fd);
    free(text.bytes);
    if (failed == 0) return PARLOOM_OK;
    return loom_status_fail(error, loom_status_of_errno(failed), failed, "could not write %.400s: %m", path);
}

static parloom_status fill(const struct loom_cache_call *call, const parloom_cache_place *place,
                           const parloom_array *results, double duration_s, parloom_error *error)
{
    const parloom_cached *function = call->function;
    const parloom_cache_options *options = &function->cache->options;
    struct loom_cache_digests digests;
    parloom_status status = loom_cache_digest_results(function, results, &digests, error);
    for (size_t k = 0; k < function->definition.n_results && status == PARLOOM_OK; k++) {
        char path[PATH_BYTES];
        name_file(path, place, function->definition.results[k].name, ending_of(options->codec));
        status = parloom_array_dump(&results[k], path, options->codec, options->level, error);
    }
    return status == PARLOOM_OK ? write_metadata(call, place, duration_s, &digests, error) : status;
}

parloom_status loom_cache_entry_write(const struct loom_cache_call *call, const parloom_array *results,
                                      double duration_s, parloom_error *error)
{
    parloom_cache *cache = call->function->cache;
    parloom_cache_place place;
    parloom_status status = cache->ops.begin(cache->store, call->item, &place, error);
    if (status != PARLOOM_OK) return status;
    parloom_error ignored;
    status = fill(call, &place, results, duration_s, error);
    parloom_status ended =
        cache->ops.end(cache->store, call->item, &place, status == PARLOOM_OK, status == PARLOOM_OK ? error : &ignored);
    return status == PARLOOM_OK ? ended : status;
}
