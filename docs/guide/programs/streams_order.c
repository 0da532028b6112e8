/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

/* Gives back a text as long as its number. */
static int repeat(const parloom_task *task, void *const *args)
{
    char text[16];
    int count = *(const int *)args[0];
    if (count == 4) return parloom_fail(task, 1, "four is skipped");
    for (int k = 0; k < count; k++) text[k] = (char)('0' + count);
    return parloom_return(task, text, (size_t)count); /* of any size: it is copied */
}

struct source {
    int next, last;
    parloom_arg args[1];
};

static int next_call(void *state, parloom_call *call_out)
{
    struct source *source = state;
    if (source->next == source->last) return 0;
    source->next++;
    source->args[0] = parloom_in(&source->next, sizeof source->next); /* copied before this is asked again */
    *call_out = (parloom_call){ repeat, source->args, 1 };
    return 1;
}

int main(void)
{
    struct source source = { 0, 6, { parloom_in(NULL, 0) } };
    parloom_stream *stream;
    parloom_result result;
    parloom_error error;
    bool done;
    if (parloom_stream_open(&stream, next_call, &source, true,
                            PARLOOM_OPTIONS(.n_jobs = 2, .on_error = PARLOOM_ON_ERROR_GO_ON), &error) != PARLOOM_OK)
        return 1;
    while (parloom_stream_next(stream, &result, &done, &error) == PARLOOM_OK && !done) {
        if (result.status != PARLOOM_OK)
            printf("%zu: %s\n", result.index, result.error.message);
        else
            printf("%zu: %.*s\n", result.index, (int)result.nbytes, (const char *)result.data);
    }
    parloom_stream_close(stream);
    return 0;
}
