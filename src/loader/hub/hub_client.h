// Downloads a model from the hub into the Hugging Face cache, so that other programs find it too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "loader/hub/hf_cache.h"
#include "loader/hub/http_client.h"
#include "loader/hub/settings.h"

namespace vortex::hub {

/// Called as bytes arrive; `total` is the size of `file`.
using DownloadProgress = FunctionRef<void(const std::string& file, int64_t done, int64_t total)>;

class HubClient {
 public:
  explicit HubClient(const HubSettings& settings);

  /// Brings the files that Vortex reads of `id` into the cache and returns what a loader opens. What lies there is
  /// kept, what was cut off is continued, and refs/<revision> moves only when all files are in place. Processes
  /// that fetch the same file take turns. Errors: kUnavailable (offline, network, access), kNotFound, kDataLoss
  /// (checksum, unsafe names), kResourceExhausted (disk), kUnsupported (pickled weights only).
  Result<std::string> fetch(const RepoId& id, DownloadProgress progress);

 private:
  struct ModelInfo {
    std::string commit;
    std::vector<std::string> files;
  };
  struct RemoteFile {
    std::string name;
    std::string etag;  // name of the blob
    int64_t bytes = 0;
  };

  Result<ModelInfo> model_info(const RepoId& id);
  Result<std::vector<std::string>> choose_files(const RepoId& id, const ModelInfo& info, DownloadProgress progress);
  Result<RemoteFile> describe(const RepoId& id, const std::string& commit, const std::string& name);
  Status fetch_files(const RepoId& id, const std::string& commit, const std::vector<std::string>& names,
                     DownloadProgress progress);
  Status fetch_blob(const RepoId& id, const std::string& commit, const RemoteFile& file, DownloadProgress progress);
  Status transfer(const std::string& url, const ResumableFile& part, const RemoteFile& file, DownloadProgress progress);
  Status refuse(const RepoId& id, const HttpReply& reply, const std::string& what) const;

  std::string file_url(const RepoId& id, const std::string& commit, const std::string& name) const;
  std::filesystem::path blob_path(const RepoId& id, const RemoteFile& file) const;

  HubSettings settings_;
  HfCache cache_;
  HttpClient http_;
};

}  // namespace vortex::hub
