#include "loader/model_files.h"

#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "loader/dummy_weights.h"
#include "loader/errors.h"
#include "loader/families/family.h"
#include "loader/json.h"
#include "loader/weight_names.h"

namespace vortex {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxConfigBytes = 16 << 20;
constexpr int64_t kMaxTokenizerBytes = 256 << 20;

std::string inside(const std::string& folder, std::string_view name) { return (fs::path(folder) / name).string(); }

/// Text of a companion file, or nothing when the folder has none.
Result<std::optional<std::string>> read_if_there(const std::string& path, int64_t max_bytes) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::optional<std::string>();
  VORTEX_ASSIGN_OR_RETURN(std::string text, read_text_file(path, max_bytes));
  return std::optional<std::string>(std::move(text));
}

std::optional<std::string> text_of(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

/// tokenizer_config.json names one template, or several of which "default" is for plain chats.
Result<std::optional<std::string>> template_of(const std::string& text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const json config, parse_json(text, where));
  if (auto only = text_of(config, "chat_template")) return only;
  const auto it = config.is_object() ? config.find("chat_template") : config.end();
  if (it == config.end() || !it->is_array()) return std::optional<std::string>();
  for (const json& entry : *it) {
    if (text_of(entry, "name") == "default") return text_of(entry, "template");
  }
  return std::optional<std::string>();
}

TensorSummary summary_of(const NamedTensor& tensor) {
  return {tensor.name, tensor.view.dtype, tensor.view.shape, tensor.view.bytes()};
}

void report_left_out(const std::string& path, int tensors) {
  if (tensors > 0) log_info("{}: left out {} tensors of layers that predict further tokens", path, tensors);
}

std::string shorten(std::string_view text) {
  constexpr size_t kMax = 120;
  return text.size() <= kMax ? std::string(text) : std::string(text.substr(0, kMax)) + "...";
}

std::string metadata_text(const GgufValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<int64_t>(&value)) return fmt::format("{}", *whole);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{:g}", *real);
  if (const auto* text = std::get_if<std::string_view>(&value)) return shorten(*text);
  const auto size = std::visit([](const auto& items) { return items.size(); }, std::get<GgufArray>(value).items);
  return fmt::format("[{} values]", size);
}

}  // namespace

Result<std::unique_ptr<ModelFiles>> ModelFiles::open(const std::string& path) {
  std::unique_ptr<ModelFiles> files(new ModelFiles);
  files->path_ = path;
  std::error_code failed;
  const bool is_folder = fs::is_directory(path, failed);
  VORTEX_RETURN_IF_ERROR(is_folder ? files->open_folder() : files->open_gguf());
  return files;
}

Status ModelFiles::open_folder() {
  // Weights first: a folder of pickles or of nothing deserves that answer, whatever else it lacks.
  VORTEX_ASSIGN_OR_RETURN(safetensors_, open_safetensors(path_));
  VORTEX_RETURN_IF_ERROR(read_configs(inside(path_, "config.json"), path_));
  VORTEX_RETURN_IF_ERROR(read_companions(path_));
  file_bytes_ = safetensors_.file_bytes;
  weights_.describe_as(path_, config_.tie_word_embeddings);
  const Family* family = find_hf_family(config_.architecture);
  VORTEX_CHECK(family, "a config of {} without a family", config_.architecture);
  for (const NamedTensor& tensor : safetensors_.tensors) {
    if (tensor.name == "model.layers.0.self_attn.o_proj.weight") config_.stored_dtype = tensor.view.dtype;
  }
  VORTEX_ASSIGN_OR_RETURN(const int left_out, add_hf_weights(safetensors_.tensors, *family, config_, &weights_));
  report_left_out(path_, left_out);
  return {};
}

Status ModelFiles::open_gguf() {
  std::error_code failed;
  if (!path_.ends_with(".gguf") && fs::is_regular_file(path_, failed)) {
    return unsupported(path_, "is neither a folder nor a .gguf file", "name the folder that holds config.json");
  }
  VORTEX_ASSIGN_OR_RETURN(gguf_, GgufFile::open(path_));
  VORTEX_ASSIGN_OR_RETURN(config_, read_gguf_config(*gguf_));
  if (const auto text = gguf_->string("tokenizer.chat_template")) chat_template_ = std::string(*text);
  file_bytes_ = gguf_->file_bytes();
  weights_.describe_as(path_, config_.tie_word_embeddings);
  const Family* family = find_gguf_family(config_.architecture);
  VORTEX_CHECK(family, "a config of {} without a family", config_.architecture);
  VORTEX_ASSIGN_OR_RETURN(const int left_out, add_gguf_weights(gguf_->tensors(), *family, config_, &weights_));
  report_left_out(path_, left_out);
  return {};
}

