/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawn.c - posix_spawn of /proc/self/exe: its preload, environment, arguments and descriptors.
 *
 * Why /proc/self/exe    also when the executable was deleted or replaced, and for interpreters, it is this program.
 * Environment           as it is now, but LD_* as the program had them at its start: another library path would load
 *                       other libraries, silently. What differs travels under another name and is put back.
 * Arguments             argv[0] alone, standard streams to /dev/null: constructors run a second time, and what they
 *                       print or read would be the program's.
 */
#include "backends/spawn.h"

#include "backends/environment.h"
#include "backends/modules.h"
#include "backends/overseer.h"
#include "backends/startup.h"
#include "backends/tasks.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/process.h"
#include "base/status.h"
#include "shm/window.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

/* Made by the build from backends/preload/preload.c. */
extern const unsigned char loom_preload_image[];
extern const size_t loom_preload_image_nbytes;

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { SOURCE_MIN = 16, SOURCES = 6, ARGUMENTS_MAX = 32 };

struct launch {
    int sources[SOURCES]; /* of LOOM_STARTUP_SOCKET + index; -1: none */
    struct loom_environment environment;
    char cmdline[8192]; /* of a program that ld.so was asked to start */
    char executable[LOOM_MODULE_PATH_BYTES];
    char *arguments[ARGUMENTS_MAX];
};

