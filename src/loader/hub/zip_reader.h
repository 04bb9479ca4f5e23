// Reads single members of a ZIP archive (a Python wheel): stored and deflated, without encryption or ZIP64.
// Format: PKWARE APPNOTE 6.3, sections 4.3.6 to 4.3.16.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/function_ref.h"
#include "base/result.h"

namespace vortex::hub {

struct ZipMember {
  std::string name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t crc32 = 0;
  uint64_t packed_bytes = 0;
  uint64_t bytes = 0;
  uint64_t header_offset = 0;
};

class ZipReader {
 public:
  /// Reads the central directory. kDataLoss for what is no archive or lies about sizes, kUnsupported for ZIP64.
  static Result<ZipReader> open(const std::filesystem::path& path);

  const std::vector<ZipMember>& members() const { return members_; }

  /// Unpacks one member into `sink`, piece by piece, at most `max_bytes`; its length and CRC are checked at the end,
  /// so a sink must not publish what it got before this returns. kNotFound when there is no such member.
  Status extract(const std::string& name, uint64_t max_bytes, FunctionRef<Status(std::string_view piece)> sink) const;

 private:
  ZipReader(std::filesystem::path path, UniqueFd fd, uint64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  Error bad(std::string message) const;
  Status read_directory();
  Status parse_directory(std::string_view directory, unsigned count);
  Result<const ZipMember*> find(const std::string& name) const;
  Result<uint64_t> data_offset(const ZipMember& member) const;
  Status copy_stored(const ZipMember& member, uint64_t offset, FunctionRef<Status(std::string_view)> sink) const;
  Status inflate_into(const ZipMember& member, uint64_t offset, FunctionRef<Status(std::string_view)> sink) const;

  std::filesystem::path path_;
  UniqueFd fd_;
  uint64_t size_;
  std::vector<ZipMember> members_;
};

}  // namespace vortex::hub
