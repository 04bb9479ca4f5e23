#include "base/progress.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/terminal.h"

namespace vortex {
namespace {

using internal::amount;
using internal::render_bar;

class ProgressFile : public testing::Test {
 protected:
  void SetUp() override { file_ = std::tmpfile(); }
  void TearDown() override { std::fclose(file_); }

  std::string text() {
    std::rewind(file_);
    std::string all;
    for (int c; (c = std::fgetc(file_)) != EOF;) all += static_cast<char>(c);
    return all;
  }

  std::FILE* file_ = nullptr;
};

TEST_F(ProgressFile, PrintsALineEveryTenthWhereThereIsNoTerminal) {
  Progress progress("load", 40, "tok", false, file_);
  for (uint64_t done = 1; done <= 12; ++done) progress.update(done);
  EXPECT_EQ(text(), "load: 10% of 40 tok\nload: 20% of 40 tok\nload: 30% of 40 tok\n");
}

TEST_F(ProgressFile, FinishSaysWhatWasDone) {
  Progress progress("load", 2'500'000, "B", false, file_);
  progress.update(2'500'000);
  progress.finish();
  progress.finish();
  EXPECT_EQ(text(), "load: 2.5 MB in 0.0 s\n");
}

TEST_F(ProgressFile, QuietWritesNothing) {
  Progress progress("load", 10, "tok", true, file_);
  progress.update(5);
  progress.finish();
  EXPECT_EQ(text(), "");
}

TEST_F(ProgressFile, AnUnknownTotalIsReportedAtTheEnd) {
  Progress progress("scan", 0, "files", false, file_);
  progress.update(7);
  progress.finish();
  EXPECT_EQ(text(), "scan: 7 files in 0.0 s\n");
}

TEST(ProgressBar, ShowsShareRateAndTimeLeft) {
  EXPECT_EQ(render_bar({"eval", 10, 40, "rows", 5.0}, 60),
            "eval  25% [##.........] 10 rows/40 rows, 2 rows/s, ETA 0:15");
}

TEST(ProgressBar, FitsTheTerminal) {
  for (int columns = 1; columns < 120; ++columns) {
    EXPECT_LE(render_bar({"a long label", 1, 3, "tok", 1.0}, columns).size(),
              static_cast<size_t>(std::max(columns - 1, 1)));
  }
}

TEST(ProgressBar, HasNoShareWithoutATotalAndNoRateAtTheStart) {
  EXPECT_EQ(render_bar({"scan", 30, 0, "files", 10.0}, 80), "scan 30 files, 3 files/s");
  EXPECT_NE(render_bar({"load", 0, 40, "tok", 0.0}, 80).find("ETA ?"), std::string::npos);
}

TEST(ProgressBar, AmountsAreReadable) {
  EXPECT_EQ(amount(999, "B"), "999 B");
  EXPECT_EQ(amount(1500, "B"), "1.5 KB");
  EXPECT_EQ(amount(2.25e9, "B"), "2.2 GB");
  EXPECT_EQ(amount(2.5, "tok"), "2.5 tok");
  EXPECT_EQ(amount(1234.4, "tok"), "1234 tok");
}

TEST(Terminal, WidthComesFromColumnsWhenItIsSane) {
  setenv("COLUMNS", "123", 1);
  EXPECT_EQ(terminal_columns(stderr), 123);
  setenv("COLUMNS", "-4", 1);
  EXPECT_GT(terminal_columns(stderr), 0);
  unsetenv("COLUMNS");
}

}  // namespace
}  // namespace vortex
