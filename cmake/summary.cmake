# SPDX-License-Identifier: BSD-3-Clause
# What was asked for and what was found.

set(sanitize "${PARLOOM_SANITIZE}")
if(NOT sanitize)
  set(sanitize "none")
endif()
message(STATUS "parloom ${PROJECT_VERSION}")
message(STATUS "  compiler       ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}")
message(STATUS "  OpenMP         ${OpenMP_C_VERSION}, ${OpenMP_C_LIB_NAMES}")
message(STATUS "  hwloc          ${PARLOOM_HAVE_HWLOC}  (PARLOOM_WITH_HWLOC=${PARLOOM_WITH_HWLOC})")
message(STATUS "  libdw          ${PARLOOM_HAVE_LIBDW}  (PARLOOM_WITH_LIBDW=${PARLOOM_WITH_LIBDW})")
message(STATUS "  sanitizers     ${sanitize}")
message(STATUS "  fault hooks    ${PARLOOM_FAULTS}  (PARLOOM_FAULTS)")
message(STATUS "  warnings fail  ${PARLOOM_WERROR}  (PARLOOM_WERROR)")
message(STATUS "  tests          ${PARLOOM_BUILD_TESTS}  (PARLOOM_BUILD_TESTS)")
message(STATUS "  benchmarks     ${PARLOOM_BUILD_BENCHMARKS}  (PARLOOM_BUILD_BENCHMARKS)")
message(STATUS "  examples       ${PARLOOM_BUILD_EXAMPLES}  (PARLOOM_BUILD_EXAMPLES)")
message(STATUS "  install rules  ${PARLOOM_INSTALL}  (PARLOOM_INSTALL)")
