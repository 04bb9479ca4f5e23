#include "loader/mmap_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vortex {
namespace {

/// Closes a descriptor when the scope ends.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error cannot(ErrorCode code, const std::string& path, std::string message) {
  return Error{code, path, std::move(message), {}};
}

/// Size of a regular file with something in it.
Result<size_t> regular_size(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return cannot(ErrorCode::kNotFound, path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return cannot(ErrorCode::kInvalidArgument, path, "is a directory, not a file");
  if (!S_ISREG(info.st_mode)) return cannot(ErrorCode::kInvalidArgument, path, "is not a regular file");
  if (info.st_size <= 0) return cannot(ErrorCode::kDataLoss, path, "the file is empty");
  return static_cast<size_t>(info.st_size);
}

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::string& path) {
  // Non-blocking, so that a pipe is refused below instead of waited for.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return cannot(ErrorCode::kNotFound, path, std::strerror(errno));
  VORTEX_ASSIGN_OR_RETURN(const size_t size, regular_size(fd.get(), path));
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    return cannot(ErrorCode::kResourceExhausted, path, fmt::format("cannot be mapped: {}", std::strerror(errno)));
  }
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(data), size);
  return std::unique_ptr<MappedFile>(new MappedFile(path, bytes));
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

void MappedFile::advise(Advice advice) const {
  int how = MADV_NORMAL;
  if (advice == Advice::kSequential) how = MADV_SEQUENTIAL;
  if (advice == Advice::kWillNeed) how = MADV_WILLNEED;
  if (advice == Advice::kDontNeed) how = MADV_DONTNEED;  // read-only and private: pages come back from the file
  ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), how);
}

Result<std::string> read_text_file(const std::string& path, int64_t max_bytes) {
  VORTEX_ASSIGN_OR_RETURN(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  if (bytes.size() > static_cast<size_t>(max_bytes)) {
    return cannot(ErrorCode::kDataLoss, path,
                  fmt::format("has {} bytes, at most {} expected", bytes.size(), max_bytes));
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace vortex
