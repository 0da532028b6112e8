# SPDX-License-Identifier: BSD-3-Clause
# Headers, both libraries, the CMake package and parloom.pc. Nothing in them names a path of this machine, so the
# installed tree can be moved.

include(CMakePackageConfigHelpers)

install(DIRECTORY include/parloom DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS parloom parloom_static EXPORT parloomTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/parloom)
install(EXPORT parloomTargets NAMESPACE parloom:: DESTINATION ${package_folder})
configure_package_config_file(cmake/parloomConfig.cmake.in parloomConfig.cmake
                              INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(parloomConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/parloomConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/parloomConfigVersion.cmake"
        DESTINATION ${package_folder})

# pkg-config puts the folder of the .pc file in pcfiledir; the prefix is counted from there.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
list(TRANSFORM PARLOOM_PRIVATE_LIBS PREPEND "-l" OUTPUT_VARIABLE pc_libs_private)
if(PARLOOM_PRIVATE_LIB_DIR)
  list(PREPEND pc_libs_private "-L${PARLOOM_PRIVATE_LIB_DIR}")
endif()
list(JOIN pc_libs_private " " pc_libs_private)
configure_file(cmake/parloom.pc.in parloom.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/parloom.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
