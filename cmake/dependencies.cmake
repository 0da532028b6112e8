# SPDX-License-Identifier: BSD-3-Clause
# What is needed (threads, OpenMP) and what is used where it is found. hwloc and libdw are opened at run time,
# when they are first needed: a build wants their headers only, a program nothing.

set(THREADS_PREFER_PTHREAD_FLAG OFF)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)

# parloom_optional(HWLOC hwloc.h libhwloc-dev): sets PARLOOM_HAVE_HWLOC and PARLOOM_HWLOC_INCLUDE_DIR.
function(parloom_optional name header package)
  set(wish "${PARLOOM_WITH_${name}}")
  if(NOT wish MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "PARLOOM_WITH_${name} is \"${wish}\"; it is AUTO, ON or OFF")
  endif()
  set(have OFF)
  if(NOT wish STREQUAL "OFF")
    find_path(PARLOOM_${name}_INCLUDE_DIR ${header})
    mark_as_advanced(PARLOOM_${name}_INCLUDE_DIR)
    if(PARLOOM_${name}_INCLUDE_DIR)
      set(have ON)
    elseif(wish STREQUAL "ON")
      message(FATAL_ERROR "PARLOOM_WITH_${name}=ON, but ${header} was not found; on Debian: apt-get install ${package}")
    endif()
  endif()
  set(PARLOOM_HAVE_${name} ${have} PARENT_SCOPE)
endfunction()
parloom_optional(HWLOC hwloc.h libhwloc-dev)
parloom_optional(LIBDW elfutils/libdwfl.h libdw-dev)
