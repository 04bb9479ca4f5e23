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
  for (int i = 0; i < 50; ++i) pacer.observe(2, 10, 0.020 + 10 * 0.002);
  EXPECT_EQ(pacer.allowance(2), 5);
}

}  // namespace
}  // namespace vortex::sched
