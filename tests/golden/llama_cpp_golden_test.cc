// Models in GGUF against llama.cpp: token ids, and greedy tokens wherever its margin is clear. They are fetched by
// scripts/setup.sh (`vortex pull NAME`); where one is not there its tests are skipped and say so.
#include <gtest/gtest.h>

#include "engine/text_codec.h"
#include "golden/golden_json.h"
#include "loader/hub/resolve.h"
#include "sample/sampler.h"
#include "support/decoder_rig.h"

namespace vortex::testing {
namespace {

struct GgufGolden {
  std::string model;   // in the catalogue
  std::string golden;  // file
  int64_t clear = 0;   // margins that are clear: the golden has more than these
  // Of log-probabilities: both sides round activations to 8 bits, each in its own way. Gemma's answer to that is
  // larger: where llama.cpp has -5.14, exact activations give -4.54, ours -4.62 with AVX2 and -4.45 with AVX-512.
  double tolerance = 0;
};

class LlamaCppGoldenTest : public ::testing::TestWithParam<GgufGolden> {
 protected:
  void SetUp() override {
    ResolveOptions offline;
    offline.offline = true;
    const auto path = resolve_model(GetParam().model, offline);
    if (!path.ok()) GTEST_SKIP() << GetParam().model << " is not on this machine: run vortex pull " << GetParam().model;
    path_ = *path;
  }
  std::string path_;
};

TEST_P(LlamaCppGoldenTest, TokenIds) {
  const auto codec = TextCodec::create(*ModelFiles::open(path_).value()).value();
  const auto goldens = load_golden(GetParam().golden)["tokenizer"];
  ASSERT_GT(goldens.size(), 20U);
  for (const auto& golden : goldens)
    EXPECT_EQ(codec->tokenizer().encode(golden["text"].get<std::string>(), text::SpecialTokens::kIgnore),
              golden["ids"].get<std::vector<int32_t>>())
        << golden["text"];
}

/// llama.cpp's own tokens are fed, so that one close call does not hide what follows.
TEST_P(LlamaCppGoldenTest, GreedyTokensAgreeWhereTheMarginIsClear) {
  constexpr double kClearMargin = 0.5;
  DecoderRig rig(path_, RigBackend::kCpu, DType::kBF16);
  int64_t clear = 0;
  const auto goldens = load_golden(GetParam().golden)["cases"];
  for (const auto& golden : goldens) {
    rig.restart();
    std::vector<float> logits = rig.prefill(golden["input_ids"].get<std::vector<int32_t>>(), 1)[0];
    const double total = log_sum_exp(logits);
    for (size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(logits[golden["top_ids"][k].get<size_t>()] - total, golden["top_logprobs"][k].get<double>(),
                  GetParam().tolerance);
    for (size_t i = 0; i < golden["greedy"].size(); ++i) {
      const int32_t expected = golden["greedy"][i];
      if (golden["greedy_margin"][i].get<double>() > kClearMargin) {
        EXPECT_EQ(sample::argmax(logits), expected) << golden["prompt"] << " token " << i;
        ++clear;
      }
      logits = rig.decode(expected);
    }
  }
  EXPECT_GT(clear, GetParam().clear) << "the golden has that many clear margins";
}

INSTANTIATE_TEST_SUITE_P(Models, LlamaCppGoldenTest,
                         ::testing::Values(GgufGolden{"smollm2", "golden/smollm2-q4_1.json", 80, 0.35},
                                           GgufGolden{"gemma3-270m", "golden/gemma3-270m-q4_k_m.json", 90, 0.75}),
                         [](const auto& test) {
                           std::string name = test.param.model;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace vortex::testing
