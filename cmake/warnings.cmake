# SPDX-License-Identifier: BSD-3-Clause
# PARLOOM_C_WARNINGS: what every C file of the library is compiled with, by gcc 12 and clang 14 without a word.

set(PARLOOM_C_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion -Wsign-conversion
    -Wcast-qual -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wimplicit-fallthrough -Wdouble-promotion
    -Wnull-dereference)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND PARLOOM_C_WARNINGS -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
  # Sanitizers pad every object on the stack: frames are measured without them.
  if(NOT PARLOOM_SANITIZE)
    list(APPEND PARLOOM_C_WARNINGS -Wstack-usage=8192)
  endif()
else()
  list(APPEND PARLOOM_C_WARNINGS -Wcomma -Wunreachable-code)
endif()
# Tests include internal headers, where { 0 } means what it means in C.
set(PARLOOM_CXX_WARNINGS -Wall -Wextra -Wno-missing-field-initializers)
if(PARLOOM_WERROR)
  list(APPEND PARLOOM_C_WARNINGS -Werror)
  list(APPEND PARLOOM_CXX_WARNINGS -Werror)
endif()
