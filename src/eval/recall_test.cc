#include "eval/recall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<RecallRow> rows() {
  return {{.answer = "12", .task = "a", .length = 1024},
          {.answer = "34", .task = "b", .length = 1024},
          {.answer = "56", .task = "a", .length = 4096},
          {.answer = "78", .task = "a", .length = 1024}};
}

std::vector<std::string> answers(const Result<std::vector<RecallRow>>& rows) {
  std::vector<std::string> out;
  for (const RecallRow& row : *rows) out.push_back(row.answer);
  return out;
}

TEST(ChooseRows, FiltersThenLimits) {
  EXPECT_THAT(answers(choose_rows(rows(), {}, "x")), ElementsAre("12", "34", "56", "78"));
  EXPECT_THAT(answers(choose_rows(rows(), {.tasks = {"a"}, .lengths = {1024}}, "x")), ElementsAre("12", "78"));
  EXPECT_THAT(answers(choose_rows(rows(), {.tasks = {"a"}, .limit = 2}, "x")), ElementsAre("12", "56"));
  const auto none = choose_rows(rows(), {.lengths = {8192}}, "data.jsonl");
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().to_string(), HasSubstr("data.jsonl: no question is left"));
}

TEST(Tally, CountsByTaskAndLength) {
  Tally tally;
  const std::vector<std::string> texts = {"It is 12.", "It is 35.", "It is 56.", "None."};
  for (size_t i = 0; i < texts.size(); ++i) tally.add(rows()[i], {.text = texts[i]});
  EXPECT_EQ(tally.all.right, 2);
  EXPECT_DOUBLE_EQ(tally.all.share(), 0.5);
  EXPECT_DOUBLE_EQ(tally.by_task["a"].share(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(tally.by_length[1024].share(), 1.0 / 3);
  EXPECT_EQ((tally.cells[{"a", 1024}].right), 1);
  EXPECT_EQ((tally.cells[{"a", 1024}].asked), 2);
}

}  // namespace
}  // namespace vortex::eval
