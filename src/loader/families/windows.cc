#include "loader/families/windows.h"

#include "loader/config_limits.h"
#include "loader/errors.h"

namespace vortex {

void read_hf_window(ConfigFields& fields, int usual, const std::function<bool(int layer)>& slides, ModelConfig* out) {
  out->sliding_window = fields.integer("sliding_window", 0, limits::kPositions).value_or(usual);
  if (!out->layer_types.empty()) return;
  for (int layer = 0; layer < out->layers; ++layer) {
    const bool sliding = out->sliding_window > 0 && slides(layer);
    out->layer_types.push_back(sliding ? LayerType::kSlidingAttention : LayerType::kFullAttention);
  }
}

void read_qwen_window(ConfigFields& fields, ModelConfig* out) {
  if (!fields.boolean("use_sliding_window").value_or(false)) return;
  const int first = fields.integer("max_window_layers", 0, limits::kPositions).value_or(28);
  read_hf_window(
      fields, 4096, [first](int layer) { return layer >= first; }, out);
}

void read_gguf_window(ConfigFields& fields, int usual, ModelConfig* out) {
  constexpr std::string_view kPattern = "attention.sliding_window_pattern";
  std::vector<int> slides;
  if (std::holds_alternative<std::vector<int64_t>>(fields.raw(kPattern))) {
    slides = fields.integers(kPattern, 0, 1).value_or(slides);
  } else {
    const int step = fields.integer(kPattern, 1, limits::kLayers).value_or(usual);
    for (int layer = 0; layer < out->layers; ++layer) slides.push_back((layer + 1) % step != 0);
  }
  if (slides.size() != out->layer_types.size()) {
    fields.fail(data_loss(fields.where(), fmt::format("{} names {} of {} layers", fields.full_name(kPattern),
                                                      slides.size(), out->layers)));
    return;
  }
  for (size_t i = 0; i < slides.size(); ++i) {
    out->layer_types[i] = slides[i] ? LayerType::kSlidingAttention : LayerType::kFullAttention;
  }
}

}  // namespace vortex
