#include "toolchain/code_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "toolchain/program.h"

namespace vortex::toolchain {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxListBytes = 1 << 20;
constexpr std::string_view kScratchPrefix = "vortex-build-";
constexpr size_t kDigestLength = 64;
constexpr time_t kAbandonedAfter = 3600;         // a build takes a minute at most
constexpr time_t kUnusedAfter = 30 * 24 * 3600;  // an old version's, or of a flow that has changed

Error refused(const fs::path& folder, const char* why) {
  return {ErrorCode::kConfiguration, folder.string(), fmt::format("the folder of compiled code {}", why),
          "name another in compilation_cache_dir"};
}

/// A regular file that only we can have written. The folder is private; this is for a folder that once was not.
bool is_ours(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == ::geteuid() &&
         (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

void mark_used(const fs::path& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

/// A list begins with the digest of its library; then, for each file that went into it, a digest and a path a line.
std::string digest_of_list(const std::string& list) { return list.substr(0, list.find('\n')); }

bool inputs_unchanged(const std::string& list) {
  for (size_t at = digest_of_list(list).size() + 1; at < list.size();) {
    const size_t end = std::min(list.find('\n', at), list.size());
    const size_t space = list.find(' ', at);
    if (space >= end) return false;
    const auto digest = sha256_of_file(list.substr(space + 1, end - space - 1));
    if (!digest.ok() || *digest != list.substr(at, space - at)) return false;
    at = end + 1;
  }
  return true;
}

Result<std::string> list_of(const fs::path& library, const std::vector<fs::path>& inputs) {
  VORTEX_ASSIGN_OR_RETURN(std::string list, sha256_of_file(library));
  list += '\n';
  for (const fs::path& input : inputs) {
    VORTEX_ASSIGN_OR_RETURN(const std::string digest, sha256_of_file(input));
    std::error_code failure;
    list += fmt::format("{} {}\n", digest, fs::absolute(input, failure).string());
  }
  return list;
}

/// "KEY.inputs", "KEY.lock", "KEY-DIGEST.so" or the like: a name of this cache, not of a file that lies there too.
bool is_entry_name(const std::string& name) {
  const bool has_key = name.size() > kDigestLength && name.find_first_not_of("0123456789abcdef") == kDigestLength;
  return has_key && (name[kDigestLength] == '.' || name[kDigestLength] == '-');
}

bool is_scratch_name(const std::string& name) {
  const bool is_folder = name.starts_with(kScratchPrefix) && name.size() == kScratchPrefix.size() + 6;
  return is_folder || (is_entry_name(name) && name.ends_with(".tmp"));
}

time_t age_of(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? std::time(nullptr) - info.st_mtime : 0;
}

}  // namespace

Result<fs::path> code_cache_folder(const std::optional<std::string>& configured) {
  const std::string home = environment_variable("HOME");
  if (configured && !configured->starts_with("~/")) return fs::path(*configured);
  if (!configured) {
    if (const std::string own = environment_variable("VORTEX_CACHE_DIR"); !own.empty())
      return fs::path(own) / "compiled";
    if (const std::string xdg = environment_variable("XDG_CACHE_HOME"); xdg.starts_with('/'))
      return fs::path(xdg) / "vortex" / "compiled";
  }
  if (home.empty())
    return Error{ErrorCode::kConfiguration, "compilation_cache_dir", "there is no HOME to keep compiled code in",
                 "name a folder in compilation_cache_dir"};
  return configured ? fs::path(home) / configured->substr(2) : fs::path(home) / ".cache" / "vortex" / "compiled";
}

Result<CodeCache> CodeCache::open(const fs::path& folder, std::string suffix) {
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
  return CodeCache(absolute, std::move(suffix));
}

/// The library's name holds the digest of its list, which holds that of the library: neither can change alone.
fs::path CodeCache::library_of(const std::string& key, const std::string& list) const {
  return folder_ / fmt::format("{}-{}{}", key, sha256_of(list).substr(0, 16), suffix_);
}

std::optional<fs::path> CodeCache::find(const std::string& key) const {
  const fs::path list_path = folder_ / (key + ".inputs");
  if (!is_ours(list_path)) return std::nullopt;
  const auto list = read_small_file(list_path, kMaxListBytes);
  if (!list.ok() || !inputs_unchanged(*list)) return std::nullopt;
  const fs::path library = library_of(key, *list);
  if (!is_ours(library)) return std::nullopt;
  const auto found = sha256_of_file(library);
  if (!found.ok() || *found != digest_of_list(*list)) return std::nullopt;
  mark_used(list_path);
  mark_used(library);
  return library;
}

std::optional<FileLock> CodeCache::take_turn(const std::string& key, std::chrono::milliseconds patience) const {
  auto lock = FileLock::try_for(folder_ / (key + ".lock"), patience);
  return lock.ok() ? std::move(lock).value() : std::nullopt;
}

Result<fs::path> CodeCache::publish(const std::string& key, const fs::path& library,
                                    const std::vector<fs::path>& inputs) const {
  // Whatever the umask is: find() takes nothing that a group may write.
  if (::chmod(library.c_str(), 0700) != 0) return file_error(library, "cannot change the mode of", errno);
  VORTEX_ASSIGN_OR_RETURN(const std::string list, list_of(library, inputs));
  const fs::path target = library_of(key, list);
  VORTEX_RETURN_IF_ERROR(publish_file(library, target));
  if (const Status listed = write_file_atomically(folder_ / (key + ".inputs"), list); !listed.ok()) {
    ::unlink(target.c_str());  // without its list nobody would find it
    return listed.error();
  }
  prune();
  return target;
}

void CodeCache::prune() const {
  std::error_code failure;
  for (fs::directory_iterator entry(folder_, failure), end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!is_scratch_name(name) && !is_entry_name(name)) continue;
    std::error_code ignored;
    if (age_of(entry->path()) > (is_scratch_name(name) ? kAbandonedAfter : kUnusedAfter))
      fs::remove_all(entry->path(), ignored);
  }
}

Result<ScratchFolder> ScratchFolder::create(const fs::path& parent) {
  std::string name = parent / fmt::format("{}XXXXXX", kScratchPrefix);
  if (::mkdtemp(name.data()) == nullptr) return file_error(parent, "cannot create a folder in", errno);
  return ScratchFolder(name);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace vortex::toolchain
