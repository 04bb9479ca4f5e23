#include "base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace vortex {
namespace fs = std::filesystem;

namespace {
constexpr size_t kCopyBytes = size_t{1} << 20;

std::string hexadecimal(const unsigned char* bytes, unsigned count) {
  std::string out;
  for (unsigned i = 0; i < count; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_) throw std::bad_alloc();
    VORTEX_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(const void* bytes, size_t count) { VORTEX_CHECK(EVP_DigestUpdate(context_.get(), bytes, count) == 1); }
  std::string finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    VORTEX_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1);
    return hexadecimal(digest, size);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Result<size_t> read_some(const UniqueFd& fd, void* out, size_t size, const fs::path& path) {
  while (true) {
    const ssize_t got = ::read(fd.get(), out, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return file_error(path, "cannot read", errno);
  }
}
}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

Error file_error(const fs::path& path, std::string_view action, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  const ErrorCode code = full                     ? ErrorCode::kResourceExhausted
                         : error_number == ENOENT ? ErrorCode::kNotFound
                                                  : ErrorCode::kUnavailable;
  return {code, path.string(), fmt::format("{}: {}", action, std::strerror(error_number)),
          full ? "free some space or move the cache (docs/configuration.md says where each one lies)" : ""};
}

Result<UniqueFd> open_file(const fs::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (fd.get() < 0) return file_error(path, "cannot open", errno);
  return fd;
}

Status make_folder(const fs::path& path) {
  std::error_code failure;
  fs::create_directories(path, failure);
  if (failure) return file_error(path, "cannot create the folder", failure.value());
  return {};
}

Status write_all(const UniqueFd& fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return file_error(path, "cannot write", errno);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Status read_exactly(const UniqueFd& fd, uint64_t offset, void* out, size_t size, const fs::path& path) {
  char* next = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = ::pread(fd.get(), next, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(path, "cannot read", errno);
    if (got == 0) return Error{ErrorCode::kDataLoss, path.string(), "the file ends too early", ""};
    next += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return {};
}

Result<std::string> read_small_file(const fs::path& path, int64_t max_bytes) {
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  std::string content;
  std::vector<char> buffer(64 * 1024);
  while (true) {
    VORTEX_ASSIGN_OR_RETURN(size_t got, read_some(fd, buffer.data(), buffer.size(), path));
    if (got == 0) return content;
    content.append(buffer.data(), got);
    if (static_cast<int64_t>(content.size()) > max_bytes) {
      return Error{ErrorCode::kDataLoss, path.string(), fmt::format("larger than the {} bytes expected", max_bytes),
                   ""};
    }
  }
}

Status write_file_atomically(const fs::path& path, std::string_view content) {
  if (path.has_parent_path()) VORTEX_RETURN_IF_ERROR(make_folder(path.parent_path()));
  const fs::path temporary = fmt::format("{}.{}.tmp", path.string(), ::getpid());
  Status status;
  {
    VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    status = write_all(fd, content, temporary);
  }
  if (status.ok()) status = publish_file(temporary, path);
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

Status publish_file(const fs::path& from, const fs::path& to) {
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(from, O_RDONLY));
  if (::fsync(fd.get()) != 0) return file_error(from, "cannot flush", errno);
  if (::rename(from.c_str(), to.c_str()) != 0) return file_error(to, "cannot rename into place", errno);
  return {};
}

int64_t file_bytes(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

Status check_free_space(const fs::path& folder, int64_t bytes) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return file_error(folder, "cannot ask for free space", errno);
  const double free_bytes = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (static_cast<double>(bytes) <= free_bytes) return {};
  return Error{
      ErrorCode::kResourceExhausted, folder.string(),
      fmt::format("needs {:.1f} MB, the disk has {:.1f} MB free", static_cast<double>(bytes) / 1e6, free_bytes / 1e6),
      "free some space or move the cache (docs/configuration.md says where each one lies)"};
}

std::string sha256_of(std::string_view bytes) {
  Sha256 digest;
  digest.add(bytes.data(), bytes.size());
  return digest.finish();
}

Result<std::string> sha256_of_file(const fs::path& path) {
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  Sha256 digest;
  std::vector<char> buffer(kCopyBytes);
  while (true) {
    VORTEX_ASSIGN_OR_RETURN(size_t got, read_some(fd, buffer.data(), buffer.size(), path));
    if (got == 0) return digest.finish();
    digest.add(buffer.data(), got);
  }
}

Result<FileLock> FileLock::acquire(const fs::path& path) {
  VORTEX_RETURN_IF_ERROR(make_folder(path.parent_path()));
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT));
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return file_error(path, "cannot lock", errno);
  }
  return FileLock(std::move(fd));
}

Result<std::optional<FileLock>> FileLock::try_for(const fs::path& path, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kPause{20};
  VORTEX_RETURN_IF_ERROR(make_folder(path.parent_path()));
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT));
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK) return file_error(path, "cannot lock", errno);
    if (std::chrono::steady_clock::now() >= deadline) return std::optional<FileLock>();
    std::this_thread::sleep_for(kPause);
  }
  return std::optional<FileLock>(FileLock(std::move(fd)));
}

}  // namespace vortex
