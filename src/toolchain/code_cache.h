// CodeCache: the folder where compiled code is kept. What lies there is loaded into the process, so nobody else may be
// able to write to it.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace vortex::toolchain {

/// `configured` ("~/" is the home folder); else $VORTEX_CACHE_DIR/compiled, $XDG_CACHE_HOME/vortex/compiled,
/// ~/.cache/vortex/compiled.
Result<std::filesystem::path> code_cache_folder(const std::optional<std::string>& configured);

class CodeCache {
 public:
  /// Makes the folder with mode 0700. kConfiguration for one that belongs to somebody else or that others can write to.
  /// `suffix` is that of the files it keeps.
  static Result<CodeCache> open(const std::filesystem::path& folder, std::string suffix = ".so");

  const std::filesystem::path& folder() const { return folder_; }

  /// What was published under `key`, when it and the files that went into it are what they were, byte by byte, and
  /// nobody else could have written it. What is found counts as used now.
  std::optional<std::filesystem::path> find(const std::string& key) const;

  /// Waits while another process builds `key`, but no longer than `patience`: one that hangs must not stop the others,
  /// and two builds of one key do no harm. A builder that dies gives its turn away. Nothing: no turn, build all the
  /// same.
  std::optional<FileLock> take_turn(const std::string& key, std::chrono::milliseconds patience) const;

  /// Moves a finished library into place under `key`: others see all of it or nothing. `inputs` are files that it was
  /// made from; a later find() compares their content. Removes what killed builds left and what was unused for long.
  Result<std::filesystem::path> publish(const std::string& key, const std::filesystem::path& library,
                                        const std::vector<std::filesystem::path>& inputs) const;

 private:
  CodeCache(std::filesystem::path folder, std::string suffix)
      : folder_(std::move(folder)), suffix_(std::move(suffix)) {}
  std::filesystem::path library_of(const std::string& key, const std::string& list) const;
  void prune() const;

  std::filesystem::path folder_;
  std::string suffix_;
};

/// A fresh private folder inside `parent`, removed with all in it.
class ScratchFolder {
 public:
  static Result<ScratchFolder> create(const std::filesystem::path& parent);
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace vortex::toolchain
