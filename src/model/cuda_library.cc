#include "model/cuda_library.h"

#include <string_view>

#include "toolchain/shared_library.h"

namespace vortex::model {
namespace {
namespace fs = std::filesystem;

Error refusal(const fs::path& library, std::string message, std::string hint) {
  return {ErrorCode::kUnsupported, library.string(), std::move(message), std::move(hint)};
}

Result<const CudaEntry*> open(const fs::path& path) {
  const auto library = toolchain::SharedLibrary::open(path);
  if (!library.ok()) return refusal(path, library.error().message, "use --device cpu or auto");
  const auto entry_of = library->function<CudaEntry*()>(kCudaEntrySymbol);
  if (entry_of == nullptr) return refusal(path, "is no CUDA library of this program", "use the one it came with");
  const CudaEntry* entry = entry_of();
  if (std::string_view(entry->version) != VORTEX_VERSION)
    return refusal(path, fmt::format("is of version {}, the program of {}", entry->version, VORTEX_VERSION),
                   "use the one it came with");
  return entry;
}

}  // namespace

std::vector<fs::path> cuda_library_places() {
  return toolchain::companion_places("VORTEX_CUDA_LIBRARY", "libvortex_cuda.so");
}

bool gpu_is_visible() {
  std::error_code ignored;
  return fs::exists("/dev/nvidiactl", ignored) || fs::exists("/dev/dxg", ignored);
}

Result<const CudaEntry*> open_cuda_library() {
  std::error_code ignored;
  for (const fs::path& place : cuda_library_places())
    if (fs::exists(place, ignored)) return open(place);
  return Error{ErrorCode::kUnsupported, "--device",
               fmt::format("the CUDA library is not at {}", cuda_library_places().front().string()),
               "use --device cpu or auto, or name the library in VORTEX_CUDA_LIBRARY"};
}

}  // namespace vortex::model
