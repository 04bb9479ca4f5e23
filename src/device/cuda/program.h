// CUDA source compiled at run time for the device at hand, and kept: the same source compiles once a machine.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <type_traits>

#include "base/result.h"

namespace vortex::cuda {

/// The machine code of `source` for an architecture ("sm_90a"). kInternal with the compiler's first line when it does
/// not compile. Needs no device.
Result<std::string> compile_source(const std::string& source, const std::string& architecture);

/// The same from the folder of compiled code, where it was compiled before; a folder that cannot be used is passed by.
Result<std::string> cached_machine_code(const std::string& source, const std::string& architecture);

/// The architecture of the current device.
std::string device_architecture();

/// Loaded machine code.
class Program {
 public:
  explicit Program(const std::string& machine_code);
  cudaKernel_t kernel(const char* name) const;

 private:
  struct Unload {
    void operator()(cudaLibrary_t library) const { cudaLibraryUnload(library); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaLibrary_t>, Unload> library_;
};

}  // namespace vortex::cuda
