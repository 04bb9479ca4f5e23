# vortex_module(name SOURCES ... DEPS ... PRIVATE_DEPS ... TESTS ... TEST_DEPS ...)
# One static library `vortex_<name>` a folder, and one GoogleTest program `<name>_test` for its tests.
# DEPS are other modules' targets or library targets; PRIVATE_DEPS are libraries that no header shows.
# Includes are written from src/ ("base/result.h").
include(GoogleTest)

function(vortex_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS;TESTS;TEST_DEPS" ${ARGN})
  add_library(vortex_${name} STATIC ${ARG_SOURCES})
  target_include_directories(vortex_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(vortex_${name} PUBLIC ${ARG_DEPS} fmt::fmt PRIVATE ${ARG_PRIVATE_DEPS} vortex_options)
  if(ARG_TESTS AND VORTEX_TESTS)
    vortex_test(${name}_test SOURCES ${ARG_TESTS} DEPS vortex_${name} ${ARG_TEST_DEPS})
  endif()
endfunction()

# GoogleTest's headers, compiled once for all test programs: two seconds of each file otherwise.
function(vortex_test_headers)
  if(TARGET vortex_test_headers)
    return()
  endif()
  file(WRITE ${CMAKE_BINARY_DIR}/vortex_test_headers.cc "// The carrier of the precompiled headers.\n")
  add_library(vortex_test_headers OBJECT ${CMAKE_BINARY_DIR}/vortex_test_headers.cc)
  target_link_libraries(vortex_test_headers PRIVATE vortex_options fmt::fmt GTest::gtest GTest::gmock)
  # The compiler takes precompiled headers only with the flags they were made with: those of a program.
  set_target_properties(vortex_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_precompile_headers(vortex_test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h> <fmt/core.h>)
endfunction()

# vortex_test(name SOURCES ... DEPS ... [LABEL slow] [SLOW filter] [PREFIX text])
# A GoogleTest program. Tests find their data under VORTEX_SOURCE_DIR. SLOW names the tests that are slow, as
# --gtest_filter does; PREFIX goes before their names.
function(vortex_test name)
  cmake_parse_arguments(ARG "" "LABEL;SLOW;PREFIX" "SOURCES;DEPS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_compile_definitions(${name} PRIVATE VORTEX_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} vortex_options GTest::gtest GTest::gmock GTest::gtest_main)
  vortex_test_headers()
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_precompile_headers(${name} REUSE_FROM vortex_test_headers)
  set(options DISCOVERY_MODE PRE_TEST TEST_PREFIX "${ARG_PREFIX}")
  if(ARG_LABEL)
    gtest_discover_tests(${name} ${options} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 1800)
  elseif(ARG_SLOW)
    gtest_discover_tests(${name} ${options} TEST_FILTER "-${ARG_SLOW}" PROPERTIES TIMEOUT 600)
    gtest_discover_tests(${name} ${options} TEST_FILTER "${ARG_SLOW}" PROPERTIES LABELS slow TIMEOUT 1800)
  else()
    gtest_discover_tests(${name} ${options} PROPERTIES TIMEOUT 600)
  endif()
endfunction()
