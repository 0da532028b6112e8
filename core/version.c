/* SPDX-License-Identifier: BSD-3-Clause */
/* version.c - which release the loaded library is, whatever headers its user was compiled with. */
#include <parloom/version.h>

const char *parloom_version(void)
{
    return PARLOOM_VERSION_STRING;
}
