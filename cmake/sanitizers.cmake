# SPDX-License-Identifier: BSD-3-Clause
# PARLOOM_SANITIZE=address,undefined (gcc) or thread (clang, whose libomp tells the sanitizer of its barriers through
# archer; gcc's libgomp does not, and race-free loops are reported).

set(PARLOOM_SANITIZE_FLAGS "")
if(PARLOOM_SANITIZE)
  if(PARLOOM_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "PARLOOM_SANITIZE=thread needs clang: libgomp's barriers are invisible to the sanitizer")
  endif()
  set(PARLOOM_SANITIZE_FLAGS -fsanitize=${PARLOOM_SANITIZE} -fno-omit-frame-pointer)
  if(PARLOOM_SANITIZE MATCHES "undefined")
    list(APPEND PARLOOM_SANITIZE_FLAGS -fno-sanitize-recover=undefined)
  endif()
  add_compile_options(${PARLOOM_SANITIZE_FLAGS})
  add_link_options(${PARLOOM_SANITIZE_FLAGS})
endif()
