// MappedFile: a whole file, read-only, in memory without a copy.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/last_words.h"
#include "base/result.h"

namespace vortex {

/// The mapping lives as long as the object. A file that another process shortens while it is mapped raises SIGBUS
/// on access, which ends the program (base/last_words.h): replace model files by renaming a new one into place, as
/// every downloader does.
class MappedFile {
 public:
  enum class Advice { kNormal, kSequential, kWillNeed, kDontNeed };

  /// Regular, non-empty files only. Errors: kNotFound (missing, no permission), kInvalidArgument (directory,
  /// device, pipe), kDataLoss (empty), kResourceExhausted (cannot be mapped).
  static Result<std::unique_ptr<MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  /// Tells the kernel how the file will be read; a hint, never an error.
  void advise(Advice advice) const;

 private:
  MappedFile(std::string path, std::span<const std::byte> bytes)
      : path_(std::move(path)), bytes_(bytes), watched_(bytes_.data(), bytes_.size(), path_.c_str()) {}

  std::string path_;
  std::span<const std::byte> bytes_;
  WatchedMapping watched_;
};

/// Whole text of a small file (config, tokenizer, template): at most `max_bytes`, else an error with both sizes.
Result<std::string> read_text_file(const std::string& path, int64_t max_bytes);

}  // namespace vortex
