#include "kernels/cpu/work_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/isa_kernels.h"

namespace vortex::kernels::cpu {
namespace {

/// How often each (product, panel, token) is covered by the parts of a split.
std::vector<int> coverage(const std::vector<PanelSpan>& spans, int64_t tokens, int threads) {
  const WorkSplit split(spans, tokens, threads);
  EXPECT_EQ(split.parts(), threads);
  std::vector<int> hits;
  for (size_t product = 0; product < spans.size(); ++product)
    for (int64_t panel = 0; panel < spans[product].panels; ++panel)
      for (int64_t token = 0; token < tokens; ++token) {
        int count = 0;
        for (int part = 0; part < split.parts(); ++part) {
          const PanelRange panels = split.panel_range(part, product);
          const TokenRange range = split.token_range(part);
          count += panels.begin <= panel && panel < panels.end && range.begin <= token && token < range.end;
        }
        hits.push_back(count);
      }
  return hits;
}

TEST(WorkSplit, CoversEveryPanelAndTokenOnce) {
  const std::vector<std::vector<PanelSpan>> lists = {
      {{1, 100}}, {{72, 2880}, {24, 2880}, {24, 5000}}, {{3, 7}, {1, 1000000}, {5, 64}}};
  for (const auto& spans : lists)
    for (const int64_t tokens : {1, 2, 64, 65, 200})
      for (const int threads : {1, 2, 3, 4, 8, 64})
        for (const int count : coverage(spans, tokens, threads))
          ASSERT_EQ(count, 1) << tokens << " tokens, " << threads << " threads";
}

TEST(WorkSplit, SharesBytesNotPanels) {
  const std::vector<PanelSpan> spans = {{100, 10}, {10, 100}};
  const WorkSplit split(spans, 1, 2);
  EXPECT_EQ(split.cost(), 2000);
  EXPECT_EQ(split.panel_range(0, 0).end, 100);
  EXPECT_EQ(split.panel_range(0, 1).end, 0);
  EXPECT_EQ(split.panel_range(1, 1).end, 10);
}

TEST(WorkSplit, SplitsTokensInWholeChunksWhenPanelsAreFew) {
  const std::vector<PanelSpan> spans = {{4, 100}};
  const WorkSplit split(spans, 300, 4);
  EXPECT_EQ(split.token_range(0).begin, 0);
  EXPECT_EQ(split.token_range(0).end % kTokenChunk, 0);
  EXPECT_LT(split.token_range(0).end, 300);
  EXPECT_EQ(split.token_range(3).end, 300);
}

}  // namespace
}  // namespace vortex::kernels::cpu
