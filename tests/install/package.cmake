# SPDX-License-Identifier: BSD-3-Clause
# Configures and builds the project in FOLDER, which gets parloom by find_package or add_subdirectory, and runs it.
# Run: cmake -DFOLDER=<project> -DBUILD=<build dir> -DC=<cc> -DCXX=<c++> -DDEFINITIONS=<list> -P package.cmake
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${BUILD}")
step("configuring" ${CMAKE_COMMAND} -S "${FOLDER}" -B "${BUILD}" -G Ninja -DCMAKE_C_COMPILER=${C}
     -DCMAKE_CXX_COMPILER=${CXX} ${DEFINITIONS})
step("building" ${CMAKE_COMMAND} --build "${BUILD}" --parallel 2)
run_backends("${BUILD}/squares")
