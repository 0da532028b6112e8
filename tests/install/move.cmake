# SPDX-License-Identifier: BSD-3-Clause
# Installs BUILD to a first place and moves the tree to PREFIX: nothing in it may still point to the first place.
# Run: cmake -DBUILD=<build dir> -DPREFIX=<where> -P move.cmake
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${PREFIX}" "${PREFIX}.first")
step("the installation" ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${PREFIX}.first")
file(RENAME "${PREFIX}.first" "${PREFIX}")
