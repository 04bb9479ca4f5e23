// GGUF bytes: parse, read the config, touch all a caller would touch.
#include "fuzz/fuzz_target.h"
#include "loader/families/family.h"
#include "loader/gguf.h"
#include "loader/model_config.h"
#include "loader/rope.h"
#include "loader/testing/model_images.h"
#include "loader/weight_names.h"

namespace vortex::fuzz {

std::string run_target(std::span<const std::byte> input) {
  const auto file = GgufFile::parse(input, "x.gguf");
  if (!file.ok()) return file.error().message;
  for (const NamedTensor& tensor : (*file)->tensors()) {
    touch({tensor.view.data, static_cast<size_t>(tensor.view.bytes())});
  }
  if (const auto* tokens = (*file)->strings("tokenizer.ggml.tokens")) {
    for (std::string_view token : *tokens) touch(std::as_bytes(std::span(token)));
  }
  const auto config = read_gguf_config(**file);
  if (!config.ok()) return config.error().message;
  rope_inverse_frequencies(config->rope, config->head_dim);
  WeightMap weights;
  const auto added = add_gguf_weights((*file)->tensors(), *find_gguf_family(config->architecture), *config, &weights);
  return added.ok() ? "parsed" : added.error().message;
}

std::vector<std::string> seeds() {
  testing::GgufImage rich = testing::small_llama();
  rich.metadata.push_back({"nested", testing::gguf_array(9, 1, testing::gguf_array(4, 1, "\1\1\1\1").payload)});
  rich.metadata.push_back({"wide", testing::gguf_u64(7)});
  rich.metadata.push_back({"flag", testing::gguf_bool(1)});
  rich.metadata.push_back({"general.alignment", testing::gguf_u32(32)});
  rich.metadata.push_back({"llama.rope.scaling.type", testing::gguf_string("yarn")});
  rich.metadata.push_back({"llama.rope.scaling.factor", testing::gguf_f32(4.0f)});
  testing::GgufImage old = rich;
  old.version = 2;
  old.tensors.resize(3);
  testing::GgufImage bare;
  bare.tensors = {{"t", {8}, 0, testing::zeros(8)}};
  return {rich.build(), old.build(), bare.build(), testing::GgufImage().build()};
}

}  // namespace vortex::fuzz
