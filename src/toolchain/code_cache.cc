#include "toolchain/code_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/files.h"

namespace vortex::toolchain {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxListBytes = 1 << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Error refused(const fs::path& folder, const char* why) {
  return {ErrorCode::kConfiguration, folder.string(), fmt::format("the folder of compiled code {}", why),
          "name another in compilation_cache_dir"};
}

/// Whether every file of the list, a digest and a path a line, is what it was.
bool inputs_unchanged(const std::string& list) {
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find('\n', at), list.size());
    const size_t space = list.find(' ', at);
    if (space >= end) return false;
    const auto digest = sha256_of_file(list.substr(space + 1, end - space - 1));
    if (!digest.ok() || *digest != list.substr(at, space - at)) return false;
    at = end + 1;
  }
  return true;
}

Result<std::string> list_of(const std::vector<fs::path>& inputs) {
  std::string list;
  for (const fs::path& input : inputs) {
    VORTEX_ASSIGN_OR_RETURN(const std::string digest, sha256_of_file(input));
    std::error_code failure;
    list += fmt::format("{} {}\n", digest, fs::absolute(input, failure).string());
  }
  return list;
}

}  // namespace

Result<fs::path> code_cache_folder(const std::optional<std::string>& configured) {
  const std::string home = environment("HOME");
  if (configured && !configured->starts_with("~/")) return fs::path(*configured);
  if (!configured) {
    if (const std::string own = environment("VORTEX_CACHE_DIR"); !own.empty()) return fs::path(own) / "compiled";
    if (const std::string xdg = environment("XDG_CACHE_HOME"); xdg.starts_with('/'))
      return fs::path(xdg) / "vortex" / "compiled";
  }
  if (home.empty())
    return Error{ErrorCode::kConfiguration, "compilation_cache_dir", "there is no HOME to keep compiled code in",
                 "name a folder in compilation_cache_dir"};
  return configured ? fs::path(home) / configured->substr(2) : fs::path(home) / ".cache" / "vortex" / "compiled";
}

Result<CodeCache> CodeCache::open(const fs::path& folder) {
  if (folder.empty()) return refused(folder, "has no name");
  std::error_code failure;
  const fs::path absolute = fs::absolute(folder, failure);
  if (absolute.has_parent_path()) VORTEX_RETURN_IF_ERROR(make_folder(absolute.parent_path()));
  if (::mkdir(absolute.c_str(), 0700) != 0 && errno != EEXIST)
    return file_error(absolute, "cannot create the folder of compiled code", errno);
  struct stat info {};
  if (::stat(absolute.c_str(), &info) != 0) return file_error(absolute, "cannot look at", errno);
  if (!S_ISDIR(info.st_mode)) return refused(absolute, "is no folder");
  if (info.st_uid != ::geteuid()) return refused(absolute, "belongs to another user");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return refused(absolute, "can be written by others (chmod go-w)");
  return CodeCache(absolute);
}

/// The library's name holds the digest of the list: a list and a library of two builds are never taken for a pair.
fs::path CodeCache::library_of(const std::string& key, const std::string& list) const {
  return folder_ / fmt::format("{}-{}.so", key, sha256_of(list).substr(0, 16));
}

std::optional<fs::path> CodeCache::find(const std::string& key) const {
  const auto list = read_small_file(folder_ / (key + ".inputs"), kMaxListBytes);
  if (!list.ok() || !inputs_unchanged(*list)) return std::nullopt;
  const fs::path library = library_of(key, *list);
  if (file_bytes(library) == 0) return std::nullopt;
  return library;
}

Result<fs::path> CodeCache::publish(const std::string& key, const fs::path& library,
                                    const std::vector<fs::path>& inputs) const {
  VORTEX_ASSIGN_OR_RETURN(const std::string list, list_of(inputs));
  const fs::path target = library_of(key, list);
  VORTEX_RETURN_IF_ERROR(publish_file(library, target));
  VORTEX_RETURN_IF_ERROR(write_file_atomically(folder_ / (key + ".inputs"), list));
  return target;
}

Result<ScratchFolder> ScratchFolder::create(const fs::path& parent) {
  std::string name = parent / "build-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return file_error(parent, "cannot create a folder in", errno);
  return ScratchFolder(name);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace vortex::toolchain
