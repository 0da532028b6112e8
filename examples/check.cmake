# SPDX-License-Identifier: BSD-3-Clause
# cmake -DPROGRAM=... -DEXPECTED=... -P check.cmake: the program ends with 0 and prints what the file says, if it exists.
# A * in the file stands for anything within a line.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE printed ERROR_VARIABLE complaints RESULT_VARIABLE result)
if(NOT result STREQUAL "0")
  message(FATAL_ERROR "ended with ${result}\n${printed}${complaints}")
endif()
if(NOT EXISTS "${EXPECTED}")
  return()
endif()
file(READ "${EXPECTED}" expected)
string(REGEX REPLACE "([][+.?()^$|\\\\])" "\\\\\\1" pattern "${expected}")
string(REPLACE "*" "[^\n]*" pattern "${pattern}")
if(NOT printed MATCHES "^${pattern}$")
  message(FATAL_ERROR "printed\n${printed}instead of\n${expected}${complaints}")
endif()
