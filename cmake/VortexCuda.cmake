# CUDA, where its compiler is installed. Everything under */cuda/ becomes one library, libvortex_cuda.so, which the
# program opens when a GPU is asked for; nothing else links against it. A GPU is not needed to build it.
#
#   vortex_cuda_module(name SOURCES a.cc b.cu DEPS ...)   a part of that library, vortex_<name>
#   vortex_cuda_test(name SOURCES ... DEPS ...)           a program that needs a GPU; skipped by ctest where there is none
include(CheckLanguage)
if(NOT VORTEX_CUDA STREQUAL "OFF" AND NOT VORTEX_KERNELS_ONLY AND NOT VORTEX_SANITIZE)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    # sm_80 runs on everything since Ampere, sm_90a has what only Hopper can do.
    set(VORTEX_CUDA_ARCHITECTURES "80-real;90a-real" CACHE STRING "GPU architectures that kernels are compiled for")
    set(CMAKE_CUDA_ARCHITECTURES ${VORTEX_CUDA_ARCHITECTURES})
    enable_language(CUDA)
    # Older releases of CMake do not know that nvcc takes C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    find_package(CUDAToolkit 13.0 REQUIRED)
    set(VORTEX_HAS_CUDA ON)
  elseif(VORTEX_CUDA STREQUAL "ON")
    message(FATAL_ERROR "VORTEX_CUDA=ON and no nvcc: put it in PATH, or set CUDACXX")
  endif()
endif()

function(vortex_cuda_target target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CXX_VISIBILITY_PRESET hidden
                        CUDA_VISIBILITY_PRESET hidden)
  # fmt takes nvcc for a compiler without constexpr.
  target_compile_definitions(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra --diag-suppress=177>)
endfunction()

function(vortex_cuda_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(vortex_${name} STATIC ${ARG_SOURCES})
  vortex_cuda_target(vortex_${name})
  target_link_libraries(vortex_${name} PUBLIC ${ARG_DEPS} CUDA::cudart_static fmt::fmt)
endfunction()

function(vortex_cuda_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  vortex_test(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  vortex_cuda_target(${name})
endfunction()
