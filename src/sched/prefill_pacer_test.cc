#include "sched/prefill_pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace vortex::sched {
namespace {

/// A machine where a decode step takes `alone` seconds, and n prompt tokens `fixed + n * token` more.
struct Machine {
  double alone, token, fixed = 0;
  PrefillPacer pacer{0.2};
  std::vector<double> steps;
  double total = 0;
  int64_t tokens = 0;

  void run(int count) {
    for (int i = 0; i < count; ++i) {
      const int64_t prompt = pacer.allowance(4);
      const double seconds = alone + (prompt > 0 ? fixed + token * static_cast<double>(prompt) : 0);
      pacer.observe(4, prompt, seconds);
      tokens += prompt;
      total += seconds;
      steps.push_back(seconds);
    }
  }
  double percentile(double p) {
    std::ranges::sort(steps);
    return steps[static_cast<size_t>(p * static_cast<double>(steps.size() - 1))];
  }
};

TEST(PrefillPacerTest, StepsGrowByTheSlowdownAndNoMore) {
  Machine machine{.alone = 0.010, .token = 0.0004};
  machine.run(1000);
  EXPECT_LE(machine.percentile(1), 0.010 * 1.2 + 1e-9);
  EXPECT_GT(machine.tokens, 3'500) << "of 5 a step: some run alone, and fractions are lost";
}

/// Far into a prompt: reading the pages before it costs the same for one token as for many.
TEST(PrefillPacerTest, WhatIsDearIsSavedForAndSpentRarely) {
  Machine machine{.alone = 0.010, .token = 0.0004, .fixed = 0.006};
  machine.run(20'000);
  EXPECT_LE(machine.percentile(0.99), 0.010 + 1e-9);
  EXPECT_LE(machine.total, 20'000 * 0.010 * 1.2);
  EXPECT_GT(machine.tokens, 20'000 * 3) << "nearly as many as in small pieces without the fixed cost";
}

TEST(PrefillPacerTest, ANewPromptIsReadInSmallPiecesAgain) {
  Machine machine{.alone = 0.010, .token = 0.0004, .fixed = 0.006};
  machine.run(5'000);
  machine.fixed = 0;
  machine.run(20'000);  // single tokens are tried, and found cheap
  machine.steps.clear();
  machine.run(1'000);
  EXPECT_LE(machine.percentile(1), 0.010 * 1.2 + 1e-9);
}

TEST(PrefillPacerTest, LearnsFromAnOrdinaryPrefillAndFollowsAChange) {
  PrefillPacer pacer(0.5);
  pacer.observe(0, 100, 0.1);  // 1 ms a token
  EXPECT_EQ(pacer.allowance(2), 0) << "what two decodes take is not known";
  pacer.observe(2, 0, 0.020);
  EXPECT_EQ(pacer.allowance(2), 10);
  for (int i = 0; i < 200; ++i) pacer.observe(2, 10, 0.020 + 10 * 0.002);
  EXPECT_EQ(pacer.allowance(2), 5);
}

/// A machine that now and then takes 20 ms for itself, whatever runs: the pace stays what the work deserves.
TEST(PrefillPacerTest, DisturbancesDoNotStarveThePrompt) {
  PrefillPacer pacer(0.2);
  uint32_t random = 1;
  int64_t tokens = 0;
  for (int i = 0; i < 4000; ++i) {
    random = random * 1664525u + 1013904223u;
    const double disturbed = random / 65536u % 20 == 0 ? 0.020 : 0;
    const int64_t prompt = pacer.allowance(4);
    pacer.observe(4, prompt, 0.010 + 0.0004 * static_cast<double>(prompt) + disturbed);
    tokens += prompt;
  }
  EXPECT_GT(tokens, 4000 * 3);
  EXPECT_LT(tokens, 4000 * 12);
}

}  // namespace
}  // namespace vortex::sched
