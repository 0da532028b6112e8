/* SPDX-License-Identifier: BSD-3-Clause */
/* peer.c - see peer.h. */
#include "peer.h"

#include <math.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rounds.h"

enum { LINE_BYTES = 512, PATH_BYTES = 1024 };

struct peer {
    pid_t pid;
    FILE *answers;
    int fd;
    char line[LINE_BYTES];
};

extern char **environ;

static pid_t spawn(char *const argv[], int fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    pid_t pid;
    int failure = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure) fprintf(stderr, "could not start %s: %s\n", argv[0], strerror(failure));
    return failure ? -1 : pid;
}

static struct peer *start(char *const argv[])
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return NULL;
    struct peer *peer = calloc(1, sizeof *peer);
    pid_t pid = peer ? spawn(argv, ends[1]) : -1;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        free(peer);
        return NULL;
    }
    peer->pid = pid;
    peer->fd = ends[0];
    peer->answers = fdopen(ends[0], "r");
    return peer;
}

static void path_beside(const char *program, char path_out[PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", path_out, PATH_BYTES - 1);
    path_out[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path_out, '/');
    size_t folder = slash ? (size_t)(slash - path_out) + 1 : 0;
    snprintf(path_out + folder, PATH_BYTES - folder, "%s", program);
}

struct peer *peer_start(const char *program)
{
    char path[PATH_BYTES], serve[] = "--serve";
    path_beside(program, path);
    return start((char *[]){ path, serve, NULL });
}

struct peer *peer_start_python(const char *script)
{
    char python[] = "/usr/bin/python3", folder[PATH_BYTES], path[PATH_BYTES + LINE_BYTES];
    path_beside("", folder);
    snprintf(path, sizeof path, "%s/%s", BENCHMARKS_PEERS, script);
    return start((char *[]){ python, path, folder, NULL });
}

void peer_stop(struct peer *peer)
{
    if (!peer) return;
    shutdown(peer->fd, SHUT_WR); /* it reads the end of its input, and ends */
    int status;
    while (waitpid(peer->pid, &status, 0) < 0) continue;
    fclose(peer->answers);
    free(peer);
}

double peer_answer(const struct peer *peer, size_t k)
{
    if (!peer) return ROUNDS_UNKNOWN;
    const char *at = peer->line;
    double value = ROUNDS_UNKNOWN;
    for (size_t i = 0; i <= k; i++) {
        char *end;
        value = strtod(at, &end);
        if (end == at) return ROUNDS_UNKNOWN;
        at = end;
    }
    return value;
}

double peer_ask(struct peer *peer, const char *format, ...)
{
    if (!peer) return ROUNDS_UNKNOWN;
    char question[LINE_BYTES];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(question, sizeof question - 1, format, values);
    va_end(values);
    question[length] = '\n';
    /* NOSIGNAL: a peer that has died costs its own figures, not the run. */
    bool told = send(peer->fd, question, (size_t)length + 1, MSG_NOSIGNAL) == length + 1;
    question[length] = '\0';
    if (!told || !fgets(peer->line, sizeof peer->line, peer->answers)) {
        snprintf(peer->line, sizeof peer->line, "peer %d has ended\n", (int)peer->pid);
    }
    double value = peer_answer(peer, 0);
    if (isnan(value)) fprintf(stderr, "no answer to '%s': %s", question, peer->line);
    return value;
}
