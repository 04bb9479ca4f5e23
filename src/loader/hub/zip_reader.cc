#include "loader/hub/zip_reader.h"

#include <fcntl.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

namespace vortex::hub {

namespace {

constexpr size_t kPieceBytes = size_t{1} << 18;
constexpr uint64_t kMaxDirectoryBytes = uint64_t{64} << 20;

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kMaxComment = 65535;

constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;

/// Little-endian integer of Bytes bytes at `offset`, which the caller has checked.
template <size_t Bytes>
uint32_t number_at(std::string_view text, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < Bytes; ++i) value |= uint32_t{static_cast<unsigned char>(text[offset + i])} << (8 * i);
  return value;
}
uint32_t u32(std::string_view text, size_t offset) { return number_at<4>(text, offset); }
uint16_t u16(std::string_view text, size_t offset) { return static_cast<uint16_t>(number_at<2>(text, offset)); }

}  // namespace

Error ZipReader::bad(std::string message) const {
  return {ErrorCode::kDataLoss, path_.string(), "ZIP archive: " + std::move(message), "download it again"};
}

Result<ZipReader> ZipReader::open(const std::filesystem::path& path) {
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  ZipReader reader(path, std::move(fd), static_cast<uint64_t>(file_bytes(path)));
  VORTEX_RETURN_IF_ERROR(reader.read_directory());
  return reader;
}

Status ZipReader::read_directory() {
  if (size_ < kEndBytes) return bad("too short to be one");
  std::string tail(std::min<uint64_t>(size_, kEndBytes + kMaxComment), '\0');
  VORTEX_RETURN_IF_ERROR(read_exactly(fd_, size_ - tail.size(), tail.data(), tail.size(), path_));
  size_t end = tail.size() - kEndBytes + 1;
  do {
    if (end == 0) return bad("no end record");
    --end;
  } while (u32(tail, end) != kEndSignature || end + kEndBytes + u16(tail, end + 20) != tail.size());
  const unsigned count = u16(tail, end + 10);
  const uint64_t bytes = u32(tail, end + 12);
  const uint64_t offset = u32(tail, end + 16);
  if (count == 0xffff || bytes == 0xffffffff || offset == 0xffffffff) {
    return Error{ErrorCode::kUnsupported, path_.string(), "ZIP64 archives are not read", ""};
  }
  if (u16(tail, end + 4) != 0 || u16(tail, end + 8) != count) return bad("spread over several disks");
  if (bytes > kMaxDirectoryBytes || offset + bytes > size_) return bad("the directory lies outside of the file");
  std::string directory(bytes, '\0');
  VORTEX_RETURN_IF_ERROR(read_exactly(fd_, offset, directory.data(), directory.size(), path_));
  return parse_directory(directory, count);
}

Status ZipReader::parse_directory(std::string_view directory, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (directory.size() < kCentralBytes || u32(directory, 0) != kCentralSignature) {
      return bad(fmt::format("entry {} of {} is damaged", i + 1, count));
    }
    const size_t name_bytes = u16(directory, 28);
    const size_t entry_bytes = kCentralBytes + name_bytes + u16(directory, 30) + u16(directory, 32);
    if (entry_bytes > directory.size()) return bad(fmt::format("entry {} of {} is cut off", i + 1, count));
    members_.push_back({.name = std::string(directory.substr(kCentralBytes, name_bytes)),
                        .flags = u16(directory, 8),
                        .method = u16(directory, 10),
                        .crc32 = u32(directory, 16),
                        .packed_bytes = u32(directory, 20),
                        .bytes = u32(directory, 24),
                        .header_offset = u32(directory, 42)});
    directory.remove_prefix(entry_bytes);
  }
  return {};
}

Result<const ZipMember*> ZipReader::find(const std::string& name) const {
  for (const ZipMember& member : members_) {
    if (member.name == name) return &member;
  }
  return Error{ErrorCode::kNotFound, path_.string(), fmt::format("holds no {}", name), ""};
}

