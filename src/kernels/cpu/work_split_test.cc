#include "kernels/cpu/work_split.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "kernels/cpu/isa_kernels.h"

namespace vortex::kernels::cpu {
namespace {

/// (panels, cost of one) of each run.
using Runs = std::vector<std::pair<int64_t, int64_t>>;

WorkSplit split_of(const Runs& runs) {
  WorkSplit split;
  for (const auto& [panels, cost] : runs) split.add(panels, cost);
  return split;
}

TEST(WorkSplit, CoversEveryPanelOnce) {
  for (const Runs& runs : {Runs{}, Runs{{1, 100}}, Runs{{72, 2880}, {24, 2880}, {24, 5000}},
                           Runs{{3, 7}, {1, 1000000}, {5, 64}}, Runs(64, {44, 18432})}) {
    const WorkSplit split = split_of(runs);
    for (const int parts : {1, 2, 3, 4, 8, 64}) {
      std::vector<int64_t> next(runs.size());
      for (int part = 0; part < parts; ++part)
        split.for_each(part, parts, [&](size_t run, PanelRange panels) {
          EXPECT_EQ(panels.begin, next[run]) << "part " << part << " of " << parts << ", run " << run;
          EXPECT_LT(panels.begin, panels.end);
          next[run] = panels.end;
        });
      for (size_t i = 0; i < runs.size(); ++i) EXPECT_EQ(next[i], runs[i].first) << parts << " parts, run " << i;
    }
  }
}

TEST(WorkSplit, SharesCostNotPanels) {
  const WorkSplit split = split_of({{100, 10}, {10, 100}});
  EXPECT_EQ(split.cost(), 2000);
  split.for_each(0, 2, [](size_t run, PanelRange panels) {
    EXPECT_EQ(run, 0u);
    EXPECT_EQ(panels.end, 100);
  });
  split.for_each(1, 2, [](size_t run, PanelRange panels) {
    EXPECT_EQ(run, 1u);
    EXPECT_EQ(panels.end - panels.begin, 10);
  });
}

TEST(WorkSplit, NoPartHasMoreThanItsShareAndOnePanel) {
  const Runs runs = {{30, 500}, {30, 100}, {30, 1500}, {1, 900}, {200, 20}};
  const WorkSplit split = split_of(runs);
  for (int part = 0; part < 7; ++part) {
    int64_t cost = 0;
    split.for_each(part, 7,
                   [&](size_t run, PanelRange panels) { cost += (panels.end - panels.begin) * runs[run].second; });
    EXPECT_LE(cost, split.cost() / 7 + 1500);
  }
}

TEST(WorkSplit, ClearForgetsTheRuns) {
  WorkSplit split = split_of({{5, 5}});
  split.clear();
  EXPECT_EQ(split.cost(), 0);
  split.for_each(0, 1, [](size_t, PanelRange) { ADD_FAILURE(); });
}

TEST(TokenPieces, CutsTokensOnlyWhenPanelsAreFew) {
  EXPECT_EQ(token_pieces(4, 300, 1), 1);
  EXPECT_EQ(token_pieces(4, 300, 4), 4);
  EXPECT_EQ(token_pieces(8, 300, 4), 2);
  EXPECT_EQ(token_pieces(100, 300, 4), 1);
  EXPECT_EQ(token_pieces(1, 2 * kTokenChunk, 8), 1);
}

}  // namespace
}  // namespace vortex::kernels::cpu
