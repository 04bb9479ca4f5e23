// The recall models against Hugging Face transformers: float32 logits and greedy tokens, bfloat16 answers.
#include <gtest/gtest.h>

#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

using nlohmann::json;

std::string model_path(const std::string& name) { return std::string(VORTEX_SOURCE_DIR) + "/models/" + name; }

std::vector<int32_t> greedy(DecoderRig& rig, const std::vector<float>& first, size_t count) {
  std::vector<int32_t> tokens = {sample::argmax(first)};
  while (tokens.size() < count) tokens.push_back(sample::argmax(rig.decode(tokens.back())));
  return tokens;
}

std::vector<int32_t> head(std::vector<int32_t> tokens, size_t count) {
  tokens.resize(std::min(tokens.size(), count));
  return tokens;
}

class RecallGoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RecallGoldenTest, Float32LogitsAndGreedyTokens) {
  DecoderRig rig(model_path(GetParam()), RigBackend::kCpu, DType::kF32, 16, 8192);
  const auto goldens = load_golden("golden/" + GetParam() + ".json")["float32"];
  ASSERT_EQ(goldens.size(), 6U);
  for (const auto& golden : goldens) {
    rig.restart();
    const auto rows = rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 4);
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t k = 0; k < golden["tail_top_ids"][i].size(); ++k) {
        const size_t id = golden["tail_top_ids"][i][k];
        EXPECT_NEAR(rows[i][id], golden["tail_top_logits"][i][k].get<double>(), 2e-3) << "position " << i;
      }
    }
    EXPECT_EQ(greedy(rig, rows.back(), golden["greedy"].size()), golden["greedy"].get<std::vector<int32_t>>());
  }
}

TEST_P(RecallGoldenTest, Bfloat16AnswersWhatTheGoldenAnswers) {
  DecoderRig rig(model_path(GetParam()), RigBackend::kCpu, DType::kBF16, 16, 8192);
  int64_t answered = 0;
  const auto goldens = load_golden("golden/" + GetParam() + ".json")["bfloat16"];
  for (const auto& golden : goldens) {
    const auto answer = golden["expected_answer"].get<std::vector<int32_t>>();
    if (head(golden["greedy"].get<std::vector<int32_t>>(), answer.size()) != answer) continue;
    rig.restart();
    const auto rows = rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 1);
    EXPECT_EQ(greedy(rig, rows.back(), answer.size()), answer);
    ++answered;
  }
  EXPECT_GE(answered, 4) << "most golden prompts are answered in bfloat16";
}

INSTANTIATE_TEST_SUITE_P(Models, RecallGoldenTest, ::testing::Values("recall-gqa", "recall-mla"), [](const auto& test) {
  std::string name = test.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

/// Decode meets the latents as they lie, a long chunk of prompt makes keys and values of them: the same logits.
TEST(LatentAttentionTest, AbsorbedDecodeAgreesWithExpandedPrefill) {
  DecoderRig rig(model_path("recall-mla"), RigBackend::kCpu, DType::kF32, 16, 8192);
  constexpr size_t kDecoded = 8;
  const auto goldens = load_golden("golden/recall-mla.json")["float32"];
  for (const auto& golden : goldens) {
    const auto ids = golden["input_ids"].get<std::vector<int32_t>>();
    rig.restart();
    const auto expanded = rig.prefill(ids, kDecoded);
    rig.restart();
    rig.prefill(std::span(ids).first(ids.size() - kDecoded), 0);
    for (size_t i = 0; i < kDecoded; ++i) {
      const std::vector<float> absorbed = rig.decode(ids[ids.size() - kDecoded + i]);
      for (size_t id = 0; id < absorbed.size(); ++id) ASSERT_NEAR(absorbed[id], expanded[i][id], 1e-4) << i;
    }
  }
}

}  // namespace
}  // namespace vortex::testing
