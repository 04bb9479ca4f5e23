// The tiny models, one or two a family, against Hugging Face transformers in float32: top logits, log-sum-exp and
// greedy tokens.
#include <gtest/gtest.h>

#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

using nlohmann::json;

struct Case {
  std::string model;
  RigBackend backend;
};

class TinyGoldenTest : public ::testing::TestWithParam<Case> {
 protected:
  std::string folder() const { return std::string(VORTEX_SOURCE_DIR) + "/tests/data/tiny/" + GetParam().model; }
};

void expect_tail(const json& golden, const std::vector<std::vector<float>>& rows) {
  ASSERT_EQ(rows.size(), golden["tail_top_ids"].size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t k = 0; k < golden["tail_top_ids"][i].size(); ++k) {
      const size_t id = golden["tail_top_ids"][i][k];
      EXPECT_NEAR(rows[i][id], golden["tail_top_logits"][i][k].get<double>(), 1e-3) << "position " << i << " id " << id;
    }
    EXPECT_NEAR(log_sum_exp(rows[i]), golden["tail_logsumexp"][i].get<double>(), 1e-3) << "position " << i;
  }
}

void expect_golden(DecoderRig& rig, const std::string& model) {
  const auto goldens = load_golden("tiny/" + model + "/golden.json")["cases"];
  for (const auto& golden : goldens) {
    rig.restart();
    const auto rows = rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 4);
    expect_tail(golden, rows);
    std::vector<int32_t> greedy = {sample::argmax(rows.back())};
    while (greedy.size() < golden["greedy"].size()) greedy.push_back(sample::argmax(rig.decode(greedy.back())));
    EXPECT_EQ(greedy, golden["greedy"].get<std::vector<int32_t>>());
  }
}

std::string test_name(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

TEST_P(TinyGoldenTest, LogitsAndGreedyTokens) {
  DecoderRig rig(folder(), GetParam().backend, DType::kF32);
  expect_golden(rig, GetParam().model);
}

TEST_P(TinyGoldenTest, ChunkedPrefillGivesTheSameLogits) {
  DecoderRig rig(folder(), GetParam().backend, DType::kF32, /*page_tokens=*/8);
  const auto goldens = load_golden("tiny/" + GetParam().model + "/golden.json")["cases"];
  for (const auto& golden : goldens) {
    rig.restart();
    const auto ids = golden["input_ids"].get<std::vector<int32_t>>();
    const size_t head = ids.size() - 4;
    for (size_t i = 0; i < head; i += 7) rig.prefill(std::span(ids).subspan(i, std::min<size_t>(7, head - i)), 0);
    expect_tail(golden, rig.prefill(std::span(ids).subspan(head), 4));
  }
}

/// The same models as llama.cpp's converter would write them.
class TinyGgufGoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(TinyGgufGoldenTest, LogitsAndGreedyTokens) {
  DecoderRig rig(std::string(VORTEX_SOURCE_DIR) + "/tests/data/gguf/" + GetParam() + ".gguf", RigBackend::kCpu,
                 DType::kF32);
  expect_golden(rig, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Models, TinyGgufGoldenTest,
                         ::testing::Values("llama", "qwen3_moe", "deepseek_v2", "deepseek_v3-yarn", "glm4_moe",
                                           "minimax_m2", "gemma3_text", "gpt_oss"),
                         [](const auto& test) { return test_name(test.param); });

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model :
       {"llama", "llama3-rope", "mistral", "qwen2", "qwen3", "qwen3-yarn", "qwen3_moe", "deepseek_v2", "deepseek_v3",
        "deepseek_v3-yarn", "glm4_moe_lite", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"})
    for (RigBackend backend : {RigBackend::kReference, RigBackend::kCpu}) all.push_back({model, backend});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, TinyGoldenTest, ::testing::ValuesIn(cases()), [](const auto& test) {
  return test_name(test.param.model + (test.param.backend == RigBackend::kCpu ? "_cpu" : "_reference"));
});

}  // namespace
}  // namespace vortex::testing
