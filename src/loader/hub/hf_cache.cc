#include "loader/hub/hf_cache.h"

#include <algorithm>
#include <set>

#include "base/files.h"
#include "loader/json.h"

namespace vortex::hub {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxIndexBytes = int64_t{64} << 20;
constexpr size_t kMaxShards = 4096;
constexpr int kMaxLinks = 2;
constexpr int kMaxDepth = 3;
constexpr size_t kMaxFiles = 10000;
/// What a loader reads beside config and weights, where it is there.
constexpr const char* kCompanions[] = {"generation_config.json", "tokenizer.json", "tokenizer_config.json",
                                       "chat_template.jinja"};

bool is_inside(const fs::path& root, const fs::path& path) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

Error outside(const fs::path& path, std::string message) {
  return {ErrorCode::kDataLoss, path.string(), std::move(message), "remove the file and download the model again"};
}

/// Whether `path` is a regular file after at most two links, each of which stays under `root`.
Result<bool> follows_to_file(const fs::path& root, const fs::path& path) {
  std::error_code failure;
  const fs::path real_root = fs::canonical(root, failure);
  if (failure) return false;
  fs::path current = path;
  for (int links = 0; links <= kMaxLinks; ++links) {
    const fs::path parent = fs::canonical(current.parent_path(), failure);
    if (failure) return false;
    if (!is_inside(real_root, parent)) return outside(path, "leads out of the cache");
    current = parent / current.filename();
    const fs::file_status status = fs::symlink_status(current, failure);
    if (status.type() != fs::file_type::symlink) return status.type() == fs::file_type::regular;
    current = parent / fs::read_symlink(current, failure);
  }
  return outside(path, fmt::format("is behind more than {} links", kMaxLinks));
}

}  // namespace

Result<std::vector<std::string>> shards_of_index(const std::string& text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const nlohmann::json index, parse_json(text, where));
  const auto bad = [&](std::string message) { return Error{ErrorCode::kDataLoss, where, std::move(message), ""}; };
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    return bad("has no weight_map");
  }
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    if (!shard.is_string()) return bad("a weight_map entry is no file name");
    const std::string& name = shard.get_ref<const std::string&>();
    if (!is_safe_file_name(name)) return bad(fmt::format("names the file '{}'", name.substr(0, 96)));
    shards.insert(name);
    if (shards.size() > kMaxShards) return bad(fmt::format("names more than {} files", kMaxShards));
  }
  if (shards.empty()) return bad("names no file");
  return std::vector<std::string>(shards.begin(), shards.end());
}

std::vector<std::string> files_under(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::recursive_directory_iterator() && files.size() < kMaxFiles;
       entry.increment(failure)) {
    if (entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) files.push_back(entry->path().lexically_relative(folder).string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int64_t tree_bytes(const fs::path& folder) {
  std::error_code failure;
  if (!fs::is_directory(folder, failure)) return file_bytes(folder);
  int64_t total = 0;
  for (const std::string& file : files_under(folder)) total += file_bytes(folder / file);
  return total;
}

Result<std::string> HfCache::commit_of(const RepoId& id) const {
  if (is_commit(id.revision)) return id.revision;
  const fs::path reference = repo_folder(id) / "refs" / id.revision;
  if (file_bytes(reference) == 0) {
    return Error{ErrorCode::kNotFound, id.to_string(), fmt::format("not in the cache {}", root_.string()), ""};
  }
  VORTEX_ASSIGN_OR_RETURN(std::string commit, read_small_file(reference, 4096));
  while (commit.ends_with('\n')) commit.pop_back();
  if (!is_commit(commit)) return outside(reference, "holds no commit");
  return commit;
}

Result<bool> HfCache::holds(const Snapshot& snapshot, const std::string& file) const {
  return follows_to_file(root_, snapshot.folder / file);
}

Status HfCache::find_gguf(const RepoId& id, Snapshot& snapshot) const {
  VORTEX_ASSIGN_OR_RETURN(const GgufSet set, choose_gguf(files_under(snapshot.folder), id.quant, id.to_string()));
  for (const std::string& file : set.files) VORTEX_RETURN_IF_ERROR(holds(snapshot, file));
  snapshot.model = snapshot.folder / set.files[0];
  return {};
}

Status HfCache::find_weights(Snapshot& snapshot) const {
  std::vector<std::string> needed = {"config.json"};
  VORTEX_ASSIGN_OR_RETURN(const bool sharded, holds(snapshot, kSafetensorsIndex));
  if (sharded) {
    const fs::path path = snapshot.folder / kSafetensorsIndex;
    VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kMaxIndexBytes));
    VORTEX_ASSIGN_OR_RETURN(const auto shards, shards_of_index(text, path.string()));
    needed.insert(needed.end(), shards.begin(), shards.end());
  } else {
    needed.push_back(kSafetensors);
  }
  for (const std::string& file : needed) {
    VORTEX_ASSIGN_OR_RETURN(const bool present, holds(snapshot, file));
    if (!present) snapshot.missing.push_back(file);
  }
  for (const char* file : kCompanions) VORTEX_RETURN_IF_ERROR(holds(snapshot, file));
  snapshot.model = snapshot.folder;
  return {};
}

Result<Snapshot> HfCache::locate(const RepoId& id) const {
  Snapshot snapshot;
  VORTEX_ASSIGN_OR_RETURN(snapshot.commit, commit_of(id));
  snapshot.folder = snapshot_folder(id, snapshot.commit);
  std::error_code failure;
  if (!fs::is_directory(snapshot.folder, failure)) {
    return Error{ErrorCode::kNotFound, id.to_string(),
                 fmt::format("commit {} is not in the cache {}", snapshot.commit, root_.string()), ""};
  }
  return snapshot;
}

Result<Snapshot> HfCache::find(const RepoId& id) const {
  VORTEX_ASSIGN_OR_RETURN(Snapshot snapshot, locate(id));
  const std::vector<std::string> files = files_under(snapshot.folder);
  const bool wants_gguf = !id.quant.empty() || (!names_safetensors(files) && !gguf_sets(files).empty());
  VORTEX_RETURN_IF_ERROR(wants_gguf ? find_gguf(id, snapshot) : find_weights(snapshot));
  return snapshot;
}

std::vector<std::string> HfCache::names() const {
  constexpr std::string_view kPrefix = "models--";
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(root_, failure); !failure && entry != fs::directory_iterator();
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (!name.starts_with(kPrefix) || !fs::is_directory(entry->path() / "refs", ignored)) continue;
    const size_t separator = name.find("--", kPrefix.size());
    if (separator == name.npos) continue;
    names.push_back(
        fmt::format("{}/{}", name.substr(kPrefix.size(), separator - kPrefix.size()), name.substr(separator + 2)));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace vortex::hub
