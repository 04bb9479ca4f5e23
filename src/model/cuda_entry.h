// The one symbol that libvortex_cuda.so exports, and what it stands for. The library and the program are built
// together: C++ types cross between them, which is why the versions must be equal.
#pragma once

#include <memory>
#include <string>

#include "attention/decode_timing.h"
#include "base/result.h"
#include "comm/host_place.h"
#include "loader/model_files.h"
#include "model/runner.h"

namespace vortex::model {

/// Which GPU a process takes: each rank of a host its own, unless they share.
struct GpuPlace {
  comm::HostPlace rank;  // one of one where the model is whole
  bool shared = false;   // ranks may be on one GPU, and meet through the host
};

struct CudaRunnerOptions {
  DType kv_dtype = DType::kBF16;  // of K and V in the cache
  std::string cache_folder;       // where compiled flows are kept; empty: the user's cache
  GpuPlace place;
  comm::Communicator* ranks = nullptr;  // that `files` is split for; outlives the runner. Null: the model is whole
};

struct CudaEntry {
  const char* version;  // of VORTEX, "1.2.3"; compared before anything else of this is used

  /// Opens a visible GPU for the process and gives its name. kUnavailable: no GPU or driver; kUnsupported: one that is
  /// too old, or fewer than ranks that each want one.
  Result<std::string> (*open_device)(const GpuPlace& place);

  /// Loads the weights of `files`, which must outlive the runner, on the GPU that open_device() opened. Ranks on GPUs
  /// of their own meet through NCCL: kUnsupported where it is missing.
  Result<std::unique_ptr<Runner>> (*create)(const CudaRunnerOptions& options, ModelFiles& files);

  /// Times decode attention on the GPU that open_device() opened.
  Result<attention::DecodeTiming> (*time_decode)(const attention::DecodeTask& task);
};

/// The symbol's name and type: `extern "C" CudaEntry* vortex_cuda_entry()`, never null.
inline constexpr const char* kCudaEntrySymbol = "vortex_cuda_entry";
using CudaEntryFunction = CudaEntry* (*)();

}  // namespace vortex::model
