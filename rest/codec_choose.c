/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_choose.c - "zlib:3", or the ending of a name, or a level alone, to a codec and a level. */
#include "rest/codec.h"

#include "base/options_parse.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { KNOWN_MAX = 64, FAR = 3 };

static void append(char *text, size_t nbytes, const char *word)
{
    size_t used = strlen(text);
    if (used + 1 < nbytes) (void)snprintf(text + used, nbytes - used, "%s%s", used > 0 ? ", " : "", word);
}

static parloom_status refuse_name(const char *text, parloom_error *error)
{
    const char *names[KNOWN_MAX] = { NULL };
    char known[512] = "", wanted[PARLOOM_CODEC_NAME_BYTES];
    size_t count = parloom_codec_list(names, KNOWN_MAX);
    const char *nearest = NULL;
    int least = FAR;
    (void)snprintf(wanted, sizeof wanted, "%.*s", (int)strcspn(text, ":"), text);
    for (size_t k = 0; k < count && k < KNOWN_MAX; k++) {
        int distance = loom_options_parse_distance(wanted, names[k]);
        append(known, sizeof known, names[k]);
        if (distance < least) nearest = names[k];
        if (distance < least) least = distance;
    }
    append(known, sizeof known, "none");
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "there is no codec \"%.64s\"%s%s%s; known are %s", text,
                            nearest != NULL ? " (did you mean \"" : "", nearest != NULL ? nearest : "",
                            nearest != NULL ? "\"?)" : "", known);
}

/* One digit, and nothing after it. */
static parloom_status read_level(const char *text, int *level, parloom_error *error)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL) return PARLOOM_OK;
    if (colon[1] < '0' || colon[1] > '9' || colon[2] != '\0')
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                "codec \"%.64s\": a level is an integer between 1 and 9, or 0 for the codec's default",
                                text);
    int told = colon[1] - '0';
    if (told != 0 && *level != 0 && *level != told)
        return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "codec \"%.64s\" has one level, the call another: %d",
                                text, *level);
    if (told != 0) *level = told;
    return PARLOOM_OK;
}

static parloom_status refuse_archive(const char *path, parloom_error *error)
{
    size_t length = path != NULL ? strlen(path) : 0;
    if (length <= 4 || strcasecmp(path + length - 4, ".npz") != 0) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                            "%.400s is named as an archive of several arrays: one array is a .npy", path);
}

parloom_status loom_codec_choose(const char *text, const char *path, int level, struct loom_codec_choice *choice_out,
                                 parloom_error *error)
{
    struct loom_codec *codec = NULL;
    size_t length = text != NULL ? strcspn(text, ":") : 0;
    bool is_none = text != NULL && length == 4 && memcmp(text, "none", 4) == 0;
    parloom_status status = text == NULL ? refuse_archive(path, error) : PARLOOM_OK;
    if (status == PARLOOM_OK && (level < 0 || level > LOOM_CODEC_LEVEL_MAX))
        status = loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                  "level %d: it is an integer between 1 and 9, or 0 for the codec's default", level);
    if (status == PARLOOM_OK && text != NULL && !is_none) {
        codec = loom_codec_find(text, length);
        status = codec == NULL ? refuse_name(text, error) : read_level(text, &level, error);
    }
    if (status == PARLOOM_OK && is_none) status = read_level(text, &level, error);
    if (status == PARLOOM_OK && text == NULL && path != NULL) codec = loom_codec_find_ending(path);
    /* As joblib has it: compress=3. */
    if (status == PARLOOM_OK && text == NULL && codec == NULL && level != 0) codec = loom_codec_find("zlib", 4);
    if (status == PARLOOM_OK && codec == NULL && level != 0)
        status = loom_status_fail(error, PARLOOM_ERR_INVALID, 0,
                                  "level %d of \"none\": name a codec, as in \"zlib\", or none at all", level);
    if (status == PARLOOM_OK && codec != NULL) status = loom_codec_check(codec, error);
    if (status != PARLOOM_OK) {
        loom_codec_release(codec);
        return status;
    }
    *choice_out = (struct loom_codec_choice){ codec, level };
    return PARLOOM_OK;
}
