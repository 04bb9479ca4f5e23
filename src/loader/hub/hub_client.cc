#include "loader/hub/hub_client.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "base/files.h"
#include "base/nearest_name.h"
#include "loader/json.h"

namespace vortex::hub {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxInfoBytes = int64_t{32} << 20;
constexpr int64_t kMaxIndexBytes = int64_t{64} << 20;
constexpr int64_t kMaxFileBytes = int64_t{1} << 50;
constexpr int kAttempts = 5;

constexpr const char* kCompanions[] = {"config.json",
                                       "generation_config.json",
                                       "tokenizer.json",
                                       "tokenizer_config.json",
                                       "tokenizer.model",
                                       "vocab.json",
                                       "merges.txt",
                                       "added_tokens.json",
                                       "chat_template.jinja",
                                       "chat_template.json",
                                       "special_tokens_map.json"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_pickle(const std::string& name) {
  return name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".ckpt");
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

/// A blob's name from an ETag header: without quotes and weakness, "" when it cannot be a file name.
std::string blob_name(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  const bool safe = is_safe_file_name(etag) && etag.find('/') == etag.npos && etag.size() <= 128 && etag[0] != '.';
  return safe ? etag : "";
}

std::optional<int64_t> parse_bytes(const std::string& text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = failure == std::errc() && end == text.data() + text.size();
  return whole && value >= 0 && value <= kMaxFileBytes ? std::optional(value) : std::nullopt;
}

std::string first_of(const HttpReply& reply, const std::string& preferred, const std::string& other) {
  const std::string value = reply.header(preferred);
  return value.empty() ? reply.header(other) : value;
}

/// Points `link` at `blob` by a relative path, in one step even when the link exists.
Status link_to_blob(const fs::path& blob, const fs::path& link) {
  VORTEX_RETURN_IF_ERROR(make_folder(link.parent_path()));
  const fs::path fresh = fmt::format("{}.{}.tmp", link.string(), ::getpid());
  std::error_code failure;
  fs::remove(fresh, failure);
  fs::create_symlink(blob.lexically_relative(link.parent_path()), fresh, failure);
  if (failure) return file_error(link, "cannot create a link", failure.value());
  fs::rename(fresh, link, failure);
  if (failure) return file_error(link, "cannot rename into place", failure.value());
  return {};
}

}  // namespace

HubClient::HubClient(const HubSettings& settings)
    : settings_(settings),
      cache_(settings.hf_cache),
      http_({.connect_timeout_s = settings.connect_timeout_s,
             .stall_timeout_s = settings.stall_timeout_s,
             .ca_file = settings.ca_file}) {}

std::string HubClient::file_url(const RepoId& id, const std::string& commit, const std::string& name) const {
  return fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, id.name, commit, url_encode(name, true));
}

fs::path HubClient::blob_path(const RepoId& id, const RemoteFile& file) const {
  return cache_.repo_folder(id) / "blobs" / file.etag;
}

Status HubClient::refuse(const RepoId& id, const HttpReply& reply, const std::string& what) const {
  const std::string host = url_host(reply.url);
  const std::string where = id.to_string();
  if (reply.status == 401 || reply.status == 403) {
    const bool asked = !settings_.token.empty();
    return Error{ErrorCode::kUnavailable, where, fmt::format("{} refuses {} (HTTP {})", host, what, reply.status),
                 asked ? "the model is gated or private: accept its terms on the hub with the account of HF_TOKEN"
                       : "the model is gated, private or does not exist: set HF_TOKEN to an access token"};
  }
  if (reply.status == 404) {
    const std::string near = nearest_name(id.name, cache_.names());
    return Error{ErrorCode::kNotFound, where, fmt::format("{} has no {} (HTTP 404)", host, what),
                 near.empty() || near == id.name ? "check the name and the revision" : "in the cache: " + near};
  }
  return Error{ErrorCode::kUnavailable, where, fmt::format("{} answers {} with HTTP {}", host, what, reply.status),
               "try again later"};
}

