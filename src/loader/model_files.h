// ModelFiles: everything a model folder or GGUF file holds, opened and checked; the mappings live as long as this.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/gguf.h"
#include "loader/model_config.h"
#include "loader/rank_share.h"
#include "loader/safetensors.h"
#include "loader/weights.h"

namespace vortex {

struct TensorSummary {
  std::string name;  // as the file spells it
  DType dtype = DType::kF32;
  Shape shape;
  int64_t bytes = 0;
};

/// What `vortex inspect` shows.
struct ModelDescription {
  std::string format;  // "safetensors", "gguf" or "dummy"
  int64_t file_bytes = 0;
  int64_t parameters = 0;
  int64_t tensor_bytes = 0;
  std::vector<TensorSummary> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;  // GGUF only: key, value (long ones shortened)
};

class ModelFiles {
 public:
  /// A folder in Hugging Face form, or a `.gguf` file (first part of a split).
  static Result<std::unique_ptr<ModelFiles>> open(const std::string& path);

  /// Random weights for a config (`--load-format dummy`): a folder with config.json, or the file itself. Matrices
  /// have standard deviation 0.02 in `dtype` (the config's own when absent), norms are one; same seed, same weights.
  /// Tensors come to be when the model takes them. Errors: a row that is no multiple of the dtype's block.
  static Result<std::unique_ptr<ModelFiles>> open_dummy(const std::string& config_path,
                                                        std::optional<DType> dtype = std::nullopt, uint64_t seed = 0);

  /// Whether split() can work on that many ranks.
  Status check_split(int ranks) const;
  /// From now on this is the share of one rank: config() and weights() are that rank's. Call it before the first
  /// weight is taken. Errors: those of share_of().
  Status split(int rank, int ranks);

  /// What the layers are built from.
  const ModelConfig& config() const { return config_; }
  /// The model itself, which config() is a rank's share of.
  const ModelConfig& whole_config() const { return share_ ? share_->whole : config_; }
  /// Nothing when the model is not split.
  const RankShare* share() const { return share_ ? &share_->part : nullptr; }
  /// Of any rank; the model is split.
  RankShare share_of_rank(int rank) const;
  /// Views stay valid as long as this object.
  WeightMap& weights() { return weights_; }
  const GenerationDefaults& generation_defaults() const { return generation_; }
  /// Size of the weight files on disk; 0 for dummy weights.
  int64_t file_bytes() const { return file_bytes_; }
  const std::string& path() const { return path_; }

  /// The weights were read, perhaps repacked: gives their pages back to the kernel. They return when they are read.
  void release_pages() const;

  /// Text of the companion files; nothing when absent (always for GGUF).
  const std::optional<std::string>& tokenizer_json() const { return tokenizer_json_; }
  const std::optional<std::string>& tokenizer_config_json() const { return tokenizer_config_json_; }
  /// chat_template.jinja, else tokenizer_config.json's (of several the one named "default"), else GGUF's.
  const std::optional<std::string>& chat_template() const { return chat_template_; }
  /// The file, for its vocabulary; null for a folder.
  const GgufFile* gguf() const { return gguf_.get(); }

  ModelDescription describe() const;

 private:
  ModelFiles() = default;
  Status open_folder();
  Status open_gguf();
  Status read_companions(const std::string& folder);
  Status read_configs(const std::string& config_path, const std::string& folder);

  struct Share {
    ModelConfig whole;
    int64_t block = 1;  // columns are cut at its multiples
    RankShare part;
  };

  std::string path_;
  ModelConfig config_;
  std::unique_ptr<const Share> share_;
  GenerationDefaults generation_;
  std::optional<std::string> tokenizer_json_;
  std::optional<std::string> tokenizer_config_json_;
  std::optional<std::string> chat_template_;
  SafetensorsModel safetensors_;
  std::unique_ptr<GgufFile> gguf_;
  WeightMap weights_;
  int64_t file_bytes_ = 0;
};

}  // namespace vortex
