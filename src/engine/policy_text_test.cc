#include "engine/policy_text.h"

#include <gtest/gtest.h>

namespace vortex {
namespace {

std::string problem(const std::string& text) {
  const Status status = check_policy_text(text);
  return status.ok() ? "" : status.error().to_string();
}

TEST(PolicyTextTest, Bodies) {
  EXPECT_EQ(problem("return 1;"), "");
  EXPECT_EQ(problem("if (a) { return 1'000; } else { const char* s = \"}\\\"}\"; } return '}';"), "");
  EXPECT_EQ(problem("// } all of this is a comment \\\n } still\n/* } */ return 1;"), "");
  EXPECT_EQ(problem("  #pragma unroll\nreturn a % b;"), "");
  EXPECT_EQ(problem("return 7 # 3;"), "") << "the compiler's to refuse";
}

TEST(PolicyTextTest, WhatIsNoBody) {
  EXPECT_EQ(problem(""), problem(" \n "));
  EXPECT_EQ(problem("\n\t"),
            "schedule_policy:1:1: the policy is empty (give the body of a function that returns a number of pages, or "
            "leave it out)");
  EXPECT_EQ(problem("return 1; }\nint f() { return 2;"),
            "schedule_policy:1:11: this } closes a { that is not there (give the body of the function only)");
  EXPECT_EQ(problem("return 1; %>"),
            "schedule_policy:1:11: this } closes a { that is not there (give the body of the function only)");
  EXPECT_EQ(problem("if (a) {\n  return 1;"), "schedule_policy:1:8: this { is never closed");
  EXPECT_EQ(problem("return 1; /* no end"), "schedule_policy:1:11: this comment has no end");
  EXPECT_EQ(problem("puts(\"no end);\n"), "schedule_policy:1:6: this literal has no end");
  EXPECT_EQ(problem("return 1; \\\n"), "schedule_policy:1:1: the last line ends in a backslash");
  EXPECT_EQ(problem("f(R\"(}})\");"), "schedule_policy:1:3: raw strings are not read here");
  EXPECT_EQ(problem(std::string("return\0 1;", 10)), "schedule_policy:1:1: holds a zero byte");
  EXPECT_EQ(problem(std::string(70'000, ';')), "schedule_policy:1:1: longer than 65536 bytes");
}

TEST(PolicyTextTest, LinesForThePreprocessor) {
  const std::string refused =
      ": only #pragma lines may stand in a function's body (the math functions are there without #include)";
  EXPECT_EQ(problem("#include \"/etc/passwd\"\nreturn 1;"), "schedule_policy:1:1" + refused);
  EXPECT_EQ(problem("return 1;\n  # define A"), "schedule_policy:2:3" + refused);
  EXPECT_EQ(problem("/* x */ #include <vector>"), "schedule_policy:1:9" + refused);
  EXPECT_EQ(problem("return 1; /*\n*/ %: include <vector>"), "schedule_policy:2:4" + refused);
}

}  // namespace
}  // namespace vortex