Result<HubClient::ModelInfo> HubClient::model_info(const RepoId& id) {
  const std::string url =
      fmt::format("{}/api/models/{}/revision/{}", settings_.endpoint, id.name, url_encode(id.revision, false));
  VORTEX_ASSIGN_OR_RETURN(const HttpReply reply, http_.get({url, settings_.token}, kMaxInfoBytes));
  if (!reply.ok()) VORTEX_RETURN_IF_ERROR(refuse(id, reply, "the model"));
  const std::string where = url_host(reply.url);
  VORTEX_ASSIGN_OR_RETURN(const nlohmann::json json, parse_json(reply.body, where));
  const Error bad{ErrorCode::kDataLoss, where, fmt::format("its description of {} is not understood", id.name), ""};
  if (!json.is_object() || !json.contains("sha") || !json["sha"].is_string() || !json.contains("siblings") ||
      !json["siblings"].is_array()) {
    return bad;
  }
  ModelInfo info{json["sha"].get<std::string>(), {}};
  if (!is_commit(info.commit)) return bad;
  for (const auto& sibling : json["siblings"]) {
    if (!sibling.is_object() || !sibling.contains("rfilename") || !sibling["rfilename"].is_string()) return bad;
    const std::string name = sibling["rfilename"].get<std::string>();
    if (is_safe_file_name(name)) info.files.push_back(name);
  }
  return info;
}

Result<std::vector<std::string>> HubClient::choose_files(const RepoId& id, const ModelInfo& info,
                                                         DownloadProgress progress) {
  if (!id.quant.empty() || (!names_safetensors(info.files) && !gguf_sets(info.files).empty())) {
    VORTEX_ASSIGN_OR_RETURN(GgufSet set, choose_gguf(info.files, id.quant, id.to_string()));
    return std::move(set.files);
  }
  if (!names_safetensors(info.files)) {
    const bool pickled = std::any_of(info.files.begin(), info.files.end(), is_pickle);
    if (!pickled) return Error{ErrorCode::kNotFound, id.to_string(), "holds neither safetensors nor GGUF weights", ""};
    return Error{ErrorCode::kUnsupported, id.to_string(), "holds only pickled weights, which can run code when read",
                 "ask for a conversion to safetensors"};
  }
  std::vector<std::string> names;
  for (const char* name : kCompanions) {
    if (contains(info.files, name)) names.push_back(name);
  }
  if (!contains(info.files, kSafetensorsIndex)) {
    names.push_back(kSafetensors);
    return names;
  }
  names.push_back(kSafetensorsIndex);
  VORTEX_RETURN_IF_ERROR(fetch_files(id, info.commit, {kSafetensorsIndex}, progress));
  const fs::path index = cache_.snapshot_folder(id, info.commit) / kSafetensorsIndex;
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(index, kMaxIndexBytes));
  VORTEX_ASSIGN_OR_RETURN(const auto shards, shards_of_index(text, id.name + "/" + kSafetensorsIndex));
  names.insert(names.end(), shards.begin(), shards.end());
  return names;
}

Result<HubClient::RemoteFile> HubClient::describe(const RepoId& id, const std::string& commit,
                                                  const std::string& name) {
  VORTEX_ASSIGN_OR_RETURN(const HttpReply reply, http_.head({file_url(id, commit, name), settings_.token}));
  if (reply.status >= 400) VORTEX_RETURN_IF_ERROR(refuse(id, reply, name));
  RemoteFile file{name, blob_name(first_of(reply, "x-linked-etag", "etag")), 0};
  const auto bytes = parse_bytes(first_of(reply, "x-linked-size", "content-length"));
  if (file.etag.empty() || !bytes) {
    return Error{ErrorCode::kDataLoss, fmt::format("{}/{}", id.name, name),
                 fmt::format("{} gives no usable {}", url_host(reply.url), bytes ? "ETag" : "size"),
                 "check HF_ENDPOINT and the proxy settings"};
  }
  file.bytes = *bytes;
  return file;
}

Status HubClient::transfer(const std::string& url, const ResumableFile& part, const RemoteFile& file,
                           DownloadProgress progress) {
  int64_t before = -1;
  Error last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto report = [&](int64_t done) { progress(file.name, done, file.bytes); };
    const auto reply = http_.get_file({url, settings_.token}, part, report);
    const bool transient =
        reply.ok() ? reply->status == 429 || reply->status >= 500 : reply.error().code == ErrorCode::kUnavailable;
    if (reply.ok() && reply->ok()) return {};
    last = reply.ok() ? Error{ErrorCode::kUnavailable, url_host(reply->url),
                              fmt::format("answers {} with HTTP {}", file.name, reply->status), "try again later"}
                      : reply.error();
    if (!transient) return last;
    // A link that drops often still ends the download, as long as each attempt brings some bytes.
    const int64_t present = file_bytes(part.path);
    if (present > before) attempt = 0;
    before = present;
    std::this_thread::sleep_for(std::chrono::milliseconds(settings_.retry_delay_ms) * (1 << attempt));
  }
  return last;
}

