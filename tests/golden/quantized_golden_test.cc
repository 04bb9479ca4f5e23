// Models that are quantised while they are loaded, against Hugging Face transformers: how far the logits move, and that
// answers stay. Decode and prefill must mean the same weights.
#include <gtest/gtest.h>

#include <cmath>

#include "golden/golden_json.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

using nlohmann::json;

std::string tiny_path(const std::string& name) { return std::string(VORTEX_SOURCE_DIR) + "/tests/data/tiny/" + name; }

std::vector<int32_t> ids_of(const json& golden) { return golden["input_ids"].get<std::vector<int32_t>>(); }

/// Root mean square of the errors of the golden logits, over that of the logits.
double relative_error(DecoderRig& rig, const std::string& model) {
  double wrong = 0.0, all = 0.0;
  const auto goldens = load_golden("tiny/" + model + "/golden.json")["cases"];
  for (const auto& golden : goldens) {
    rig.restart();
    const auto rows = rig.prefill(ids_of(golden), 4);
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t k = 0; k < golden["tail_top_ids"][i].size(); ++k) {
        const double want = golden["tail_top_logits"][i][k];
        wrong += std::pow(rows[i][golden["tail_top_ids"][i][k].get<size_t>()] - want, 2);
        all += want * want;
      }
  }
  return std::sqrt(wrong / all);
}

/// A model of random weights, and the largest relative errors of its logits in Q8_0 and Q4_0. Where experts are chosen
/// they are larger: a token near the border between two goes to the other.
struct Case {
  std::string model;
  double eight, four;
};

class QuantizedTinyTest : public ::testing::TestWithParam<Case> {
 protected:
  DecoderRig rig(DType type) const {
    return {tiny_path(GetParam().model), RigBackend::kCpu, DType::kF32, 16, 4096, type};
  }
};

TEST_P(QuantizedTinyTest, LogitsMoveAsFarAsTheBitsSay) {
  DecoderRig eight = rig(DType::kQ8_0), four = rig(DType::kQ4_0);
  const std::string& model = GetParam().model;
  const double error8 = relative_error(eight, model), error4 = relative_error(four, model);
  EXPECT_GT(error8, 1e-4) << "nothing was quantised";
  EXPECT_LT(error8, GetParam().eight);
  EXPECT_GT(error4, 2 * error8);
  EXPECT_LT(error4, GetParam().four);
}

TEST_P(QuantizedTinyTest, DecodeAgreesWithPrefill) {
  DecoderRig quantized = rig(DType::kQ4_0);
  constexpr size_t kDecoded = 4;
  const auto golden = load_golden("tiny/" + GetParam().model + "/golden.json")["cases"][0];
  const auto ids = ids_of(golden);
  const auto whole = quantized.prefill(ids, kDecoded);
  quantized.restart();
  quantized.prefill(std::span(ids).first(ids.size() - kDecoded), 0);
  for (size_t i = 0; i < kDecoded; ++i) {
    const std::vector<float> one = quantized.decode(ids[ids.size() - kDecoded + i]);
    for (size_t id = 0; id < one.size(); ++id) ASSERT_NEAR(one[id], whole[i][id], 1e-4) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, QuantizedTinyTest,
                         ::testing::Values(Case{"llama", 0.03, 0.4}, Case{"qwen3", 0.03, 0.2},
                                           Case{"gemma3_text", 0.01, 0.05}, Case{"qwen3_moe", 0.05, 0.5},
                                           Case{"deepseek_v3", 0.15, 0.6}, Case{"gpt_oss", 0.15, 0.7}),
                         [](const auto& test) { return test.param.model; });

/// The golden prompts in bfloat16: in Q8_0 the same tokens, every one.
TEST(QuantizedRecallTest, EightBitsAnswerAsBfloat16Does) {
  DecoderRig rig(std::string(VORTEX_SOURCE_DIR) + "/models/recall-gqa", RigBackend::kCpu, DType::kBF16, 16, 8192,
                 DType::kQ8_0);
  const auto goldens = load_golden("golden/recall-gqa.json")["bfloat16"];
  for (const auto& golden : goldens) {
    rig.restart();
    std::vector<int32_t> greedy = {sample::argmax(rig.prefill(ids_of(golden), 1)[0])};
    const auto expected = golden["greedy"].get<std::vector<int32_t>>();
    while (greedy.size() < expected.size()) greedy.push_back(sample::argmax(rig.decode(greedy.back())));
    EXPECT_EQ(greedy, expected) << ids_of(golden).size() << " tokens";
  }
}

}  // namespace
}  // namespace vortex::testing
