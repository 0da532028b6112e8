/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_log.c - what the tasks of a lane recorded, from the logs of the belt to their parcels (see lane_crew.h). */
#include "backends/lane_crew.h"

#include "backends/globals.h"
#include "base/log.h"

#include <string.h>

static void take_record(struct loom_crew_lane *lane, struct loom_parcel *parcel, uint32_t seat,
                        const struct loom_belt_entry_shared *entry, const void *bytes)
{
    const struct loom_channels *channels = lane->order.run->channels;
    struct loom_record made = { .task = parcel->index, .channel = entry->channel, .worker = (int)seat };
    made.is_last = entry->is_last != 0;
    if (channels != NULL && entry->channel < channels->n)
        (void)loom_records_add(&parcel->records, &made, bytes, entry->nbytes); /* no memory: noted there */
}

static void tell_warning(const void *bytes, size_t nbytes)
{
    char text[512];
    size_t length = strnlen(bytes, nbytes < sizeof text - 1 ? nbytes : sizeof text - 1);
    memcpy(text, bytes, length);
    text[length] = '\0';
    loom_log(LOOM_LOG_WARNING, "%s", text);
}

void loom_lane_take_log(struct loom_crew_lane *lane, uint32_t k, uint32_t seat)
{
    struct loom_belt_entry_shared entry;
    const void *bytes;
    size_t at = 0;
    if (lane->log_nbytes == 0) return;
    while (loom_belt_log_read(lane->belt, LOOM_LANE_PLACES, lane->log_nbytes, k, &at, &entry, &bytes)) {
        if (entry.kind == LOOM_RECORD_ENTRY)
            take_record(lane, lane->on_belt[k], seat, &entry, bytes);
        else if (entry.kind == LOOM_GLOBALS_ENTRY)
            tell_warning(bytes, entry.nbytes);
    }
}