Status HubClient::fetch_blob(const RepoId& id, const std::string& commit, const RemoteFile& file,
                             DownloadProgress progress) {
  const fs::path blob = blob_path(id, file);
  VORTEX_ASSIGN_OR_RETURN(const FileLock lock,
                          FileLock::acquire(cache_.root() / ".locks" / id.folder() / (file.etag + ".lock")));
  std::error_code failure;
  if (fs::is_regular_file(blob, failure) && file_bytes(blob) == file.bytes) {
    progress(file.name, file.bytes, file.bytes);
    return {};
  }
  const ResumableFile part{blob.string() + ".incomplete", file.bytes};
  VORTEX_RETURN_IF_ERROR(check_free_space(blob.parent_path(), file.bytes - file_bytes(part.path)));
  VORTEX_RETURN_IF_ERROR(transfer(file_url(id, commit, file.name), part, file, progress));
  if (is_sha256(file.etag)) {
    VORTEX_ASSIGN_OR_RETURN(const std::string sum, sha256_of_file(part.path));
    if (sum != file.etag) {
      fs::remove(part.path, failure);
      return Error{ErrorCode::kDataLoss, fmt::format("{}/{}", id.name, file.name),
                   fmt::format("has sha256 {}, the hub announced {}", sum, file.etag),
                   "the partial file was removed: try again"};
    }
  }
  return publish_file(part.path, blob);
}

Status HubClient::fetch_files(const RepoId& id, const std::string& commit, const std::vector<std::string>& names,
                              DownloadProgress progress) {
  VORTEX_RETURN_IF_ERROR(make_folder(cache_.repo_folder(id) / "blobs"));
  std::vector<RemoteFile> files;
  int64_t lacking = 0;
  for (const std::string& name : names) {
    VORTEX_ASSIGN_OR_RETURN(RemoteFile file, describe(id, commit, name));
    const fs::path blob = blob_path(id, file);
    const int64_t present = std::max(file_bytes(blob), file_bytes(blob.string() + ".incomplete"));
    lacking = std::min(kMaxFileBytes, lacking + std::max<int64_t>(0, file.bytes - present));
    files.push_back(std::move(file));
  }
  // Known before the first byte: a full disk after an hour of download helps nobody.
  VORTEX_RETURN_IF_ERROR(check_free_space(cache_.repo_folder(id), lacking));
  for (const RemoteFile& file : files) {
    VORTEX_RETURN_IF_ERROR(fetch_blob(id, commit, file, progress));
    VORTEX_RETURN_IF_ERROR(link_to_blob(blob_path(id, file), cache_.snapshot_folder(id, commit) / file.name));
  }
  return {};
}

Result<std::string> HubClient::fetch(const RepoId& id, DownloadProgress progress) {
  if (settings_.offline) {
    return Error{ErrorCode::kUnavailable, id.to_string(), "not in the cache, and the hub may not be asked offline",
                 "unset HF_HUB_OFFLINE or leave out --offline"};
  }
  VORTEX_ASSIGN_OR_RETURN(const ModelInfo info, model_info(id));
  VORTEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, choose_files(id, info, progress));
  VORTEX_RETURN_IF_ERROR(fetch_files(id, info.commit, names, progress));
  if (!is_commit(id.revision)) {
    const fs::path reference = cache_.repo_folder(id) / "refs" / id.revision;
    VORTEX_RETURN_IF_ERROR(write_file_atomically(reference, info.commit));
  }
  const fs::path snapshot = cache_.snapshot_folder(id, info.commit);
  const bool gguf = names[0].ends_with(".gguf") || names[0].ends_with(".GGUF");
  return (gguf ? snapshot / names[0] : snapshot).string();
}

}  // namespace vortex::hub
