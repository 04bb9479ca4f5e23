// libvortex_cuda.so, which holds all that runs on a GPU: opened when one is asked for, so that the program starts
// without CUDA.
#pragma once

#include <filesystem>
#include <vector>

#include "model/cuda_entry.h"

namespace vortex::model {

/// Where the library may lie, best first: $VORTEX_CUDA_LIBRARY alone where it is set; else beside the code that asks
/// and beside the program, and in the lib and lib/vortex folders next to each.
std::vector<std::filesystem::path> cuda_library_places();

/// Opens the library; it stays in the process. kUnsupported: it is not there, cannot be loaded, or is of another
/// version.
Result<const CudaEntry*> open_cuda_library();

/// Whether a driver of NVIDIA GPUs runs here. Opening the library to find out takes 0.3 s and 190 MB.
bool gpu_is_visible();

}  // namespace vortex::model
