/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Builds a plugin whose body writes a number, as a program does that compiles what its users write. */
static parloom_body build(const char *path, int number)
{
    char command[256];
    union {
        void *address;
        parloom_body body;
    } found = { NULL };
    (void)snprintf(
        command, sizeof command,
        "echo 'int body(void *task, int **args) { *args[0] = %d; return 0; }' | cc -shared -fPIC -x c -o %s -", number,
        path);
    void *plugin = system(command) == 0 ? dlopen(path, RTLD_NOW) : NULL;
    if (plugin != NULL) found.address = dlsym(plugin, "body");
    return found.body;
}

static void call(const char *what, parloom_body body, parloom_modules modules)
{
    int number = 0;
    parloom_error error;
    parloom_arg args[] = { parloom_out(&number, sizeof number) };
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.require = PARLOOM_REQUIRE_ISOLATION;
    options.modules = modules;
    parloom_status status = parloom_for(1, body, args, 1, &options, &error);
    printf("%s: %s, %d\n", what, parloom_status_name(status), number);
}

int main(void)
{
    parloom_body first = build("./guide_plugin_1.so", 1);
    parloom_body second = build("./guide_plugin_2.so", 2);
    if (first == NULL || second == NULL) return 1;
    call("by value", first, PARLOOM_MODULES_BY_VALUE); /* takes the bytes */
    (void)unlink("guide_plugin_1.so");
    (void)unlink("guide_plugin_2.so");
    call("by value, without its file", first, PARLOOM_MODULES_BY_VALUE);
    call("by reference, without its file", second, PARLOOM_MODULES_BY_REFERENCE);
    return 0;
}
