#include "toolchain/shared_library.h"

#include <dlfcn.h>

namespace vortex::toolchain {
namespace {

/// The loader's message without the path that it begins with.
std::string reason(std::string message, const std::string& path) {
  const std::string prefix = path + ": ";
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

}  // namespace

Result<SharedLibrary> SharedLibrary::open(const std::filesystem::path& path) {
  std::error_code failure;
  // A name without a slash would be searched for among the system's libraries.
  const std::string absolute = std::filesystem::absolute(path, failure);
  void* handle = failure ? nullptr : ::dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return SharedLibrary(handle);
  const char* message = failure ? nullptr : ::dlerror();
  return Error{ErrorCode::kConfiguration, path.string(),
               "cannot be loaded: " + reason(message != nullptr ? message : failure.message(), absolute), ""};
}

void* SharedLibrary::find(const char* symbol) const { return ::dlsym(handle_, symbol); }

}  // namespace vortex::toolchain
