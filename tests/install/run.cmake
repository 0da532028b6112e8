# SPDX-License-Identifier: BSD-3-Clause
# Included by the scripts here: step(what command...) runs a command or ends the test; run_backends(program) runs a
# program once per backend.

function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}): ${ARGN}\n${output}")
  endif()
endfunction()

function(run_backends program)
  foreach(backend sequential threads processes fork)
    step("the program on backend ${backend}" "${program}" ${backend})
  endforeach()
endfunction()
