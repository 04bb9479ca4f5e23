// Code that is loaded while the program runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::toolchain {

/// An opened shared object. It stays in the process for good: objects made by its code may outlive any owner.
class SharedLibrary {
 public:
  /// Every symbol is resolved at once; its own symbols stay private to it. kConfiguration with the loader's reason.
  static Result<SharedLibrary> open(const std::filesystem::path& path);

  /// Null when the library does not export it.
  void* find(const char* symbol) const;
  template <class Function>
  Function* function(const char* symbol) const {
    return reinterpret_cast<Function*>(find(symbol));
  }

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

/// Where a library that comes with the program may lie, best first: what the environment's `variable` names, alone,
/// where it is set; else beside the code that asks and beside the program, and in the lib and lib/vortex folders next
/// to each.
std::vector<std::filesystem::path> companion_places(const char* variable, const std::string& file_name);

}  // namespace vortex::toolchain
