# SPDX-License-Identifier: BSD-3-Clause
# Compiles SOURCE with what pkg-config says of the parloom in PREFIX, as a Makefile would, and runs it.
# Run: cmake -DSOURCE=<file> -DPROGRAM=<output> -DCOMPILER=<cc> -DSTANDARD=gnu11 -DPREFIX=<prefix> -DLIBDIR=lib
#            [-DFLAGS=<list>] [-DSTATIC=ON] [-DBACKENDS=ON] -P pkg_config.cmake
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

set(ENV{PKG_CONFIG_PATH} "${PREFIX}/${LIBDIR}/pkgconfig")
set(kind --libs)
if(STATIC)
  set(kind --static --libs)
endif()
foreach(wish "--cflags" "${kind}")
  execute_process(COMMAND pkg-config ${wish} parloom OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE
                          COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(answer UNIX_COMMAND "${answer}")
  if(wish STREQUAL "--cflags")
    set(cflags ${answer})
  else()
    set(libs ${answer})
  endif()
endforeach()
if(STATIC)
  list(TRANSFORM libs REPLACE "^-lparloom$" "-l:libparloom.a")
else()
  list(APPEND libs "-Wl,-rpath,${PREFIX}/${LIBDIR}")
endif()

get_filename_component(folder "${PROGRAM}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}")
step("the compiler" ${COMPILER} -std=${STANDARD} -g -O2 -Wall -Wextra ${FLAGS} ${cflags} -o "${PROGRAM}" "${SOURCE}"
     ${libs})

# An archive that was passed over for the shared library would run just as well here.
execute_process(COMMAND ldd "${PROGRAM}" OUTPUT_VARIABLE needs COMMAND_ERROR_IS_FATAL ANY)
if(STATIC AND needs MATCHES "libparloom")
  message(FATAL_ERROR "the program was to be linked with libparloom.a and needs libparloom.so:\n${needs}")
elseif(NOT STATIC AND NOT needs MATCHES "=> ${PREFIX}/${LIBDIR}/libparloom.so.0 ")
  message(FATAL_ERROR "the program does not find the libparloom.so.0 of ${PREFIX}:\n${needs}")
endif()

if(BACKENDS)
  run_backends("${PROGRAM}")
else()
  step("the program" "${PROGRAM}")
endif()
