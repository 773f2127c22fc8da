# narrowmac_vector_sources(SOURCES...): the sources among these that Highway compiles once per vector target.
# They stand alone in unity builds, since each includes itself.
function(narrowmac_vector_sources)
  foreach(source ${ARGN})
    file(STRINGS ${source} includes_itself REGEX "hwy/foreach_target.h" LIMIT_COUNT 1)
    if(includes_itself)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# narrowmac_room(NAME SOURCES ... DEPENDS room... LIBRARIES library...)
# One room of the architecture: a static library narrowmac_NAME. DEPENDS are the rooms it may include (public);
# LIBRARIES are third-party and always private, so that no public header can need them.
function(narrowmac_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(narrowmac_${name} STATIC ${ROOM_SOURCES})
  narrowmac_vector_sources(${ROOM_SOURCES})
  set_target_properties(narrowmac_${name} PROPERTIES UNITY_BUILD ${NARROWMAC_UNITY} UNITY_BUILD_BATCH_SIZE 12)
  add_library(narrowmac::${name} ALIAS narrowmac_${name})
  set_target_properties(narrowmac_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_include_directories(narrowmac_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/narrowmac>)
  target_compile_features(narrowmac_${name} PUBLIC cxx_std_20)
  foreach(dependency ${ROOM_DEPENDS})
    target_link_libraries(narrowmac_${name} PUBLIC narrowmac_${dependency})
  endforeach()
  target_link_libraries(narrowmac_${name} PRIVATE $<BUILD_INTERFACE:narrowmac_flags>)
  foreach(library ${ROOM_LIBRARIES})
    target_link_libraries(narrowmac_${name} PRIVATE ${library})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY NARROWMAC_ROOMS narrowmac_${name})
endfunction()

# narrowmac_test(NAME SOURCES ... DEPENDS room... LIBRARIES ... [SYSTEMC])
# One GoogleTest executable whose every TEST is a CTest case of its own. SYSTEMC: the executable gets sc_main
# (libsystemc brings a main of its own) and each case its own process, since a process holds one simulation.
function(narrowmac_test name)
  cmake_parse_arguments(TEST "SYSTEMC" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  foreach(dependency ${TEST_DEPENDS})
    target_link_libraries(${name} PRIVATE narrowmac_${dependency})
  endforeach()
  target_link_libraries(${name} PRIVATE narrowmac_flags ${TEST_LIBRARIES} GTest::gtest)
  if(TEST_SYSTEMC)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/systemc_main.cpp)
    target_link_libraries(${name} PRIVATE narrowmac_systemc)
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  target_precompile_headers(${name} REUSE_FROM narrowmac_test_headers)
  # Compiling costs more than running; g++ forgets in precompiled headers which warnings the standard library silences.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1> -Wno-array-bounds -Wno-stringop-overflow)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300 ENVIRONMENT
    "SYSTEMC_DISABLE_COPYRIGHT_MESSAGE=1;ASAN_OPTIONS=detect_stack_use_after_return=0;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()
