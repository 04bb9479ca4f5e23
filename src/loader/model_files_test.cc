#include "loader/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "loader/testing/model_images.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchFolder;
using testing::small_llama;

const std::string kTiny = VORTEX_SOURCE_DIR "/tests/data/tiny/";

/// Takes every tensor a llama-like model needs.
Status take_all(ModelFiles& files) {
  const ModelConfig& c = files.config();
  WeightMap& w = files.weights();
  const int64_t h = c.hidden_size, q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim;
  const auto take = [&](const std::string& name, const Shape& shape) -> Status {
    VORTEX_RETURN_IF_ERROR(w.take(name, shape));
    return {};
  };
  VORTEX_RETURN_IF_ERROR(take("model.embed_tokens.weight", {c.vocab_size, h}));
  VORTEX_RETURN_IF_ERROR(take("lm_head.weight", {c.vocab_size, h}));
  VORTEX_RETURN_IF_ERROR(take("model.norm.weight", {h}));
  for (int i = 0; i < c.layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    const std::pair<const char*, Shape> parts[] = {
        {"input_layernorm", {h}},
        {"post_attention_layernorm", {h}},
        {"self_attn.q_proj", {q, h}},
        {"self_attn.k_proj", {kv, h}},
        {"self_attn.v_proj", {kv, h}},
        {"self_attn.o_proj", {h, q}},
        {"mlp.gate_proj", {c.intermediate_size, h}},
        {"mlp.up_proj", {c.intermediate_size, h}},
        {"mlp.down_proj", {h, c.intermediate_size}},
    };
    for (const auto& [name, shape] : parts) VORTEX_RETURN_IF_ERROR(take(layer + name + ".weight", shape));
    if (c.qkv_bias) {
      VORTEX_RETURN_IF_ERROR(take(layer + "self_attn.q_proj.bias", {q}));
      VORTEX_RETURN_IF_ERROR(take(layer + "self_attn.k_proj.bias", {kv}));
      VORTEX_RETURN_IF_ERROR(take(layer + "self_attn.v_proj.bias", {kv}));
    }
    if (c.qk_norm == QkNorm::kHead) {
      VORTEX_RETURN_IF_ERROR(take(layer + "self_attn.q_norm.weight", {c.head_dim}));
      VORTEX_RETURN_IF_ERROR(take(layer + "self_attn.k_norm.weight", {c.head_dim}));
    }
  }
  return w.finish();
}

TEST(ModelFiles, ConfigAndWeightsOfTheTinyModelsAgree) {
  for (const char* name : {"llama", "llama3-rope", "mistral", "qwen2", "qwen3", "qwen3-yarn"}) {
    SCOPED_TRACE(name);
    auto files = ModelFiles::open(kTiny + name);
    ASSERT_TRUE(files.ok()) << files.error().to_string();
    const Status taken = take_all(**files);
    EXPECT_TRUE(taken.ok()) << taken.error().to_string();
    EXPECT_EQ((*files)->gguf(), nullptr);
    EXPECT_FALSE((*files)->tokenizer_json().has_value());
  }
}

TEST(ModelFiles, OpensTheShippedModel) {
  auto files = ModelFiles::open(VORTEX_SOURCE_DIR "/models/recall-gqa");
  ASSERT_TRUE(files.ok()) << files.error().to_string();
  const ModelConfig& config = (*files)->config();
  EXPECT_EQ(config.max_position_embeddings, 32768);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_THAT(config.eos_ids, ElementsAre(2, 0));
  EXPECT_EQ((*files)->generation_defaults().do_sample, false);
  EXPECT_TRUE((*files)->tokenizer_json().has_value());
  EXPECT_THAT((*files)->chat_template().value_or(""), HasSubstr("{%- for message in messages %}"));
  const ModelDescription description = (*files)->describe();
  EXPECT_EQ(description.format, "safetensors");
  EXPECT_EQ(description.tensor_bytes, 23211264) << "total_size of the index";
  EXPECT_EQ(description.parameters, 23211264 / 2);
  EXPECT_GT(description.file_bytes, description.tensor_bytes);
  const Status taken = take_all(**files);
  EXPECT_TRUE(taken.ok()) << taken.error().to_string();
}

TEST(ModelFiles, OpensGguf) {
  const ScratchFolder folder;
  auto files = ModelFiles::open(folder.write("m.gguf", small_llama().build()));
  ASSERT_TRUE(files.ok()) << files.error().to_string();
  EXPECT_EQ((*files)->chat_template(), "{{ messages }}");
  EXPECT_NE((*files)->gguf(), nullptr);
  const ModelDescription description = (*files)->describe();
  EXPECT_EQ(description.format, "gguf");
  EXPECT_EQ(description.tensors[2].name, "blk.0.attn_q.weight");
  EXPECT_EQ(description.tensors[2].bytes, 32 * 34);
  EXPECT_THAT(description.metadata, ::testing::Contains(::testing::Pair("tokenizer.ggml.tokens", "[8 values]")));
  const Status taken = take_all(**files);
  EXPECT_TRUE(taken.ok()) << taken.error().to_string();
}

