# Language level, warnings and sanitizers shared by every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Kernels ask for -O3 themselves (VortexIsa.cmake); for the rest it costs build time and gains nothing measurable.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # one set of objects for the program and the Python module

option(VORTEX_TESTS "Build the tests" ON)
option(VORTEX_KERNELS_ONLY "Build only the kernels, attention and flows with their tests; needs no library but fmt" OFF)
option(VORTEX_PROGRAM "Build the program with its server" ON)
option(VORTEX_PYTHON "Build the Python module; needs nanobind in the interpreter that Python_EXECUTABLE names" OFF)
set(VORTEX_CUDA "AUTO" CACHE STRING "libvortex_cuda.so: ON, OFF, or AUTO to build it where nvcc is installed")
set(VORTEX_MPI "AUTO" CACHE STRING "libvortex_mpi.so: ON, OFF, or AUTO to build it where MPI is installed")
option(VORTEX_BENCH "Build the micro benchmarks" OFF)
option(VORTEX_WERROR "Treat warnings as errors" ON)
set(VORTEX_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them (address,undefined or thread)")

add_library(vortex_options INTERFACE)
target_compile_options(vortex_options INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers
                       -Wno-restrict)  # g++ 12 warns inside its own std::string (GCC bug 105651)
if(VORTEX_WERROR)
  target_compile_options(vortex_options INTERFACE -Werror)
endif()
if(VORTEX_SANITIZE)
  target_compile_options(vortex_options INTERFACE -fsanitize=${VORTEX_SANITIZE} -fno-omit-frame-pointer
                         -Wno-maybe-uninitialized)  # g++ 12 sees ghosts in instrumented std::variant
  target_link_options(vortex_options INTERFACE -fsanitize=${VORTEX_SANITIZE})
  if(VORTEX_SANITIZE MATCHES "undefined")
    target_compile_options(vortex_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
