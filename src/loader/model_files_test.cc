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

using Part = std::pair<std::string, Shape>;

/// The three projections of a gated network, `inner` wide, under `prefix`.
void add_mlp(const std::string& prefix, int64_t hidden, int64_t inner, std::vector<Part>* parts) {
  parts->push_back({prefix + "gate_proj.weight", {inner, hidden}});
  parts->push_back({prefix + "up_proj.weight", {inner, hidden}});
  parts->push_back({prefix + "down_proj.weight", {hidden, inner}});
}

void add_biases(const std::string& prefix, int64_t hidden, int64_t inner, std::vector<Part>* parts) {
  parts->push_back({prefix + "gate_proj.bias", {inner}});
  parts->push_back({prefix + "up_proj.bias", {inner}});
  parts->push_back({prefix + "down_proj.bias", {hidden}});
}

void add_experts(const ModelFiles& files, const std::string& layer, std::vector<Part>* parts) {
  const ModelConfig& c = files.config();
  const MoeConfig& moe = c.moe;
  const int64_t h = c.hidden_size, inner = moe.intermediate_size;
  const std::string mlp = layer + "mlp.";
  parts->push_back({mlp + "gate.weight", {moe.experts, h}});
  if (moe.router_bias) parts->push_back({mlp + "gate.bias", {moe.experts}});
  if (moe.selection_bias) parts->push_back({mlp + "gate.e_score_correction_bias", {moe.experts}});
  if (moe.shared_experts > 0) add_mlp(mlp + "shared_experts.", h, moe.shared_experts * inner, parts);
  if (moe.expert_bias && !files.gguf()) {  // gpt-oss, stacked as Hugging Face stores it
    parts->push_back({mlp + "experts.gate_up_proj", {moe.experts, h, 2 * inner}});
    parts->push_back({mlp + "experts.gate_up_proj_bias", {moe.experts, 2 * inner}});
    parts->push_back({mlp + "experts.down_proj", {moe.experts, inner, h}});
    parts->push_back({mlp + "experts.down_proj_bias", {moe.experts, h}});
    return;
  }
  for (int e = 0; e < moe.experts; ++e) {
    const std::string expert = fmt::format("{}experts.{}.", mlp, e);
    add_mlp(expert, h, inner, parts);
    if (moe.expert_bias) add_biases(expert, h, inner, parts);
  }
}

void add_latent_attention(const ModelConfig& c, bool split, const std::string& at, std::vector<Part>* parts) {
  const MlaConfig& mla = c.mla;
  const int64_t h = c.hidden_size, q = int64_t{c.heads} * (mla.qk_nope_head_dim + mla.qk_rope_head_dim);
  if (mla.q_lora_rank == 0) {
    parts->push_back({at + "q_proj.weight", {q, h}});
  } else {
    parts->push_back({at + "q_a_proj.weight", {mla.q_lora_rank, h}});
    parts->push_back({at + "q_a_layernorm.weight", {mla.q_lora_rank}});
    parts->push_back({at + "q_b_proj.weight", {q, mla.q_lora_rank}});
  }
  parts->push_back({at + "kv_a_proj_with_mqa.weight", {mla.kv_lora_rank + mla.qk_rope_head_dim, h}});
  parts->push_back({at + "kv_a_layernorm.weight", {mla.kv_lora_rank}});
  if (split) {
    parts->push_back({at + "k_b_proj.weight", {c.heads, mla.kv_lora_rank, mla.qk_nope_head_dim}});
    parts->push_back({at + "v_b_proj.weight", {c.heads, mla.v_head_dim, mla.kv_lora_rank}});
  } else {
    const int64_t rows = int64_t{c.heads} * (mla.qk_nope_head_dim + mla.v_head_dim);
    parts->push_back({at + "kv_b_proj.weight", {rows, mla.kv_lora_rank}});
  }
  parts->push_back({at + "o_proj.weight", {h, int64_t{c.heads} * mla.v_head_dim}});
}

void add_attention(const ModelConfig& c, const std::string& at, std::vector<Part>* parts) {
  const int64_t h = c.hidden_size, q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim;
  for (const auto& [name, rows] : {std::pair("q_proj", q), {"k_proj", kv}, {"v_proj", kv}}) {
    parts->push_back({at + name + ".weight", {rows, h}});
    if (c.qkv_bias) parts->push_back({at + name + ".bias", {rows}});
  }
  parts->push_back({at + "o_proj.weight", {h, q}});
  if (c.o_bias) parts->push_back({at + "o_proj.bias", {h}});
  if (c.attention_sinks) parts->push_back({at + "sinks", {c.heads}});
  if (c.qk_norm == QkNorm::kNone) return;
  const bool all = c.qk_norm == QkNorm::kAll;
  parts->push_back({at + "q_norm.weight", {all ? q : c.head_dim}});
  parts->push_back({at + "k_norm.weight", {all ? kv : c.head_dim}});
}

