// The one symbol that libvortex_cuda.so exports, and what it stands for. The library and the program are built
// together: C++ types cross between them, which is why the versions must be equal.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "loader/model_files.h"
#include "model/runner.h"

namespace vortex::model {

struct CudaRunnerOptions {
  DType kv_dtype = DType::kBF16;  // of K and V in the cache
  std::string cache_folder;       // where compiled flows are kept; empty: the user's cache
};

struct CudaEntry {
  const char* version;  // of VORTEX, "1.2.3"; compared before anything else of this is used

  /// Opens the first visible GPU for the process and gives its name. kUnavailable: no GPU or driver; kUnsupported: one
  /// that is too old.
  Result<std::string> (*open_device)();

  /// Loads the weights of `files`, which must outlive the runner, on the GPU that open_device() opened.
  Result<std::unique_ptr<Runner>> (*create)(const CudaRunnerOptions& options, ModelFiles& files);
};

/// The symbol's name and type: `extern "C" CudaEntry* vortex_cuda_entry()`, never null.
inline constexpr const char* kCudaEntrySymbol = "vortex_cuda_entry";
using CudaEntryFunction = CudaEntry* (*)();

}  // namespace vortex::model
