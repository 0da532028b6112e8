/* SPDX-License-Identifier: BSD-3-Clause */
/* fortran.h - what a Fortran main program sets up before its first line, and a worker does not run. */
#ifndef LOOM_BACKENDS_FORTRAN_H
#define LOOM_BACKENDS_FORTRAN_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The program was compiled with -fconvert, -frecord-marker or -fmax-subrecord-length: its main sets them, and workers
 * would write other bytes, silently, unless worker_init sets them too. */
bool loom_fortran_needs_init(void);
/* Gives gfortran's runtime, where loaded, the arguments of the program. */
void loom_fortran_set_arguments(int program_pid);

#ifdef __cplusplus
}
#endif
#endif
