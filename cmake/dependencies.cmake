# SPDX-License-Identifier: BSD-3-Clause
# What is needed (threads, OpenMP, xxhash.h) and what is used where it is found. hwloc, libdw, libcrypto and the
# compression libraries are opened at run time, when they are first needed: a build wants their headers only, a program
# nothing.

set(THREADS_PREFER_PTHREAD_FLAG OFF)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)

# XXH3 is compiled in out of its header: the installed library needs no other for it.
find_path(PARLOOM_XXHASH_INCLUDE_DIR xxhash.h)
mark_as_advanced(PARLOOM_XXHASH_INCLUDE_DIR)
if(NOT PARLOOM_XXHASH_INCLUDE_DIR)
  message(FATAL_ERROR "xxhash.h was not found; on Debian: apt-get install libxxhash-dev")
endif()

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
parloom_optional(ZLIB zlib.h zlib1g-dev)
parloom_optional(ISAL isa-l/igzip_lib.h libisal-dev)
parloom_optional(BZ2 bzlib.h libbz2-dev)
parloom_optional(LZMA lzma.h liblzma-dev)
parloom_optional(LZ4 lz4frame.h liblz4-dev)
parloom_optional(ZSTD zstd.h libzstd-dev)
parloom_optional(BLOSC blosc.h libblosc-dev)
parloom_optional(OPENSSL openssl/evp.h libssl-dev)