void add_layer(ModelFiles& files, int index, std::vector<Part>* parts) {
  const ModelConfig& c = files.config();
  const std::string layer = fmt::format("model.layers.{}.", index);
  const int64_t h = c.hidden_size;
  parts->push_back({layer + "input_layernorm.weight", {h}});
  parts->push_back({layer + "post_attention_layernorm.weight", {h}});
  if (c.sandwich_norms) {
    parts->push_back({layer + "pre_feedforward_layernorm.weight", {h}});
    parts->push_back({layer + "post_feedforward_layernorm.weight", {h}});
  }
  if (c.mla.kv_lora_rank > 0) {
    const bool split = files.weights().contains(layer + "self_attn.k_b_proj.weight");
    add_latent_attention(c, split, layer + "self_attn.", parts);
  } else {
    add_attention(c, layer + "self_attn.", parts);
  }
  if (!c.moe_layers.empty() && c.moe_layers[static_cast<size_t>(index)]) {
    add_experts(files, layer, parts);
  } else {
    add_mlp(layer + "mlp.", h, c.intermediate_size, parts);
  }
}

/// Takes every tensor the config asks for, and refuses more.
Status take_all(ModelFiles& files) {
  const ModelConfig& c = files.config();
  std::vector<Part> parts = {{"model.embed_tokens.weight", {c.vocab_size, c.hidden_size}},
                             {"lm_head.weight", {c.vocab_size, c.hidden_size}},
                             {"model.norm.weight", {c.hidden_size}}};
  for (int i = 0; i < c.layers; ++i) add_layer(files, i, &parts);
  for (const auto& [name, shape] : parts) VORTEX_RETURN_IF_ERROR(files.weights().take(name, shape));
  return files.weights().finish();
}

TEST(ModelFiles, ConfigAndWeightsOfTheTinyModelsAgree) {
  for (const char* name :
       {"llama", "llama3-rope", "mistral", "qwen2", "qwen3", "qwen3-yarn", "qwen3_moe", "deepseek_v2", "deepseek_v3",
        "deepseek_v3-yarn", "glm4_moe_lite", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"}) {
    SCOPED_TRACE(name);
    auto files = ModelFiles::open(kTiny + name);
    ASSERT_TRUE(files.ok()) << files.error().to_string();
    const Status taken = take_all(**files);
    EXPECT_TRUE(taken.ok()) << taken.error().to_string();
    EXPECT_EQ((*files)->gguf(), nullptr);
    EXPECT_FALSE((*files)->tokenizer_json().has_value());
  }
}

TEST(ModelFiles, ConfigAndWeightsOfTheTinyGgufsAgree) {
  for (const char* name :
       {"llama", "qwen3_moe", "deepseek_v2", "deepseek_v3-yarn", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"}) {
    SCOPED_TRACE(name);
    auto files = ModelFiles::open(fmt::format("{}/tests/data/gguf/{}.gguf", VORTEX_SOURCE_DIR, name));
    ASSERT_TRUE(files.ok()) << files.error().to_string();
    const Status taken = take_all(**files);
    EXPECT_TRUE(taken.ok()) << taken.error().to_string();
  }
}

TEST(ModelFiles, OpensTheShippedLatentModel) {
  auto files = ModelFiles::open(VORTEX_SOURCE_DIR "/models/recall-mla");
  ASSERT_TRUE(files.ok()) << files.error().to_string();
  EXPECT_EQ((*files)->config().stored_dtype, DType::kBF16);
  EXPECT_TRUE((*files)->tokenizer_json().has_value());
  const Status taken = take_all(**files);
  EXPECT_TRUE(taken.ok()) << taken.error().to_string();
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

TEST(DummyWeights, ServeEveryKindOfModel) {
  for (const char* name : {"deepseek_v3", "minimax_m2", "gemma3_text", "gpt_oss"}) {
    auto files = ModelFiles::open_dummy(kTiny + name);
    ASSERT_TRUE(files.ok()) << files.error().to_string();
    const Status taken = take_all(**files);
    EXPECT_TRUE(taken.ok()) << name << ": " << taken.error().to_string();
  }
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
