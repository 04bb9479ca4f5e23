// recall-gqa against Hugging Face transformers: float32 logits and greedy tokens, bfloat16 answers.
#include <gtest/gtest.h>

#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

using nlohmann::json;

const std::string kModel = std::string(VORTEX_SOURCE_DIR) + "/models/recall-gqa";

std::vector<int32_t> greedy(DecoderRig& rig, const std::vector<float>& first, size_t count) {
  std::vector<int32_t> tokens = {sample::argmax(first)};
  while (tokens.size() < count) tokens.push_back(sample::argmax(rig.decode(tokens.back())));
  return tokens;
}

std::vector<int32_t> head(std::vector<int32_t> tokens, size_t count) {
  tokens.resize(std::min(tokens.size(), count));
  return tokens;
}

TEST(RecallGoldenTest, Float32LogitsAndGreedyTokens) {
  DecoderRig rig(kModel, RigBackend::kCpu, DType::kF32, 16, 8192);
  const auto goldens = load_golden("golden/recall-gqa.json")["float32"];
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

TEST(RecallGoldenTest, Bfloat16AnswersWhatTheGoldenAnswers) {
  DecoderRig rig(kModel, RigBackend::kCpu, DType::kBF16, 16, 8192);
  int64_t answered = 0;
  const auto goldens = load_golden("golden/recall-gqa.json")["bfloat16"];
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

}  // namespace
}  // namespace vortex::testing
