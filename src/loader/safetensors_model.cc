// Which files of a folder make up the model: one safetensors file, or shards under an index.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "loader/errors.h"
#include "loader/json.h"
#include "loader/safetensors.h"

namespace vortex {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr int64_t kMaxIndexBytes = 100'000'000;

std::string inside(const std::string& folder, std::string_view name) { return (fs::path(folder) / name).string(); }

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// Names of the folder's files that end in one of `suffixes`, in order.
std::vector<std::string> files_ending(const std::string& folder, std::initializer_list<std::string_view> suffixes) {
  std::vector<std::string> found;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    const auto ends = [&](std::string_view suffix) { return name.ends_with(suffix); };
    if (std::any_of(suffixes.begin(), suffixes.end(), ends)) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Says what the folder holds instead of safetensors.
Error nothing_to_read(const std::string& folder) {
  const auto pickles = files_ending(folder, {".bin", ".pt", ".pth", ".ckpt", ".pkl"});
  if (!pickles.empty()) {
    return unsupported(
        folder,
        fmt::format("weights are a Python pickle ({}), which can run any code when read", quote_name(pickles.front())),
        "use a safetensors or GGUF version of the model");
  }
  const auto ggufs = files_ending(folder, {".gguf"});
  if (!ggufs.empty()) {
    return Error{ErrorCode::kNotFound, folder, "holds GGUF files, no safetensors",
                 fmt::format("name the file: {}", inside(folder, ggufs.front()))};
  }
  return Error{ErrorCode::kNotFound, folder, fmt::format("has neither {} nor {}", kSingleName, kIndexName),
               "download the model again"};
}

/// Opens one file and appends its tensors.
Status append_file(const std::string& path, SafetensorsModel* model) {
  VORTEX_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  VORTEX_ASSIGN_OR_RETURN(auto tensors, parse_safetensors(file->bytes(), path));
  std::move(tensors.begin(), tensors.end(), std::back_inserter(model->tensors));
  model->file_bytes += static_cast<int64_t>(file->bytes().size());
  model->files.push_back(std::move(file));
  return {};
}

/// Tensor names by shard. A shard is a plain file name: it cannot lead out of the folder.
using ShardMap = std::map<std::string, std::set<std::string>>;

Result<ShardMap> read_index(const std::string& path) {
  VORTEX_ASSIGN_OR_RETURN(const json index, read_json_file(path, kMaxIndexBytes));
  const auto it = index.is_object() ? index.find("weight_map") : index.end();
  if (it == index.end() || !it->is_object() || it->empty()) return data_loss(path, "has no weight_map");
  ShardMap shards;
  for (const auto& [tensor, shard] : it->items()) {
    if (!shard.is_string()) return data_loss(path, fmt::format("weight_map of {} is no file name", quote_name(tensor)));
    const auto& name = shard.get_ref<const std::string&>();
    if (name.find_first_of("/\\") != std::string::npos || !name.ends_with(".safetensors")) {
      return data_loss(path, fmt::format("names {}, which is no safetensors file of this folder", quote_name(name)));
    }
    shards[name].insert(tensor);
  }
  return shards;
}

/// A shard holds exactly what the index says.
Status check_shard(const std::string& path, std::span<const NamedTensor> tensors, std::set<std::string> listed) {
  for (const NamedTensor& tensor : tensors) {
    if (listed.erase(tensor.name) == 0) {
      return data_loss(path, fmt::format("holds tensor {}, which the index puts elsewhere", quote_name(tensor.name)));
    }
  }
  if (listed.empty()) return {};
  return data_loss(path, fmt::format("lacks tensor {}, which the index puts here", quote_name(*listed.begin())));
}

Result<SafetensorsModel> open_shards(const std::string& folder) {
  VORTEX_ASSIGN_OR_RETURN(const ShardMap shards, read_index(inside(folder, kIndexName)));
  SafetensorsModel model;
  for (const auto& [name, listed] : shards) {
    const std::string path = inside(folder, name);
    const size_t before = model.tensors.size();
    VORTEX_RETURN_IF_ERROR(append_file(path, &model));
    VORTEX_RETURN_IF_ERROR(check_shard(path, std::span(model.tensors).subspan(before), listed));
  }
  return model;
}

}  // namespace

Result<SafetensorsModel> open_safetensors(const std::string& folder) {
  if (exists(inside(folder, kSingleName))) {
    SafetensorsModel model;
    VORTEX_RETURN_IF_ERROR(append_file(inside(folder, kSingleName), &model));
    return model;
  }
  if (exists(inside(folder, kIndexName))) return open_shards(folder);
  return nothing_to_read(folder);
}

}  // namespace vortex
