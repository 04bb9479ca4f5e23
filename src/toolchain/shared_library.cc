#include "toolchain/shared_library.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace vortex::toolchain {
namespace {

/// The name as the author wrote it; as it is, when it is no mangled one.
std::string demangled(const std::string& symbol) {
  int status = 0;
  char* name = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
  const std::string out = status == 0 ? name : symbol;
  std::free(name);
  return out;
}

/// The program, or the module of another program that this code was linked into.
std::filesystem::path own_file() {
  Dl_info info;
  return ::dladdr(reinterpret_cast<void*>(&own_file), &info) != 0 ? info.dli_fname : "";
}

/// The loader's message without the path that it begins with, its symbol in plain words.
std::string reason(std::string message, const std::string& path) {
  constexpr std::string_view kMissing = "undefined symbol: ";
  const std::string prefix = path + ": ";
  if (message.starts_with(prefix)) message.erase(0, prefix.size());
  if (!message.starts_with(kMissing)) return message;
  return std::string(kMissing) + demangled(message.substr(kMissing.size()));
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

std::vector<std::filesystem::path> companion_places(const char* variable, const std::string& file_name) {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv(variable); named != nullptr && *named != '\0') return {named};
  std::vector<fs::path> places;
  std::error_code ignored;
  for (const fs::path& file : {fs::absolute(own_file(), ignored), fs::read_symlink("/proc/self/exe", ignored)}) {
    const fs::path folder = file.parent_path();
    const fs::path lib = folder.parent_path() / "lib";
    for (const fs::path& place : {folder / file_name, lib / file_name, lib / "vortex" / file_name})
      if (std::ranges::find(places, place) == places.end()) places.push_back(place);
  }
  return places;
}

}  // namespace vortex::toolchain