/* A sealed file in memory that holds the preload: no install path to find, nobody can change it. */
static int open_preload(void)
{
    int fd = memfd_create("parloom-preload", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("parloom-preload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    int failure = loom_file_write_all(fd, loom_preload_image, loom_preload_image_nbytes, 0);
    if (failure == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        failure = errno;
    if (failure == 0) return fd;
    (void)close(fd);
    errno = failure;
    return -1;
}

/* A copy above the numbers the child will use, so that no dup2 there overwrites the source of a later one. Standard
 * streams may be closed: then the child has /dev/null. */
static int lift(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, SOURCE_MIN);
    if (copy < 0 && errno == EBADF) copy = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (copy < 0 && errno == EINVAL) errno = EMFILE; /* the limit of descriptors is below those numbers */
    if (copy < 0 || copy >= SOURCE_MIN) return copy;
    int lifted = fcntl(copy, F_DUPFD_CLOEXEC, SOURCE_MIN);
    (void)close(copy);
    return lifted;
}

static int lift_and_close(int fd)
{
    if (fd < 0) return -1;
    int lifted = lift(fd);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return lifted;
}

/* What the supervisor polls for the program's end. Where there are no pidfds, something that never becomes readable:
 * the socket alone has to tell then. */
static int open_own_pidfd(void)
{
    int pidfd = loom_process_pidfd(getpid());
    return pidfd >= 0 ? pidfd : eventfd(0, EFD_CLOEXEC);
}

static parloom_status open_sources(struct launch *launch, int socket_fd, parloom_error *error)
{
    launch->sources[0] = lift(socket_fd);
    launch->sources[1] = lift(loom_window_header_fd());
    launch->sources[2] = lift_and_close(open_own_pidfd());
    launch->sources[3] = lift(STDOUT_FILENO);
    launch->sources[4] = lift(STDERR_FILENO);
    launch->sources[5] = lift_and_close(open_preload());
    for (int i = 0; i < SOURCES; i++)
        if (launch->sources[i] < 0)
            return loom_status_fail(error, loom_status_of_errno(errno), errno,
                                    "could not open a descriptor for the supervisor of worker processes: %m");
    return PARLOOM_OK;
}

/* Where a place forbids more processes; as JOBLIB_MULTIPROCESSING=0. */
const char *loom_spawn_is_disabled(void)
{
    const char *text = secure_getenv("PARLOOM_DISABLE_PROCESSES");
    bool is_disabled = text != NULL && text[0] != '\0' && strcmp(text, "0") != 0;
    return is_disabled ? "PARLOOM_DISABLE_PROCESSES is set" : NULL;
}

const char *loom_spawn_is_impossible(void)
{
    if (!loom_process_is_secure()) return loom_spawn_is_disabled();
    return "worker processes cannot be started from a setuid program or one with file capabilities (the loader ignores "
           "preloads there)";
}

static parloom_status check_possible(parloom_error *error)
{
    const char *why = loom_spawn_is_impossible();
    if (why == NULL) return PARLOOM_OK;
    return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0, "%s; use backend threads", why);
}

/* "LD_PRELOAD=<runtime that demands to be first>:<ours>:<the user's>" */
static bool add_preload(struct loom_environment *environment)
{
    char sanitizer[LOOM_MODULE_PATH_BYTES];
    bool has_sanitizer = loom_modules_sanitizer(sanitizer, sizeof sanitizer);
    const char *user = loom_environment_start_preload(environment);
    return loom_environment_add(environment, "LD_PRELOAD=%s%s%s%s%s", has_sanitizer ? sanitizer : "",
                                has_sanitizer ? ":" : "", LOOM_STARTUP_PRELOAD, user[0] != '\0' ? ":" : "", user);
}

/* The variable that tells the preload whom to call. */
static parloom_status add_entry(struct loom_environment *environment, parloom_error *error)
{
    void (*entry)(const char *) = loom_overseer_main;
    uint64_t address;
    memcpy(&address, &entry, sizeof address);
    struct loom_module module;
    if (!loom_modules_find(address, &module))
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the loader does not know the file that holds parloom; use backend threads or fork");
    if (module.is_deleted && !module.is_program)
        return loom_status_fail(error, PARLOOM_ERR_VERSION, 0,
                                "%s was deleted or replaced after it was loaded: worker processes cannot load it; "
                                "restart the program",
                                module.path);
    char program[LOOM_STARTUP_IDENTITY_BYTES], identity[LOOM_STARTUP_IDENTITY_BYTES];
    loom_startup_identify_program(program);
    loom_modules_write_identity(&module, identity);
    bool is_added =
        loom_environment_add(environment, "%s=%s %s %" PRIx64 " %" PRIx64 " %d %s", LOOM_STARTUP_VARIABLE, program,
                             identity, address - module.base, loom_window_base(), (int)getpid(), module.path);
    return is_added ? PARLOOM_OK : loom_status_fail(error, PARLOOM_ERR_MEMORY, ENOMEM, "no memory for an environment");
}

static parloom_status make_environment(struct launch *launch, parloom_error *error)
{
    parloom_status status = loom_environment_begin(&launch->environment, error);
    if (status == PARLOOM_OK) status = add_entry(&launch->environment, error);
    if (status != PARLOOM_OK) return status;
    /* One thread each: constructors that start thread pools would leave threads in a process that forks. */
    if (!add_preload(&launch->environment) || !loom_environment_add(&launch->environment, "%s=1", LOOM_STARTUP_OMP) ||
        !loom_environment_add(&launch->environment, "%s=1", LOOM_STARTUP_OPENBLAS))
        return loom_status_fail(error, PARLOOM_ERR_MEMORY, ENOMEM, "no memory for an environment");
    return PARLOOM_OK;
}

static bool has_interpreter(void)
{
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)getauxval(AT_PHDR); /* NOLINT: an address of the kernel */
    for (unsigned long i = 0; parts != NULL && i < getauxval(AT_PHNUM); i++)
        if (parts[i].p_type == PT_INTERP) return true;
    return false;
}

/* A program that somebody started as "ld.so --options program ...": /proc/self/exe is ld.so then. Its options are
 * repeated, the program is named by its absolute path. */
static parloom_status make_loader_arguments(struct launch *launch, parloom_error *error)
{
    static const char *const with_value[] = {
        "--library-path", "--glibc-hwcaps-prepend", "--glibc-hwcaps-mask", "--inhibit-rpath", "--audit", "--preload",
        "--argv0"
    };
    ssize_t length = loom_file_read_text("/proc/self/cmdline", launch->cmdline, sizeof launch->cmdline);
    struct loom_module program;
    if (length <= 0 || !loom_modules_find(getauxval(AT_ENTRY), &program))
        return loom_status_fail(error, PARLOOM_ERR_UNSUPPORTED, 0,
                                "the program was started through the loader in a way that cannot be repeated for "
                                "worker processes; start it directly, or use backend threads or fork");
    int count = 0;
    char *at = launch->cmdline, *end = launch->cmdline + length;
    for (bool is_value = true; at < end && count < ARGUMENTS_MAX - 2; at += strlen(at) + 1) {
        if (!is_value && strncmp(at, "--", 2) != 0) break;
        bool takes_value = false;
        for (size_t i = 0; !is_value && i < sizeof with_value / sizeof with_value[0]; i++)
            takes_value = takes_value || strcmp(at, with_value[i]) == 0;
        launch->arguments[count++] = at;
        is_value = takes_value;
    }
    (void)snprintf(launch->executable, sizeof launch->executable, "%s", program.path);
    launch->arguments[count] = launch->executable;
    return PARLOOM_OK;
}

