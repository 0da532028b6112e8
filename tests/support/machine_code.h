/* SPDX-License-Identifier: BSD-3-Clause */
/* machine_code.h - bodies as a just-in-time compiler would make them: bytes that lie in no file. */
#ifndef LOOM_TESTS_SUPPORT_MACHINE_CODE_H
#define LOOM_TESTS_SUPPORT_MACHINE_CODE_H

namespace loom
{

#if defined(__x86_64__)
/* args[0][index] = index * index, of 64-bit integers; returns 0. */
const unsigned char SQUARE_CODE[] = { 0x48, 0x8b, 0x07, 0x48, 0x8b, 0x0e, 0x48, 0x89, 0xc2, 0x48,
                                      0x0f, 0xaf, 0xd0, 0x48, 0x89, 0x14, 0xc1, 0x31, 0xc0, 0xc3 };
/* The same with index + index. */
const unsigned char DOUBLE_CODE[] = { 0x48, 0x8b, 0x07, 0x48, 0x8b, 0x0e, 0x48, 0x8d, 0x14,
                                      0x00, 0x48, 0x89, 0x14, 0xc1, 0x31, 0xc0, 0xc3 };
/* Writes through a null pointer. */
const unsigned char CRASH_CODE[] = { 0x31, 0xc0, 0x89, 0x00, 0xc3 };
/* Writes to its own first bytes. */
const unsigned char VANDAL_CODE[] = { 0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, 0x89, 0x00, 0xc3 };
/* Returns 0: what worker_init is to do. */
const unsigned char NOTHING_CODE[] = { 0x31, 0xc0, 0xc3 };
#elif defined(__aarch64__)
const unsigned SQUARE_CODE[] = { 0xf9400002, 0xf9400023, 0x9b027c44, 0xf8227864, 0x52800000, 0xd65f03c0 };
const unsigned DOUBLE_CODE[] = { 0xf9400002, 0xf9400023, 0x8b020044, 0xf8227864, 0x52800000, 0xd65f03c0 };
const unsigned CRASH_CODE[] = { 0xd2800000, 0xb9000000, 0xd65f03c0 };
const unsigned VANDAL_CODE[] = { 0x10000000, 0xb9000000, 0xd65f03c0 };
const unsigned NOTHING_CODE[] = { 0x52800000, 0xd65f03c0 };
#else
#error "no machine code for this processor"
#endif

} // namespace loom

#endif
