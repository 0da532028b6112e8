/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hides what is written from people who look at files: each byte is turned upside down, behind the word "TURNED". */
static const char WORD[] = "TURNED";

struct turning {
    size_t told; /* bytes of the word that were written or read */
};

static bool recognise(void *state, const void *bytes, size_t nbytes)
{
    (void)state;
    return nbytes >= sizeof WORD - 1 && memcmp(bytes, WORD, sizeof WORD - 1) == 0;
}

static parloom_status begin(void *state, int level, size_t item_nbytes, void **stream_out, parloom_error *error)
{
    (void)state, (void)item_nbytes, (void)error;
    struct turning *turning = calloc(2, sizeof *turning);
    if (turning == NULL) return PARLOOM_ERR_MEMORY;
    turning[1].told = level == PARLOOM_CODEC_DECOMPRESS;
    *stream_out = turning;
    return PARLOOM_OK;
}

static void move_on(parloom_codec_step *step, size_t in, size_t out)
{
    step->in = (const char *)step->in + in;
    step->in_nbytes -= in;
    step->out = (char *)step->out + out;
    step->out_nbytes -= out;
}

static parloom_status turn(void *stream, parloom_codec_step *step, parloom_error *error)
{
    struct turning *turning = stream;
    bool is_reading = turning[1].told != 0;
    (void)error;
    for (; turning->told < sizeof WORD - 1; turning->told++) {
        if (is_reading ? step->in_nbytes == 0 : step->out_nbytes == 0) return PARLOOM_OK;
        if (!is_reading) *(char *)step->out = WORD[turning->told];
        move_on(step, is_reading, !is_reading);
    }
    size_t nbytes = step->in_nbytes < step->out_nbytes ? step->in_nbytes : step->out_nbytes;
    for (size_t k = 0; k < nbytes; k++) ((unsigned char *)step->out)[k] = ((const unsigned char *)step->in)[k] ^ 0xff;
    move_on(step, nbytes, nbytes);
    step->is_done = step->is_last && step->in_nbytes == 0;
    return PARLOOM_OK;
}

int main(void)
{
    const parloom_codec_ops ops = { .struct_size = sizeof ops,
                                    .abi = PARLOOM_CODEC_ABI,
                                    .ending = ".turned",
                                    .recognise = recognise,
                                    .open = begin,
                                    .step = turn,
                                    .close = free,
                                    .most_expansion = 1 };
    int values[] = { 7, 8, 9 };
    const size_t shape[] = { 3 };
    parloom_array array = parloom_array_wrap(values, PARLOOM_I32, 1, shape), again;
    parloom_error error;
    if (parloom_codec_register("turned", &ops, NULL, &error) != PARLOOM_OK ||
        parloom_array_dump(&array, "values.npy.turned", NULL, 0, &error) != PARLOOM_OK ||
        parloom_array_load(&again, "values.npy.turned", PARLOOM_MMAP_UNSET, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    const char *names[32];
    size_t count = parloom_codec_list(names, 32);
    printf("%s: the last value is %d\n", names[count - 1], ((const int *)again.data)[2]);
    parloom_array_release(&again);
    remove("values.npy.turned");
    return parloom_codec_unregister("turned", &error) == PARLOOM_OK ? 0 : 1;
}
