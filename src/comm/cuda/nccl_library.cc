#include "comm/cuda/nccl_library.h"

#include <cstdlib>

#include "toolchain/shared_library.h"

namespace vortex::cuda {
namespace {

constexpr const char* kVariable = "VORTEX_NCCL_LIBRARY";
constexpr int kOldest = 21800;  // 2.18; what the version's number means changed with 2.9, long before

std::string library_name() {
  const char* named = std::getenv(kVariable);
  return named != nullptr && *named != '\0' ? named : "libnccl.so.2";
}

Error refusal(const std::string& name, std::string message) {
  return {ErrorCode::kUnsupported, name, std::move(message),
          "GPUs speak through NCCL: install Debian's libnccl2, or the PyPI wheel nvidia-nccl-cu13 and name its "
          "nvidia/nccl/lib/libnccl.so.2 in VORTEX_NCCL_LIBRARY"};
}

template <class Function>
void find(const toolchain::SharedLibrary& library, const char* symbol, Function** to, bool* all) {
  *to = library.function<Function>(symbol);
  *all = *all && *to != nullptr;
}

}  // namespace

Result<NcclLibrary> NcclLibrary::open() {
  ::setenv("NCCL_NVLS_ENABLE", "0", 0);  // its multicast memory is the host's, and may be left in a bad state
  const std::string name = library_name();
  const auto library = toolchain::SharedLibrary::open(name);
  if (!library.ok()) return refusal(name, library.error().message);
  NcclLibrary nccl;
  bool all = true;
  find(*library, "ncclGetVersion", &nccl.get_version, &all);
  find(*library, "ncclGetUniqueId", &nccl.get_unique_id, &all);
  find(*library, "ncclCommInitRank", &nccl.comm_init_rank, &all);
  find(*library, "ncclCommDestroy", &nccl.comm_destroy, &all);
  find(*library, "ncclCommAbort", &nccl.comm_abort, &all);
  find(*library, "ncclCommGetAsyncError", &nccl.comm_get_async_error, &all);
  find(*library, "ncclGetErrorString", &nccl.get_error_string, &all);
  find(*library, "ncclAllReduce", &nccl.all_reduce, &all);
  find(*library, "ncclAllGather", &nccl.all_gather, &all);
  find(*library, "ncclBroadcast", &nccl.broadcast, &all);
  int version = 0;
  if (!all || nccl.get_version(&version) != kSuccess) return refusal(name, "is no NCCL");
  if (version < kOldest)
    return refusal(name, fmt::format("is NCCL {}.{}, at least 2.18 is needed", version / 10000, version / 100 % 100));
  return nccl;
}

}  // namespace vortex::cuda
