# find_package(narrowmac) for other projects: libraries, headers, and targets narrowmac::design, narrowmac::numerics, ...
include(CMakePackageConfigHelpers)

# narrowmac_systemc holds no code, but rooms link it: exported as narrowmac::systemc.
set_target_properties(narrowmac_systemc PROPERTIES EXPORT_NAME systemc)
get_property(rooms GLOBAL PROPERTY NARROWMAC_ROOMS)
install(TARGETS ${rooms} narrowmac_systemc EXPORT narrowmacTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS narrowmac RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY models sim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/narrowmac FILES_MATCHING PATTERN "*.h")
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/narrowmac)
install(EXPORT narrowmacTargets NAMESPACE narrowmac:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/narrowmac)
configure_package_config_file(cmake/narrowmacConfig.cmake.in narrowmacConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/narrowmac)
write_basic_package_version_file(narrowmacConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/narrowmacConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/narrowmacConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/narrowmac)
