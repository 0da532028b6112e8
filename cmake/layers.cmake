# SPDX-License-Identifier: BSD-3-Clause
# One object library per layer, and the worker preload, whose bytes are embedded in loom_backends.

add_library(loom_settings INTERFACE)
target_include_directories(loom_settings INTERFACE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}")
target_compile_definitions(loom_settings INTERFACE _GNU_SOURCE)
target_link_libraries(loom_settings INTERFACE OpenMP::OpenMP_C Threads::Threads)
foreach(name HWLOC LIBDW ZLIB ISAL BZ2 LZMA LZ4 ZSTD BLOSC OPENSSL)
target_include_directories(loom_settings SYSTEM INTERFACE "${PARLOOM_XXHASH_INCLUDE_DIR}")

  if(PARLOOM_HAVE_${name})
    target_compile_definitions(loom_settings INTERFACE PARLOOM_HAVE_${name}=1)
    target_include_directories(loom_settings SYSTEM INTERFACE "${PARLOOM_${name}_INCLUDE_DIR}")
  endif()
endforeach()
if(PARLOOM_FAULTS)
  target_compile_definitions(loom_settings INTERFACE PARLOOM_FAULTS=1)
endif()

set(PARLOOM_LAYERS "")
foreach(layer base shm backends core rest)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${layer}/*.c")
  if(sources)
    add_library(loom_${layer} OBJECT ${sources})
    target_link_libraries(loom_${layer} PRIVATE loom_settings)
    target_compile_options(loom_${layer} PRIVATE ${PARLOOM_C_WARNINGS})
    set_target_properties(loom_${layer} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    list(APPEND PARLOOM_LAYERS loom_${layer})
  endif()
endforeach()

# xxhash.h wants its loops inlined: without optimisation, or with little, it is slow or does not compile.
set_source_files_properties("${PROJECT_SOURCE_DIR}/rest/hash_xxh3_plain.c" PROPERTIES COMPILE_OPTIONS -O3)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64") # elsewhere these two are empty
  set_source_files_properties("${PROJECT_SOURCE_DIR}/rest/hash_xxh3_avx2.c" PROPERTIES COMPILE_OPTIONS "-O3;-mavx2")
  set_source_files_properties("${PROJECT_SOURCE_DIR}/rest/hash_xxh3_avx512.c" PROPERTIES COMPILE_OPTIONS "-O3;-mavx512f")
endif()

# The preload runs before any of the program's libraries: libc is all it may need, so it is built without sanitizers
# and without what the user's flags would link in.
file(GLOB preload_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/backends/preload/*.c")
if(preload_sources)
  add_library(loom_preload MODULE ${preload_sources})
  target_include_directories(loom_preload PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(loom_preload PRIVATE _GNU_SOURCE)
  target_compile_options(loom_preload PRIVATE ${PARLOOM_C_WARNINGS} -fno-sanitize=all -fno-stack-protector -O2)
  target_link_options(loom_preload PRIVATE -fno-sanitize=all LINKER:-s LINKER:-z,defs)
  set_target_properties(loom_preload PROPERTIES C_VISIBILITY_PRESET hidden)
  set(image "${PROJECT_BINARY_DIR}/preload_image.c")
  add_custom_command(
    OUTPUT "${image}"
    COMMAND ${CMAKE_COMMAND} -DFILE=$<TARGET_FILE:loom_preload> -DOUT=${image}
            -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS loom_preload "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    COMMENT "Embedding the worker preload"
    VERBATIM)
  if(TARGET loom_backends)
    target_sources(loom_backends PRIVATE "${image}")
  endif()
endif()
