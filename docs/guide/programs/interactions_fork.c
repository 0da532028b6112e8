/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <pthread.h>
#include <stdio.h>

static int nothing(const parloom_task *task, void *const *args)
{
    (void)task, (void)args;
    return 0;
}

static void *wait_for_main(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

static void call(const char *what, const char *backend)
{
    parloom_status status = parloom_for(4, nothing, NULL, 0, PARLOOM_OPTIONS(.n_jobs = 2, .backend = backend), NULL);
    printf("%s, %s: %s\n", what, backend, parloom_status_name(status));
}

int main(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    call("one thread", "fork");
    pthread_mutex_lock(&lock);
    if (pthread_create(&thread, NULL, wait_for_main, &lock) != 0) return 1;
    call("two threads", "fork");
    call("two threads", "processes");
    pthread_mutex_unlock(&lock);
    return pthread_join(thread, NULL);
}