/// Where the packed bytes begin; they end inside the file.
Result<uint64_t> ZipReader::data_offset(const ZipMember& member) const {
  std::string header(kLocalBytes, '\0');
  if (member.header_offset + kLocalBytes > size_) return bad(member.name + " lies outside of the file");
  VORTEX_RETURN_IF_ERROR(read_exactly(fd_, member.header_offset, header.data(), header.size(), path_));
  if (u32(header, 0) != kLocalSignature) return bad(member.name + " has no header");
  const uint64_t offset = member.header_offset + kLocalBytes + u16(header, 26) + u16(header, 28);
  if (offset + member.packed_bytes > size_) return bad(member.name + " lies outside of the file");
  return offset;
}

Status ZipReader::copy_stored(const ZipMember& member, uint64_t offset,
                              FunctionRef<Status(std::string_view)> sink) const {
  std::string piece(kPieceBytes, '\0');
  for (uint64_t done = 0; done < member.packed_bytes;) {
    const size_t take = std::min<uint64_t>(kPieceBytes, member.packed_bytes - done);
    VORTEX_RETURN_IF_ERROR(read_exactly(fd_, offset + done, piece.data(), take, path_));
    VORTEX_RETURN_IF_ERROR(sink({piece.data(), take}));
    done += take;
  }
  return {};
}

Status ZipReader::inflate_into(const ZipMember& member, uint64_t offset,
                               FunctionRef<Status(std::string_view)> sink) const {
  z_stream stream{};
  VORTEX_CHECK(inflateInit2(&stream, -MAX_WBITS) == Z_OK);
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, inflateEnd);
  std::string packed(kPieceBytes, '\0');
  std::string piece(kPieceBytes, '\0');
  uint64_t done = 0;
  int outcome = Z_OK;
  while (outcome != Z_STREAM_END) {
    if (stream.avail_in == 0 && done < member.packed_bytes) {
      const size_t take = std::min<uint64_t>(kPieceBytes, member.packed_bytes - done);
      VORTEX_RETURN_IF_ERROR(read_exactly(fd_, offset + done, packed.data(), take, path_));
      stream.next_in = reinterpret_cast<Bytef*>(packed.data());
      stream.avail_in = static_cast<uInt>(take);
      done += take;
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    outcome = inflate(&stream, Z_NO_FLUSH);
    if (outcome == Z_BUF_ERROR) return bad(member.name + " ends too early");
    if (outcome != Z_OK && outcome != Z_STREAM_END) return bad(member.name + " does not inflate");
    VORTEX_RETURN_IF_ERROR(sink({piece.data(), piece.size() - stream.avail_out}));
  }
  return {};
}

Status ZipReader::extract(const std::string& name, uint64_t max_bytes,
                          FunctionRef<Status(std::string_view)> sink) const {
  VORTEX_ASSIGN_OR_RETURN(const ZipMember* member, find(name));
  if ((member->flags & kEncrypted) != 0 || (member->method != kStored && member->method != kDeflated)) {
    return Error{ErrorCode::kUnsupported, path_.string(),
                 fmt::format("{} is encrypted or packed by method {}", name, member->method), ""};
  }
  if (member->bytes > max_bytes)
    return bad(fmt::format("{} has {} bytes, at most {} expected", name, member->bytes, max_bytes));
  VORTEX_ASSIGN_OR_RETURN(const uint64_t offset, data_offset(*member));
  uint64_t written = 0;
  uLong crc = ::crc32(0, nullptr, 0);
  const auto checked = [&](std::string_view piece) -> Status {
    written += piece.size();
    if (written > member->bytes) return bad(name + " is longer than the directory says");
    crc = ::crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size()));
    return sink(piece);
  };
  VORTEX_RETURN_IF_ERROR(member->method == kStored ? copy_stored(*member, offset, checked)
                                                   : inflate_into(*member, offset, checked));
  if (written != member->bytes) return bad(name + " is shorter than the directory says");
  if (crc != member->crc32) return bad(name + " fails its CRC");
  return {};
}

}  // namespace vortex::hub
