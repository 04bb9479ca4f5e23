#include "loader/hub/resolve.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "base/nearest_name.h"
#include "loader/hub/catalogue.h"
#include "loader/hub/hf_cache.h"
#include "loader/hub/hub_client.h"

namespace vortex {
namespace fs = std::filesystem;
using hub::HubSettings;

namespace {

bool is_explicit_path(const std::string& spec) {
  return spec.starts_with('/') || spec.starts_with("./") || spec.starts_with("../") || spec.starts_with("~/") ||
         spec == "." || spec == ".." || (spec.ends_with(".gguf") && spec.find(':') == spec.npos);
}

fs::path expand_home(const std::string& spec) {
  const char* home = spec.starts_with("~/") ? std::getenv("HOME") : nullptr;
  return home != nullptr ? fs::path(home) / spec.substr(2) : fs::path(spec);
}

Result<std::string> model_in_folder(const fs::path& folder) {
  std::error_code failure;
  if (fs::is_regular_file(folder / "config.json", failure)) return folder.string();
  VORTEX_ASSIGN_OR_RETURN(const hub::GgufSet set, hub::choose_gguf(hub::files_under(folder), "", folder.string()));
  return (folder / set.files[0]).string();
}

Result<std::string> model_at(const std::string& spec) {
  const fs::path path = expand_home(spec);
  std::error_code failure;
  if (fs::is_directory(path, failure)) {
    auto found = model_in_folder(path);
    if (found.ok() || found.error().code != ErrorCode::kNotFound) return found;
    return Error{ErrorCode::kNotFound, spec, "the folder holds neither config.json nor a .gguf file", ""};
  }
  if (!fs::exists(path, failure)) return Error{ErrorCode::kNotFound, spec, "no such file or folder", ""};
  if (spec.ends_with(".gguf")) return path.string();
  if (path.filename() == "config.json") return path.parent_path().empty() ? "." : path.parent_path().string();
  return Error{ErrorCode::kUnsupported, spec, "not a .gguf file",
               "name a .gguf file or a folder that holds config.json"};
}

Error unknown_name(const std::string& spec, const HubSettings& settings) {
  std::vector<std::string> names = hub::catalogue_names();
  const std::string near = nearest_name(spec, names);
  std::string known;
  for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
  const std::string cached = nearest_name(spec, hub::HfCache(settings.hf_cache).names());
  const std::string guess = !near.empty() ? near : cached;
  return {ErrorCode::kNotFound, spec, "no such path, and no name in the catalogue or on the hub",
          guess.empty() ? fmt::format("the catalogue has {}; on the hub write org/name", known)
                        : fmt::format("did you mean {}?", guess)};
}

Error incomplete(const hub::RepoId& id, const hub::Snapshot& snapshot) {
  return {ErrorCode::kUnavailable, id.to_string(),
          fmt::format("incomplete in the cache: {} of its files missing, first {}", snapshot.missing.size(),
                      snapshot.missing.front()),
          "go online and pull it again"};
}

Result<std::string> from_hub(const hub::RepoId& id, bool refresh, const HubSettings& settings,
                             hub::DownloadProgress progress) {
  const auto cached = hub::HfCache(settings.hf_cache).find(id);
  const bool whole = cached.ok() && cached->missing.empty();
  if (whole && (!refresh || settings.offline)) return cached->model.string();
  if (settings.offline && cached.ok()) return incomplete(id, *cached);
  // A broken cache or an ambiguous name is for the user to settle; only what lacks can be fetched.
  if (!cached.ok() && cached.error().code != ErrorCode::kNotFound) return cached.error();
  return hub::HubClient(settings).fetch(id, progress);
}

/// The whole models that the cache holds of one repository: its safetensors, and each of its GGUFs by file name.
void append_cached(const hub::HfCache& cache, const std::string& name, std::vector<LocalModel>& models) {
  const auto id = hub::parse_repo_id(name);
  if (!id.ok()) return;
  const auto snapshot = cache.locate(*id);
  if (!snapshot.ok()) return;
  const std::vector<std::string> files = hub::files_under(snapshot->folder);
  if (hub::names_safetensors(files)) {
    const auto whole = cache.find(*id);
    if (!whole.ok() || !whole->missing.empty()) return;
    models.push_back({name, whole->model.string(), hub::tree_bytes(whole->model), "hub"});
    return;
  }
  for (const hub::GgufSet& set : hub::gguf_sets(files)) {
    const fs::path first = snapshot->folder / set.files[0];
    int64_t bytes = 0;
    for (const std::string& file : set.files) bytes += file_bytes(snapshot->folder / file);
    models.push_back({name + ":" + first.filename().string(), first.string(), bytes, "hub"});
  }
}

}  // namespace

Result<std::string> resolve_model(const std::string& spec, const ResolveOptions& options, const HubSettings& given) {
  HubSettings settings = given;
  settings.offline = settings.offline || options.offline;
  const auto progress = [&](const std::string& file, int64_t done, int64_t total) {
    if (options.progress) options.progress(file, done, total);
  };
  if (is_explicit_path(spec)) return model_at(spec);
  if (const hub::CatalogueEntry* entry = hub::find_in_catalogue(spec)) {
    return hub::fetch_from_catalogue(*entry, settings, settings.offline, progress);
  }
  std::error_code failure;
  if (!spec.empty() && fs::exists(spec, failure)) return model_at(spec);
  const auto id = hub::parse_repo_id(spec);
  if (id.ok()) return from_hub(*id, options.refresh, settings, progress);
  return spec.find('/') == spec.npos ? unknown_name(spec, settings) : id.error();
}

Result<std::string> resolve_model(const std::string& spec, const ResolveOptions& options) {
  VORTEX_ASSIGN_OR_RETURN(const HubSettings settings, hub::read_hub_settings());
  return resolve_model(spec, options, settings);
}

std::vector<LocalModel> list_local_models(const HubSettings& settings) {
  std::vector<LocalModel> models;
  for (const hub::CatalogueEntry& entry : hub::catalogue()) {
    const auto path = hub::local_catalogue_path(entry, settings);
    if (!path) continue;
    models.push_back({entry.name, *path, hub::tree_bytes(*path), entry.shipped() ? "shipped" : "catalogue"});
  }
  const hub::HfCache cache(settings.hf_cache);
  for (const std::string& name : cache.names()) append_cached(cache, name, models);
  return models;
}

Result<std::vector<LocalModel>> list_local_models() {
  VORTEX_ASSIGN_OR_RETURN(const HubSettings settings, hub::read_hub_settings());
  return list_local_models(settings);
}

}  // namespace vortex
