#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "sample/logprobs.h"
#include "sample/sampler.h"
#include "sample/stop_matcher.h"

namespace vortex::sample {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int32_t sample_once(const SamplingParams& params, std::vector<float> logits, std::vector<int32_t> history = {},
                    std::vector<int32_t> banned = {}) {
  return Sampler(params, 1).sample(logits, history, 0, banned);
}

/// Relative frequencies over many draws of one sampler.
std::map<int32_t, double> frequencies(const SamplingParams& params, const std::vector<float>& logits) {
  constexpr int kDraws = 20000;
  Sampler sampler(params, 42);
  std::map<int32_t, double> out;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<float> copy = logits;
    out[sampler.sample(copy, {}, 0, {})] += 1.0 / kDraws;
  }
  return out;
}

TEST(SamplerTest, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(sample_once({.temperature = 0}, {1, 5, 5, 2}), 1);
  EXPECT_EQ(sample_once({.temperature = 0}, {kNan, 1, 2, kNan}), 2);
}

TEST(SamplerTest, FrequenciesFollowTheSoftmaxAtTheTemperature) {
  const auto f = frequencies({.temperature = 0.5}, {0.0f, 0.5f, 1.0f});
  const double total = std::exp(0.0) + std::exp(1.0) + std::exp(2.0);
  EXPECT_NEAR(f.at(0), std::exp(0.0) / total, 0.015);
  EXPECT_NEAR(f.at(1), std::exp(1.0) / total, 0.015);
  EXPECT_NEAR(f.at(2), std::exp(2.0) / total, 0.015);
}

TEST(SamplerTest, TopKKeepsTheBestK) {
  const auto f = frequencies({.top_k = 2}, {0, 1, 1, 1});
  EXPECT_EQ(f.size(), 2u);
  EXPECT_NEAR(f.at(1), 0.5, 0.015);
  EXPECT_NEAR(f.at(2), 0.5, 0.015);
}

TEST(SamplerTest, TopPKeepsTheTokenThatCrossesTheMass) {
  // Probabilities .5 .3 .2: a mass of .6 needs the first two.
  const auto f = frequencies({.top_p = 0.6}, {std::log(0.5f), std::log(0.3f), std::log(0.2f)});
  EXPECT_EQ(f.size(), 2u);
  EXPECT_NEAR(f.at(0), 0.625, 0.015);
}

TEST(SamplerTest, MinPIsRelativeToTheBest) {
  const auto f = frequencies({.min_p = 0.5}, {std::log(0.5f), std::log(0.3f), std::log(0.2f)});
  EXPECT_EQ(f.size(), 2u);
}

TEST(SamplerTest, RepetitionPenaltyDividesPositiveAndMultipliesNegativeOnce) {
  EXPECT_EQ(sample_once({.temperature = 0, .repetition_penalty = 2}, {4, 3}, {0, 0, 0}), 1);
  EXPECT_EQ(sample_once({.temperature = 0, .repetition_penalty = 2}, {7, 3}, {0, 0, 0}), 0) << "3.5 beats 3";
  EXPECT_EQ(sample_once({.temperature = 0, .repetition_penalty = 2}, {-1, -1.5f}, {0}), 1);
}

TEST(SamplerTest, BannedTokensAreNeverChosen) {
  EXPECT_EQ(sample_once({.temperature = 0}, {9, 8, 7}, {}, {0, 1}), 2);
  EXPECT_EQ(sample_once({.temperature = 1}, {9, 8, -50}, {}, {0, 1, -1, 99}), 2);
}

TEST(SamplerTest, SameSeedSameTokens) {
  const std::vector<float> logits(50, 0.0f);
  Sampler a({}, 7), b({}, 7), c({}, 8);
  std::vector<int32_t> from_a, from_b, from_c;
  for (int i = 0; i < 20; ++i) {
    std::vector<float> x = logits, y = logits, z = logits;
    from_a.push_back(a.sample(x, {}, 0, {}));
    from_b.push_back(b.sample(y, {}, 0, {}));
    from_c.push_back(c.sample(z, {}, 0, {}));
  }
  EXPECT_EQ(from_a, from_b);
  EXPECT_NE(from_a, from_c);
}

