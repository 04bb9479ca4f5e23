#include "sched/prefill_pacer.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vortex::sched {
namespace {

/// A machine where a decode step takes `alone` and each prompt token `token` seconds more.
struct Machine {
  double alone, token;
  PrefillPacer pacer{0.2};
  double total = 0, longest = 0;
  int64_t tokens = 0;

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const int64_t prompt = pacer.allowance(4);
      const double seconds = alone + token * static_cast<double>(prompt);
      pacer.observe(4, prompt, seconds);
      tokens += prompt;
      total += seconds;
      longest = std::max(longest, seconds);
    }
  }
};

TEST(PrefillPacerTest, StepsGrowByTheSlowdownAndNoMore) {
  Machine machine{.alone = 0.010, .token = 0.0004};
  machine.run(1000);
  EXPECT_LE(machine.longest, 0.010 * 1.2 + 1e-9);
  EXPECT_GT(machine.tokens, 4 * 1000);  // of the 5 that fit: some steps run alone
}

TEST(PrefillPacerTest, ATokenThatIsDearRunsNowAndThen) {
  Machine machine{.alone = 0.010, .token = 0.006};
  machine.run(1000);
  EXPECT_LE(machine.total, 1000 * 0.010 * 1.2 + 0.02);
  EXPECT_GT(machine.tokens, 250);
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