Status ModelFiles::read_configs(const std::string& config_path, const std::string& folder) {
  VORTEX_ASSIGN_OR_RETURN(const std::string config, read_text_file(config_path, kMaxConfigBytes));
  VORTEX_ASSIGN_OR_RETURN(config_, parse_hf_config(config, config_path));
  const std::string generation_path = inside(folder, "generation_config.json");
  VORTEX_ASSIGN_OR_RETURN(const auto generation, read_if_there(generation_path, kMaxConfigBytes));
  if (!generation) return {};
  VORTEX_ASSIGN_OR_RETURN(generation_, parse_generation_config(*generation, generation_path));
  merge_token_ids(generation_, &config_);
  return {};
}

Status ModelFiles::read_companions(const std::string& folder) {
  const std::string tokenizer_config = inside(folder, "tokenizer_config.json");
  VORTEX_ASSIGN_OR_RETURN(tokenizer_json_, read_if_there(inside(folder, "tokenizer.json"), kMaxTokenizerBytes));
  VORTEX_ASSIGN_OR_RETURN(tokenizer_config_json_, read_if_there(tokenizer_config, kMaxConfigBytes));
  VORTEX_ASSIGN_OR_RETURN(chat_template_, read_if_there(inside(folder, "chat_template.jinja"), kMaxConfigBytes));
  if (chat_template_ || !tokenizer_config_json_) return {};
  VORTEX_ASSIGN_OR_RETURN(chat_template_, template_of(*tokenizer_config_json_, tokenizer_config));
  return {};
}

Result<std::unique_ptr<ModelFiles>> ModelFiles::open_dummy(const std::string& config_path, std::optional<DType> dtype,
                                                           uint64_t seed) {
  std::error_code failed;
  const bool is_folder = fs::is_directory(config_path, failed);
  const std::string folder = is_folder ? config_path : fs::path(config_path).parent_path().string();
  std::unique_ptr<ModelFiles> files(new ModelFiles);
  files->path_ = config_path;
  VORTEX_RETURN_IF_ERROR(files->read_configs(is_folder ? inside(folder, "config.json") : config_path, folder));
  VORTEX_RETURN_IF_ERROR(files->read_companions(folder));
  if (dtype) files->config_.stored_dtype = *dtype;
  files->weights_ = make_dummy_weights(files->config_.stored_dtype, seed);
  files->weights_.describe_as(config_path, files->config_.tie_word_embeddings);
  return files;
}

Status ModelFiles::check_split(int ranks) const {
  if (ranks <= 1) return {};
  const auto share = share_of(config_, weights_.largest_block(), 0, ranks);
  return share.ok() ? Status() : Status(share.error());
}

Status ModelFiles::split(int rank, int ranks) {
  VORTEX_CHECK(share_ == nullptr, "split twice");
  const int64_t block = weights_.largest_block();
  VORTEX_ASSIGN_OR_RETURN(const RankShare part, share_of(config_, block, rank, ranks));
  share_ = std::make_unique<const Share>(Share{config_, block, part});
  config_ = local_config(share_->whole, part);
  weights_.slice_by(
      [share = share_.get()](std::string_view name) { return slice_of(name, share->whole, share->part); });
  return {};
}

RankShare ModelFiles::share_of_rank(int rank) const {
  VORTEX_CHECK(share_ != nullptr, "not split");
  return share_of(share_->whole, share_->block, rank, share_->part.ranks).value();
}

ModelDescription ModelFiles::describe() const {
  ModelDescription out;
  out.format = gguf_ ? "gguf" : safetensors_.files.empty() ? "dummy" : "safetensors";
  out.file_bytes = file_bytes_;
  for (const NamedTensor& tensor : gguf_ ? gguf_->tensors() : safetensors_.tensors) {
    out.tensors.push_back(summary_of(tensor));
    out.parameters += tensor.view.shape.elements();
    out.tensor_bytes += tensor.view.bytes();
  }
  if (!gguf_) return out;
  for (const auto& [key, value] : gguf_->metadata()) out.metadata.emplace_back(key, metadata_text(value));
  return out;
}

void ModelFiles::release_pages() const {
  for (const auto& file : safetensors_.files) file->advise(MappedFile::Advice::kDontNeed);
  if (gguf_) gguf_->advise(MappedFile::Advice::kDontNeed);
}

}  // namespace vortex