TEST(ModelFiles, RefusesAGgufThatIsIncompleteOrHoldsMore) {
  const ScratchFolder folder;
  testing::GgufImage image = small_llama();
  image.tensors.push_back({"blk.0.strange.weight", {4}, 0, testing::zeros(4)});
  auto more = ModelFiles::open(folder.write("more.gguf", image.build()));
  EXPECT_THAT(take_all(**more).error().to_string(),
              HasSubstr("1 tensors are no part of this architecture: 'blk.0.str"));
  image.tensors.resize(5);
  auto less = ModelFiles::open(folder.write("less.gguf", image.build()));
  EXPECT_THAT(take_all(**less).error().to_string(), HasSubstr("'model.norm.weight' is missing"));
}

std::string refusal(const std::string& path) {
  auto files = ModelFiles::open(path);
  return files.ok() ? "opened" : files.error().to_string();
}

TEST(ModelFiles, SaysWhatIsWrongWithAPath) {
  const ScratchFolder folder;
  EXPECT_THAT(refusal(folder.path() + "/none"), HasSubstr("none: No such file or directory"));
  EXPECT_THAT(refusal(folder.write("x.bin", "x")), HasSubstr("is neither a folder nor a .gguf file"));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("Python pickle"));
  folder.write("model.safetensors", testing::small_safetensors());
  EXPECT_THAT(refusal(folder.path()), HasSubstr("config.json: No such file or directory"));
}

TEST(ModelFiles, FindsTheChatTemplate) {
  const auto named = R"({"chat_template": [{"name": "tool", "template": "T"}, {"name": "default", "template": "D"}]})";
  const ScratchFolder folder;
  auto tiny = ModelFiles::open(kTiny + "llama");
  ASSERT_TRUE(tiny.ok());
  EXPECT_EQ((*tiny)->chat_template(), std::nullopt);
  const auto template_now = [&] {
    auto files = ModelFiles::open_dummy(folder.path());
    EXPECT_TRUE(files.ok()) << files.error().to_string();
    return files.ok() ? (*files)->chat_template() : std::nullopt;
  };
  folder.write("config.json", *read_text_file(kTiny + "llama/config.json", 1 << 20));
  folder.write("tokenizer_config.json", named);
  EXPECT_EQ(template_now(), "D");
  folder.write("tokenizer_config.json", R"({"chat_template": "S"})");
  EXPECT_EQ(template_now(), "S");
  folder.write("chat_template.jinja", "J");
  EXPECT_EQ(template_now(), "J");
}

/// Mean and deviation of a tensor's values.
std::pair<double, double> moments(const TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  dequantize(view.dtype, view.data, values.data(), static_cast<int64_t>(values.size()));
  double sum = 0, squares = 0;
  for (float v : values) {
    sum += v;
    squares += double{v} * v;
  }
  const double mean = sum / static_cast<double>(values.size());
  return {mean, std::sqrt(squares / static_cast<double>(values.size()) - mean * mean)};
}

TEST(DummyWeights, HaveTheWantedSpreadInEveryType) {
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                      DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K}) {
    SCOPED_TRACE(dtype_info(dtype).name);
    auto files = ModelFiles::open_dummy(kTiny + "llama/config.json", dtype, 1);
    ASSERT_TRUE(files.ok()) << files.error().to_string();
    const auto matrix = (*files)->weights().take("m.weight", {64, 512});
    ASSERT_TRUE(matrix.ok()) << matrix.error().to_string();
    const auto [mean, deviation] = moments(*matrix);
    EXPECT_NEAR(mean, 0.0, 0.0025);
    EXPECT_NEAR(deviation, 0.02, 0.0006);
    const auto norm = (*files)->weights().take("norm.weight", {64});
    EXPECT_EQ(moments(*norm), (std::pair<double, double>(1.0, 0.0)));
  }
}

TEST(DummyWeights, RepeatWithTheSeed) {
  const auto first_byte = [](uint64_t seed, const char* name) {
    auto files = ModelFiles::open_dummy(kTiny + "llama", DType::kF32, seed);
    return moments(*(*files)->weights().take(name, {16, 64})).first;
  };
  EXPECT_EQ(first_byte(1, "a"), first_byte(1, "a"));
  EXPECT_NE(first_byte(1, "a"), first_byte(2, "a"));
  EXPECT_NE(first_byte(1, "a"), first_byte(1, "b"));
}

TEST(DummyWeights, ServeAWholeModel) {
  auto files = ModelFiles::open_dummy(kTiny + "qwen3");
  ASSERT_TRUE(files.ok());
  EXPECT_EQ((*files)->describe().format, "dummy");
  EXPECT_EQ((*files)->file_bytes(), 0);
  const Status taken = take_all(**files);
  EXPECT_TRUE(taken.ok()) << taken.error().to_string();
  EXPECT_THAT((*files)->weights().take("x", {4, 4}).ok(), true);
  auto blocks = ModelFiles::open_dummy(kTiny + "qwen3", DType::kQ4_K);
  EXPECT_THAT((*blocks)->weights().take("x", {4, 64}).error().to_string(),
              HasSubstr("x: shape [4, 64] cannot be stored as q4_k (rows must be a multiple of 256)"));
}

}  // namespace
}  // namespace vortex
