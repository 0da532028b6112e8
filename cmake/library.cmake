# SPDX-License-Identifier: BSD-3-Clause
# parloom (libparloom.so) and parloom_static (libparloom.a) out of the same objects.

set(objects "")
foreach(layer ${PARLOOM_LAYERS})
  list(APPEND objects $<TARGET_OBJECTS:${layer}>)
endforeach()
if(NOT objects)
  message(FATAL_ERROR "no sources in base/ shm/ backends/ core/ rest/")
endif()

set(map "${PROJECT_SOURCE_DIR}/cmake/parloom.map")
add_library(parloom SHARED ${objects})
target_link_libraries(parloom PRIVATE OpenMP::OpenMP_C Threads::Threads m)
# nodelete: workers, segments and the window belong to the process. A plugin that links parloom, closed and opened again,
# finds them as they were.
target_link_options(parloom PRIVATE LINKER:--version-script=${map} LINKER:-z,nodelete)
set_target_properties(parloom PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS "${map}"
                                         LINKER_LANGUAGE C)

# What a program that links the archive needs beside it, as names: a path would tie the package to this machine.
# libgomp is found by every compiler; another runtime (libomp) by its folder.
set(PARLOOM_PRIVATE_LIBS "")
foreach(name ${OpenMP_C_LIB_NAMES})
  list(APPEND PARLOOM_PRIVATE_LIBS ${name})
  get_filename_component(folder "${OpenMP_${name}_LIBRARY}" DIRECTORY)
  if(name MATCHES "omp$" AND NOT name STREQUAL "gomp" AND folder)
    set(PARLOOM_PRIVATE_LIB_DIR "${folder}")
  endif()
endforeach()
list(APPEND PARLOOM_PRIVATE_LIBS pthread dl m)
list(REMOVE_DUPLICATES PARLOOM_PRIVATE_LIBS)

add_library(parloom_static STATIC ${objects})
target_link_libraries(parloom_static INTERFACE ${PARLOOM_PRIVATE_LIBS})
if(PARLOOM_PRIVATE_LIB_DIR)
  target_link_directories(parloom_static INTERFACE "${PARLOOM_PRIVATE_LIB_DIR}")
endif()
set_target_properties(parloom_static PROPERTIES OUTPUT_NAME parloom LINKER_LANGUAGE C)

# The same names as in the installed package, so that add_subdirectory and find_package read alike.
foreach(library parloom parloom_static)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_library(parloom::${library} ALIAS ${library})
endforeach()
