/* SPDX-License-Identifier: BSD-3-Clause */
/* code.h - machine code that the program published: parloom_code_publish, parloom_code_release. */
#ifndef LOOM_SHM_CODE_H
#define LOOM_SHM_CODE_H

#include <parloom/parloom.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_CODE_LABEL "parloom-code" /* its mappings are called "/memfd:parloom-code (deleted)" */

/* Whether published code that was not released lies at the address, in this process. Any thread. */
bool loom_code_holds(const void *address);

#ifdef __cplusplus
}
#endif
#endif
