// The Hugging Face cache on disk, as huggingface_hub lays it out:
//   <root>/models--org--name/{refs/<revision>, blobs/<etag>, snapshots/<commit>/<file> -> ../../blobs/<etag>}
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/hub/repo_id.h"

namespace vortex::hub {

/// What one commit of a model holds on this machine.
struct Snapshot {
  std::filesystem::path folder;
  std::string commit;
  std::filesystem::path model;       // what a loader opens: `folder`, or the (first) GGUF
  std::vector<std::string> missing;  // files the model needs and the snapshot lacks; empty = complete
};

class HfCache {
 public:
  explicit HfCache(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path repo_folder(const RepoId& id) const { return root_ / id.folder(); }
  std::filesystem::path snapshot_folder(const RepoId& id, const std::string& commit) const {
    return repo_folder(id) / "snapshots" / commit;
  }

  /// The snapshot that refs/<revision> names (a commit names itself), never another one that happens to lie there.
  /// kNotFound: no such revision here, or no GGUF of that quant. kDataLoss: a reference that is no commit, an index
  /// that cannot be read, or a file whose links (two levels at most) leave the cache.
  Result<Snapshot> find(const RepoId& id) const;

  /// The same without a look at the files: only `folder` and `commit` are set.
  Result<Snapshot> locate(const RepoId& id) const;

  /// Names of the models ("org/name") that have a reference, sorted.
  std::vector<std::string> names() const;

 private:
  Result<std::string> commit_of(const RepoId& id) const;
  Result<bool> holds(const Snapshot& snapshot, const std::string& file) const;
  Status find_gguf(const RepoId& id, Snapshot& snapshot) const;
  Status find_weights(Snapshot& snapshot) const;

  std::filesystem::path root_;
};

/// The shards that the text of a model.safetensors.index.json names, sorted; kDataLoss for unsafe names.
Result<std::vector<std::string>> shards_of_index(const std::string& text, const std::string& where);

/// Bytes of the files under `folder`, links followed; `folder` may be a file.
int64_t tree_bytes(const std::filesystem::path& folder);

/// Relative names of the files under `folder` (at most 3 levels, 10,000 names), sorted.
std::vector<std::string> files_under(const std::filesystem::path& folder);

}  // namespace vortex::hub
