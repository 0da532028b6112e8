/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - names of the statuses from one table; fills and clears one error record.
 * Threads: any. Nothing here allocates, so an error about missing memory can always be told.
 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct entry {
    parloom_status status;
    const char *name;
} TABLE[] = {
#define ENTRY(name, value, sentence) { name, #name }, /* the enumerators come from the same table */
    PARLOOM_STATUS_MAP(ENTRY)
#undef ENTRY
};

static const struct entry *find(parloom_status status)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++)
        if (TABLE[i].status == status) return &TABLE[i];
    return NULL;
}

const char *parloom_status_name(parloom_status status)
{
    const struct entry *entry = find(status);
    return entry ? entry->name : "PARLOOM_ERR_UNKNOWN";
}

void loom_status_clear(parloom_error *error)
{
    if (!error) return;
    /* Each call and each result of a stream clears a record: member by member, and of the message its first byte. */
    error->status = PARLOOM_OK;
    error->code = error->sys_errno = error->signal = error->pid = error->attempt = 0;
    error->worker = -1;
    error->task = PARLOOM_NO_TASK;
    error->address = error->peak_nbytes = 0;
    for (size_t k = 0; k < sizeof error->reserved / sizeof error->reserved[0]; k++) error->reserved[k] = 0;
    error->message[0] = '\0';
}

/* A character of several bytes that the end cut is taken away whole: the text stays valid UTF-8. */
static void drop_cut_character(char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0U) == 0x80U) start--;
    if (start == 0 || length - start > 3) return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xF0U ? 4 : lead >= 0xE0U ? 3 : lead >= 0xC0U ? 2 : 1;
    if (wanted > 1 && length - start + 1 < wanted) text[start - 1] = '\0';
}

void loom_status_cut(char *text, size_t length)
{
    if (strlen(text) < length) return;
    text[length] = '\0';
    drop_cut_character(text, length);
}

parloom_status(loom_status_fail)(parloom_error *error, parloom_status status, int sys_errno, const char *format, ...)
{
    if (!error) return status;
    int saved = errno;
    /* Not straight into error->message: an argument may be that very message, made longer on its way up. */
    char message[PARLOOM_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    errno = sys_errno; /* what "%m" says */
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0) message[0] = '\0';
    loom_status_cut(message, sizeof message - 1);

    loom_status_clear(error);
    error->status = status;
    error->sys_errno = sys_errno;
    memcpy(error->message, message, strlen(message) + 1);
    errno = saved;
    return status;
}

parloom_status loom_status_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
        return PARLOOM_ERR_SPACE;
    case ENOMEM:
        return PARLOOM_ERR_MEMORY;
    case EMFILE:
    case ENFILE:
    case EFBIG:
    case EAGAIN:
        return PARLOOM_ERR_LIMIT;
    default:
        return PARLOOM_ERR_IO;
    }
}
