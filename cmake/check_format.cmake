# SPDX-License-Identifier: BSD-3-Clause
# Fails when a file is not as clang-format 14 would write it.
# Run: cmake -DROOT=<source dir> -DCLANG_FORMAT=<clang-format> -P cmake/check_format.cmake
cmake_minimum_required(VERSION 3.22)

set(files "")
foreach(folder include base shm backends core rest tests examples docs benchmarks)
  file(GLOB_RECURSE found "${ROOT}/${folder}/*.c" "${ROOT}/${folder}/*.h" "${ROOT}/${folder}/*.cc")
  list(APPEND files ${found})
endforeach()
string(LENGTH "${ROOT}" length)
set(ours "")
foreach(file ${files})
  string(SUBSTRING "${file}" ${length} -1 relative)
  if(NOT relative MATCHES "^/tests/(lint/bad_|accept/)") # wrong on purpose; copied unchanged
    list(APPEND ours "${file}")
  endif()
endforeach()
execute_process(COMMAND "${CLANG_FORMAT}" --style=file --dry-run -Werror ${ours} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "some files are not formatted: clang-format -i FILE")
endif()
