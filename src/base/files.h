// Small files, locks and digests: what the caches need from the file system. Every function reports the
// path and the system's reason.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace vortex {

/// Owns one file descriptor.
class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }

 private:
  int fd_;
};

/// An Error for `path` from errno; ENOSPC and EDQUOT become kResourceExhausted, ENOENT kNotFound.
Error file_error(const std::filesystem::path& path, std::string_view action, int error_number);

Result<UniqueFd> open_file(const std::filesystem::path& path, int flags);
Status make_folder(const std::filesystem::path& path);
Status write_all(const UniqueFd& fd, std::string_view bytes, const std::filesystem::path& path);
/// Reads exactly out.size() bytes at `offset`; kDataLoss where the file ends before.
Status read_exactly(const UniqueFd& fd, uint64_t offset, void* out, size_t size, const std::filesystem::path& path);

/// The whole file, or kDataLoss when it is larger than `max_bytes`.
Result<std::string> read_small_file(const std::filesystem::path& path, int64_t max_bytes);
/// Readers see the old content or the new, never a part.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content);
/// Flushes `from` to the disk, then renames it to `to`: a name in a cache never stands for a torn file.
Status publish_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Size of a regular file, 0 when there is none.
int64_t file_bytes(const std::filesystem::path& path);
/// kResourceExhausted, with both numbers, unless the disk of `folder` has room for `bytes`.
Status check_free_space(const std::filesystem::path& folder, int64_t bytes);
/// Lower-case hexadecimal SHA-256.
std::string sha256_of(std::string_view bytes);
Result<std::string> sha256_of_file(const std::filesystem::path& path);

/// An exclusive lock between processes, held for the life of the object; one that dies lets go of it.
class FileLock {
 public:
  /// Waits while another holds it.
  static Result<FileLock> acquire(const std::filesystem::path& path);
  /// Nothing when another holds it for all of `patience`.
  static Result<std::optional<FileLock>> try_for(const std::filesystem::path& path, std::chrono::milliseconds patience);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace vortex
