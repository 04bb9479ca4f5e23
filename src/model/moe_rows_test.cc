#include "model/moe_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace vortex::model {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::vector<int64_t>> runs_of(const ExpertRows& rows) {
  std::vector<std::vector<int64_t>> out;
  for (const ExpertRows::Run& run : rows.runs()) out.push_back({run.expert, run.begin, run.end});
  return out;
}

TEST(ExpertRows, SortsRowsByExpertAndKeepsTheOrderOfTokens) {
  ExpertRows rows;
  const std::vector<int32_t> chosen = {1, 4, 0, 4, 1, 3};  // three tokens, two experts each
  rows.assign(chosen, 2, 6);
  EXPECT_THAT(runs_of(rows),
              ElementsAre(ElementsAre(0, 0, 1), ElementsAre(1, 1, 3), ElementsAre(3, 3, 4), ElementsAre(4, 4, 6)));
  EXPECT_THAT(rows.row_of(), ElementsAre(1, 4, 0, 5, 2, 3));
  EXPECT_THAT(rows.token_of(), ElementsAre(1, 0, 2, 2, 0, 1));
}

TEST(ExpertRows, ForgetsTheLastStep) {
  ExpertRows rows;
  rows.assign(std::vector<int32_t>{2, 1, 0}, 1, 3);
  rows.assign(std::vector<int32_t>{1}, 1, 3);
  EXPECT_THAT(runs_of(rows), ElementsAre(ElementsAre(1, 0, 1)));
  EXPECT_THAT(rows.row_of(), ElementsAre(0));
  rows.assign({}, 1, 3);
  EXPECT_THAT(runs_of(rows), IsEmpty());
}

}  // namespace
}  // namespace vortex::model
