/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 12_code.c - a kernel that was made at run time, as a just-in-time compiler would: bytes that lie in no file.
 *
 * A function of the program or of a library is found in each worker by itself. This one is published: copied to shared
 * memory that can be executed, at one address for all. What lies in a library that is rebuilt while the program runs
 * travels with .modules = PARLOOM_MODULES_BY_VALUE, or PARLOOM_MODULES=by_value.
 */
#include <parloom/parloom.h>

#include <inttypes.h>
#include <stdio.h>

/* args[0][index] = index * index, of 64-bit integers */
#if defined(__x86_64__)
static const unsigned char KERNEL[] = { 0x48, 0x8b, 0x07, 0x48, 0x8b, 0x0e, 0x48, 0x89, 0xc2, 0x48,
                                        0x0f, 0xaf, 0xd0, 0x48, 0x89, 0x14, 0xc1, 0x31, 0xc0, 0xc3 };
#elif defined(__aarch64__)
static const uint32_t KERNEL[] = { 0xf9400002, 0xf9400023, 0x9b027c44, 0xf8227864, 0x52800000, 0xd65f03c0 };
#else
#error "no kernel for this processor"
#endif

int main(void)
{
    int64_t squares[10];
    parloom_body kernel;
    parloom_error error;
    parloom_arg args[] = { parloom_out(squares, sizeof squares) };
    if (parloom_code_publish(KERNEL, sizeof KERNEL, &kernel, &error) != PARLOOM_OK) {
        printf("%s\n", error.message);
        return error.status == PARLOOM_ERR_UNSUPPORTED ? 0 : 1; /* a system that forbids it */
    }
    parloom_status status = parloom_for(10, kernel, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error);
    if (status != PARLOOM_OK) printf("%s\n", error.message);
    for (int k = 0; status == PARLOOM_OK && k < 10; k++) printf("%" PRId64 "%c", squares[k], k < 9 ? ' ' : '\n');
    parloom_code_release(kernel);
    return status == PARLOOM_OK ? 0 : 1;
}
