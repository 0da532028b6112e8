/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_builtin.c - the codecs that come with the library, in the order in which they are asked about a file. */
#include "rest/codec_builtin.h"

#include <pthread.h>
#include <string.h>

static const int FORMS[] = { 0, 1 };

static const struct {
    const char *name;
    const parloom_codec_ops *ops;
    int form;
    const char *option, *package;
    const struct loom_codec_joint *joint;
    bool (*measure)(int fd, uint64_t at, struct loom_codec_extent *extent_out);
} BUILTIN[] = {
    { "zlib", &loom_codec_zlib_ops, LOOM_CODEC_ZLIB, "PARLOOM_WITH_ZLIB", "zlib1g-dev", &loom_codec_zlib_joint, NULL },
    { "gzip", &loom_codec_gzip_ops, LOOM_CODEC_GZIP, "PARLOOM_WITH_ZLIB", "zlib1g-dev", NULL, NULL },
    { "bz2", &loom_codec_bz2_ops, 0, "PARLOOM_WITH_BZ2", "libbz2-dev", NULL, NULL },
    { "xz", &loom_codec_xz_ops, LOOM_CODEC_XZ, "PARLOOM_WITH_LZMA", "liblzma-dev", NULL, NULL },
    { "lzma", &loom_codec_lzma_ops, LOOM_CODEC_LZMA, "PARLOOM_WITH_LZMA", "liblzma-dev", NULL, NULL },
    { "lz4", &loom_codec_lz4_ops, 0, "PARLOOM_WITH_LZ4", "liblz4-dev", NULL, loom_codec_lz4_measure },
    { "zstd", &loom_codec_zstd_ops, 0, "PARLOOM_WITH_ZSTD", "libzstd-dev", NULL, loom_codec_zstd_measure },
    /* Last: what it writes begins with no word of its own. */
    { "blosc", &loom_codec_blosc_ops, LOOM_CODEC_BLOSC_LZ4, "PARLOOM_WITH_BLOSC", "libblosc-dev", NULL,
      loom_codec_blosc_measure },
    { "blosc-zstd", &loom_codec_blosc_zstd_ops, LOOM_CODEC_BLOSC_ZSTD, "PARLOOM_WITH_BLOSC", "libblosc-dev", NULL,
      loom_codec_blosc_measure },
};
enum { COUNT = sizeof BUILTIN / sizeof BUILTIN[0] };

static struct loom_codec codecs[COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_codecs(void)
{
    for (size_t k = 0; k < COUNT; k++) {
        strncpy(codecs[k].name, BUILTIN[k].name, sizeof codecs[k].name - 1);
        codecs[k].ops = *BUILTIN[k].ops;
        codecs[k].state = (void *)(uintptr_t)&FORMS[BUILTIN[k].form];
        codecs[k].option = BUILTIN[k].option;
        codecs[k].package = BUILTIN[k].package;
        codecs[k].joint = BUILTIN[k].joint;
        codecs[k].measure = BUILTIN[k].measure;
    }
}

struct loom_codec *loom_codec_builtin(size_t k)
{
    pthread_once(&once, fill_codecs);
    return k < COUNT ? &codecs[k] : NULL;
}