TEST(SamplingParamsTest, ErrorsNameParameterValueAndRange) {
  EXPECT_EQ(validate({.temperature = -1}).error().to_string(), "temperature: -1 is out of range (give 0 to 100)");
  EXPECT_FALSE(validate({.temperature = std::nan("")}).ok());
  EXPECT_FALSE(validate({.top_p = 0}).ok());
  EXPECT_FALSE(validate({.max_tokens = -2}).ok());
  EXPECT_TRUE(validate({.max_tokens = 0}).ok());
  EXPECT_FALSE(validate({.stop = {""}}).ok());
  EXPECT_TRUE(validate({}).ok());
}

TEST(StopMatcherTest, HoldsBackWhatMayBecomeAStop) {
  StopMatcher matcher({"END", "stop!"});
  EXPECT_EQ(matcher.feed("one E"), "one ");
  EXPECT_EQ(matcher.feed("N"), "");
  EXPECT_EQ(matcher.feed("Q st"), "ENQ ");
  EXPECT_EQ(matcher.feed("op! more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.feed("x"), "");
}

TEST(StopMatcherTest, EarliestStopWins) {
  StopMatcher matcher({"bb", "a"});
  EXPECT_EQ(matcher.feed("xabb"), "x");
}

TEST(StopMatcherTest, FinishGivesTheHeldText) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.feed("the EN"), "the ");
  EXPECT_EQ(matcher.finish(), "EN");
  EXPECT_FALSE(matcher.stopped());
}

TEST(SamplerTest, PresenceAndFrequencyCountWhatWasGenerated) {
  SamplingParams params;
  params.temperature = 0;
  params.presence_penalty = 0.5;
  params.frequency_penalty = 0.2;
  const std::vector<int32_t> history = {0, 0, 0, 1, 1, 2};  // the first three are the prompt's
  std::vector<float> logits = {3.0f, 3.5f, 3.6f, 2.0f};
  Sampler(params, 1).sample(logits, history, 3, {});
  EXPECT_FLOAT_EQ(logits[0], 3.0f);
  EXPECT_FLOAT_EQ(logits[1], 3.5f - 0.5f - 2 * 0.2f);
  EXPECT_FLOAT_EQ(logits[2], 3.6f - 0.5f - 0.2f);
  EXPECT_FLOAT_EQ(logits[3], 2.0f);
}

TEST(SamplerTest, BiasMovesTheChoice) {
  SamplingParams params;
  params.temperature = 0;
  params.logit_bias = {{2, 5.0f}, {0, -100.0f}};
  EXPECT_EQ(sample_once(params, {4.0f, 3.0f, 0.0f}), 2);
  EXPECT_FALSE(validate(params, 2).ok()) << "token 2 is not in a vocabulary of 2";
}

TEST(SamplerTest, KnowsWhatNoModelComputes) {
  std::vector<float> logits(100, 1.0f);
  EXPECT_TRUE(all_finite(logits));
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    logits[57] = bad;
    EXPECT_FALSE(all_finite(logits)) << bad;
  }
}

/// Against the definition, in double.
TEST(LogprobsTest, AreOfTheSoftmax) {
  const std::vector<float> logits = {1.0f, 3.0f, 2.0f, 3.0f, -5.0f};
  double total = 0;
  for (float x : logits) total += std::exp(x);
  const TokenLogprobs out = token_logprobs(logits, 2, 3);
  EXPECT_EQ(out.chosen.token, 2);
  EXPECT_EQ(out.chosen.rank, 3);
  EXPECT_NEAR(out.chosen.logprob, std::log(std::exp(2.0) / total), 1e-6);
  ASSERT_EQ(out.top.size(), 3u);
  EXPECT_EQ(out.top[0].token, 1) << "ties go to the lower id";
  EXPECT_EQ(out.top[1].token, 3);
  EXPECT_EQ(out.top[1].rank, 1) << "and share the rank";
  EXPECT_EQ(out.top[2].token, 2);
  EXPECT_NEAR(out.top[0].logprob, std::log(std::exp(3.0) / total), 1e-6);
  EXPECT_TRUE(token_logprobs(logits, 0, 0).top.empty());
  EXPECT_EQ(token_logprobs(logits, 0, 99).top.size(), 5u);
}

TEST(StopMatcherTest, SaysWhatStoppedAndKeepsItWhenAsked) {
  StopMatcher matcher({"longer stop", "stop"}, /*include_stop=*/true);
  EXPECT_EQ(matcher.feed("a lo"), "a ");
  EXPECT_EQ(matcher.feed("nger st"), "");
  EXPECT_EQ(matcher.feed("op b"), "longer stop");
  EXPECT_EQ(matcher.matched(), "longer stop");
}

}  // namespace
}  // namespace vortex::sample