static parloom_status make_arguments(struct launch *launch, parloom_error *error)
{
    if (getauxval(AT_BASE) == 0 && has_interpreter()) return make_loader_arguments(launch, error);
    launch->arguments[0] = program_invocation_name;
    return PARLOOM_OK;
}

/* valgrind shows its own launcher at /proc/self/exe, but answers readlink with the program. */
static const char *executable(struct launch *launch)
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload == NULL || strstr(preload, "/vgpreload_") == NULL) return "/proc/self/exe";
    ssize_t length = readlink("/proc/self/exe", launch->executable, sizeof launch->executable - 1);
    if (length <= 0) return "/proc/self/exe";
    launch->executable[length] = '\0';
    return launch->executable;
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct launch *launch)
{
    int failure = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (int fd = STDOUT_FILENO; failure == 0 && fd <= STDERR_FILENO; fd++)
        failure = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_WRONLY, 0);
    for (int i = 0; failure == 0 && i < SOURCES; i++)
        failure = posix_spawn_file_actions_adddup2(actions, launch->sources[i], LOOM_STARTUP_SOCKET + i);
    if (failure == 0) failure = posix_spawn_file_actions_addclosefrom_np(actions, LOOM_STARTUP_ABOVE);
    return failure;
}

/* Nothing of the program's signals: a blocked SIGTERM and an ignored SIGPIPE would be inherited. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0) failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0) failure = posix_spawnattr_setpgroup(attributes, 0); /* Ctrl-C reaches the program only */
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
    return failure != 0 ? failure : posix_spawnattr_setflags(attributes, flags);
}

static int spawn(struct launch *launch, pid_t *pid_out)
{
    if (loom_fault_hit(LOOM_FAULT_SPAWN)) return errno;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0) return failure;
    failure = posix_spawnattr_init(&attributes);
    if (failure != 0) goto out_actions;
    failure = set_actions(&actions, launch);
    if (failure == 0) failure = set_attributes(&attributes);
    if (failure == 0)
        failure = posix_spawn(pid_out, executable(launch), &actions, &attributes, launch->arguments,
                              launch->environment.items);
    (void)posix_spawnattr_destroy(&attributes);
out_actions:
    (void)posix_spawn_file_actions_destroy(&actions);
    return failure;
}

parloom_status loom_spawn_supervisor(int socket_fd, pid_t *pid_out, parloom_error *error)
{
    parloom_status status = check_possible(error);
    if (status != PARLOOM_OK) return status;
    struct launch *launch = calloc(1, sizeof *launch);
    if (launch == NULL) return loom_status_fail(error, PARLOOM_ERR_MEMORY, ENOMEM, "no memory to start workers");
    for (int i = 0; i < SOURCES; i++) launch->sources[i] = -1;

    status = open_sources(launch, socket_fd, error);
    if (status == PARLOOM_OK) status = make_environment(launch, error);
    if (status == PARLOOM_OK) status = make_arguments(launch, error);
    if (status == PARLOOM_OK) {
        int failure = spawn(launch, pid_out);
        if (failure != 0)
            status = loom_status_fail(error, loom_status_of_errno(failure), failure,
                                      "could not start this program once more for worker processes: %m; use backend "
                                      "threads or fork");
    }
    for (int i = 0; i < SOURCES; i++)
        if (launch->sources[i] >= 0) (void)close(launch->sources[i]);
    loom_environment_end(&launch->environment);
    free(launch);
    return status;
}
