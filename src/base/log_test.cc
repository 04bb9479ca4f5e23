#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex {
namespace {

using testing::MatchesRegex;

class Log : public testing::Test {
 protected:
  void TearDown() override { configure_log(LogLevel::kInfo, LogFormat::kText); }

  template <class F>
  static std::string logged(F&& body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, WritesOneTextLineAnEvent) {
  configure_log(LogLevel::kInfo, LogFormat::kText);
  const std::string line = logged([] { log_info("{} pages of {}", 3, "b"); });
  EXPECT_THAT(line, MatchesRegex("[0-9:]+\\.[0-9]+ info 3 pages of b\n"));
}

TEST_F(Log, LeavesOutWhatIsBelowItsLevel) {
  configure_log(LogLevel::kWarn, LogFormat::kText);
  EXPECT_EQ(logged([] { log_info("quiet"), log_debug("quiet"); }), "");
  EXPECT_THAT(logged([] { log_error("loud"); }), MatchesRegex(".* error loud\n"));
  EXPECT_TRUE(log_enabled(LogLevel::kWarn));
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
}

TEST_F(Log, JsonLinesEscapeTheMessage) {
  configure_log(LogLevel::kDebug, LogFormat::kJson);
  const std::string line = logged([] { log_debug("a \"b\" \\ c\nd"); });
  EXPECT_THAT(line, MatchesRegex(R"(\{"ts":"[-0-9]+T[0-9:.]+Z","level":"debug",)"
                                 R"("msg":"a \\"b\\" \\\\ c\\u000ad"\})"
                                 "\n"));
}

TEST_F(Log, ARequestsIdHasAFieldOfItsOwn) {
  configure_log(LogLevel::kInfo, LogFormat::kJson);
  EXPECT_THAT(logged([] { log_info_of("a\"b", "done in {} s", 3); }),
              MatchesRegex(R"(.*"level":"info","msg":"done in 3 s","request_id":"a\\"b"\})"
                           "\n"));
  EXPECT_THAT(logged([] { log_info("next"); }), MatchesRegex(R"(.*"msg":"next"\})"
                                                             "\n"));
  configure_log(LogLevel::kInfo, LogFormat::kText);
  EXPECT_THAT(logged([] { log_info_of("r1", "done"); }), MatchesRegex(".* info done request=r1\n"));
}

TEST_F(Log, ALineBreakInAMessageForgesNoLine) {
  configure_log(LogLevel::kInfo, LogFormat::kText);
  EXPECT_THAT(logged([] { log_info("name\n00:00 error forged {}", "\x1b[2J"); }),
              MatchesRegex(".* info name\\\\x0a00:00 error forged \\\\x1b\\[2J\n"));
}

TEST_F(Log, BrokenUtf8IsEscapedAndGoodUtf8Kept) {
  configure_log(LogLevel::kInfo, LogFormat::kJson);
  const std::string line = logged([] { log_info("\u00e9 \u20ac \U0001F600 \xff \xe2\x82 \xed\xa0\x80 \xc0\x80"); });
  EXPECT_NE(line.find("\u00e9 \u20ac \U0001F600 \\u00ff \\u00e2\\u0082 \\u00ed\\u00a0\\u0080 \\u00c0\\u0080\"}"),
            std::string::npos)
      << line;
}

TEST_F(Log, BracesInArgumentsAreNotFormatted) {
  EXPECT_THAT(logged([] { log_warn("{}", "{} %v {x}"); }), MatchesRegex(".* warning \\{\\} %v \\{x\\}\n"));
}

}  // namespace
}  // namespace vortex
