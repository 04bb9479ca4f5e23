// SmolLM2-135M Q4_1 against llama.cpp: token ids, and greedy tokens wherever its margin is clear. The model is fetched
// by scripts/setup.sh (`vortex pull smollm2`); where it is not there the tests are skipped and say so.
#include <gtest/gtest.h>

#include "engine/text_codec.h"
#include "golden/golden_json.h"
#include "loader/hub/resolve.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

class Smollm2GoldenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ResolveOptions offline;
    offline.offline = true;
    const auto path = resolve_model("smollm2", offline);
    if (!path.ok()) GTEST_SKIP() << "smollm2 is not on this machine: run vortex pull smollm2";
    path_ = *path;
  }
  std::string path_;
};

TEST_F(Smollm2GoldenTest, TokenIdsAreLlamaCpps) {
  const auto codec = TextCodec::create(*ModelFiles::open(path_).value()).value();
  const auto goldens = load_golden("golden/smollm2-q4_1.json")["tokenizer"];
  for (const auto& golden : goldens)
    EXPECT_EQ(codec->tokenizer().encode(golden["text"].get<std::string>(), text::SpecialTokens::kIgnore),
              golden["ids"].get<std::vector<int32_t>>())
        << golden["text"];
}

/// llama.cpp's own tokens are fed, so that one close call does not hide what follows.
TEST_F(Smollm2GoldenTest, GreedyTokensAgreeWhereTheMarginIsClear) {
  constexpr double kClearMargin = 0.5;
  constexpr double kLogProbTolerance = 0.35;  // both sides round activations to 8 bits, each in its own way
  DecoderRig rig(path_, RigBackend::kCpu, DType::kBF16);
  int64_t clear = 0;
  const auto goldens = load_golden("golden/smollm2-q4_1.json")["cases"];
  for (const auto& golden : goldens) {
    rig.restart();
    std::vector<float> logits = rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 1)[0];
    const double total = log_sum_exp(logits);
    for (size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(logits[golden["top_ids"][k].get<size_t>()] - total, golden["top_logprobs"][k].get<double>(),
                  kLogProbTolerance);
    for (size_t i = 0; i < golden["greedy"].size(); ++i) {
      const int32_t expected = golden["greedy"][i];
      if (golden["greedy_margin"][i].get<double>() > kClearMargin) {
        EXPECT_EQ(sample::argmax(logits), expected) << golden["prompt"] << " token " << i;
        ++clear;
      }
      logits = rig.decode(expected);
    }
  }
  EXPECT_GT(clear, 80) << "the golden has that many clear margins";
}

}  // namespace
}  // namespace vortex::testing
