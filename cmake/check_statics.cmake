# SPDX-License-Identifier: BSD-3-Clause
# Fails unless backends/globals_symbols.c names every variable that the library writes and keeps to a file: check_globals
# would take it for one of the program's.
# Run: cmake -DROOT=<source dir> -DARCHIVE=<libparloom.a> -DNM=<nm> -P cmake/check_statics.cmake
cmake_minimum_required(VERSION 3.22)

# "file.c name" of what lies in writable sections.
function(written_statics out)
  execute_process(COMMAND "${NM}" --format=sysv "${ARCHIVE}" OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+\n" lines "${text}")
  set(statics "")
  foreach(line IN LISTS lines)
    if(line MATCHES "^Symbols from.*[^A-Za-z0-9_]([A-Za-z0-9_]+\\.c)\\.o") # of an archive, as nm says, or not
      set(file "${CMAKE_MATCH_1}")
    elseif(line MATCHES "^([^| ]+) *\\|[^|]*\\| *[bd] *\\| *OBJECT *\\|.*\\|([^|]+)\n")
      set(section "${CMAKE_MATCH_2}")
      # gcc calls a static of a function "once.0", clang "start.once".
      string(REGEX REPLACE "\\.[0-9]+$" "" name "${CMAKE_MATCH_1}")
      string(REGEX REPLACE "^.*\\." "" name "${name}")
      if(NOT section MATCHES "^\\.data\\.rel\\.ro")
        list(APPEND statics "${file} ${name}")
      endif()
    endif()
  endforeach()
  list(REMOVE_DUPLICATES statics)
  set(${out} "${statics}" PARENT_SCOPE)
endfunction()

written_statics(statics)
file(READ "${ROOT}/backends/globals_symbols.c" known)
set(bad 0)
foreach(static IN LISTS statics)
  string(REPLACE " " "\", \"" row "${static}")
  string(FIND "${known}" "{ \"${row}\" }" at)
  if(at EQUAL -1)
    message("${static} is not in the list of backends/globals_symbols.c")
    math(EXPR bad "${bad} + 1")
  endif()
endforeach()
if(bad)
  message(FATAL_ERROR "${bad} static(s) would be taken for the program's")
endif()
if(NOT statics)
  message(FATAL_ERROR "no static was found in ${ARCHIVE}")
endif()
