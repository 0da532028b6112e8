/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 14_futures.c - calls that are submitted one by one while the program goes on: taken as they end, called back,
 * cancelled; one of them crashes, and costs only itself.
 *
 * After how many steps do numbers come down to 1 when 3n + 1 and n / 2 are applied in turn?
 */
#include <parloom/parloom.h>

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

enum { ASKED = 6 };

/* args[0]: where it begins; 0 is no number to begin with. */
static int count_steps(const parloom_task *task, void *const *args)
{
    unsigned long long n = *(const unsigned long long *)args[0];
    long steps = 0;
    if (n == 0) raise(SIGSEGV);
    for (; n > 1; steps++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return parloom_return(task, &steps, sizeof steps);
}

static parloom_future *submit(unsigned long long start)
{
    parloom_arg args[] = { parloom_in(&start, sizeof start) }; /* copied before parloom_submit returns */
    parloom_call call = { count_steps, args, 1 };
    parloom_future *future;
    parloom_error error;
    if (parloom_submit(&future, &call, PARLOOM_OPTIONS(.n_jobs = 2), &error) == PARLOOM_OK) return future;
    fprintf(stderr, "%s\n", error.message);
    return NULL;
}

struct answer {
    long steps;
    sem_t is_there;
};

/* Runs in a thread of the library, or in that which cancels. */
static int keep_answer(parloom_future *future, void *state)
{
    struct answer *answer = state;
    parloom_result result;
    parloom_status status = parloom_future_wait(future, 0, &result, NULL); /* it has ended */
    if (status == PARLOOM_OK && result.status == PARLOOM_OK) answer->steps = *(const long *)result.data;
    sem_post(&answer->is_there);
    return 0;
}

/* The order in which they end is not known: the answers are kept by where they belong. */
static int take_as_they_end(parloom_future **futures, const unsigned long long *starts)
{
    parloom_future *left[ASKED], *ended;
    parloom_error error;
    int n_failed = 0;
    long steps[ASKED] = { 0 };
    for (int k = 0; k < ASKED; k++) left[k] = futures[k];
    while (parloom_future_next(left, ASKED, 60, &ended, &error) == PARLOOM_OK && ended != NULL) {
        parloom_result result;
        if (parloom_future_wait(ended, 0, &result, &error) != PARLOOM_OK) return -1;
        for (int k = 0; k < ASKED && result.status == PARLOOM_OK; k++)
            if (futures[k] == ended) steps[k] = *(const long *)result.data;
        n_failed += result.status == PARLOOM_ERR_CRASHED;
    }
    for (int k = 0; k < ASKED; k++) {
        const char *state = parloom_future_state_name(parloom_future_poll(futures[k]));
        printf("%llu: %s, %ld steps\n", starts[k], state, steps[k]);
    }
    return n_failed;
}

int main(void)
{
    const unsigned long long starts[ASKED] = { 27, 97, 871, 0, 6171, 77031 };
    parloom_future *futures[ASKED];
    struct answer answer = { .steps = -1 };
    sem_init(&answer.is_there, 0, 0);
    for (int k = 0; k < ASKED; k++)
        if ((futures[k] = submit(starts[k])) == NULL) return 1;
    if (parloom_future_on_done(futures[0], keep_answer, &answer, NULL) != PARLOOM_OK) return 1;
    int n_failed = take_as_they_end(futures, starts);
    printf("%d worker crashed\n", n_failed);
    for (int k = 0; k < ASKED; k++) parloom_future_release(futures[k]);

    parloom_future *last = submit(837799);
    if (last == NULL) return 1;
    bool is_cancelled = parloom_future_cancel(last); /* or it has begun */
    parloom_result result;
    if (parloom_future_wait(last, -1, &result, NULL) != PARLOOM_OK) return 1;
    bool is_right = is_cancelled ? result.status == PARLOOM_ERR_CANCELLED : *(const long *)result.data == 524;
    printf("the last one was cancelled, or is right: %s\n", is_right ? "yes" : "no");
    parloom_future_release(last);
    sem_wait(&answer.is_there);
    printf("the callback was told of %ld steps\n", answer.steps);
    sem_destroy(&answer.is_there);
    return 0;
}
