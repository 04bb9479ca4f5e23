#include "toolchain/compiler_errors.h"

#include <gtest/gtest.h>

namespace vortex::toolchain {
namespace {

TEST(CompilerErrorsTest, FirstErrorOfTheUsersFile) {
  const Error error = first_compiler_error(
      "In file included from flow.cc:1:\n"
      "/usr/include/x.h:7:1: error: deep inside\n"
      "flow.cc:3:10:   required from here\n"
      "flow.cc:5:9: warning: unused variable 'x'\n"
      "flow.cc:9:30: error: 'foo' was not declared in this scope\n"
      "    9 |   foo();\n",
      "flow.cc");
  EXPECT_EQ(error.code, ErrorCode::kConfiguration);
  EXPECT_EQ(error.to_string(),
            "flow.cc:9:30: 'foo' was not declared in this scope (1 more; VORTEX_LOG_LEVEL=debug shows all)");
}

TEST(CompilerErrorsTest, OtherForms) {
  EXPECT_EQ(first_compiler_error("a.cc:1:10: fatal error: no.h: No such file or directory\n", "a.cc").to_string(),
            "a.cc:1:10: no.h: No such file or directory");
  EXPECT_EQ(first_compiler_error("g++: fatal error: Killed signal terminated program cc1plus\n", "a.cc").to_string(),
            "g++: Killed signal terminated program cc1plus");
  EXPECT_EQ(first_compiler_error("/usr/bin/ld: cannot find -lx\ncollect2: ld returned 1\n", "a.cc").to_string(),
            "a.cc: the compiler failed: collect2: ld returned 1");
  for (const char* driver :
       {"collect2: error: ld returned 1 exit status\n", "clang: error: linker command failed with exit code 1\n"}) {
    const std::string full = "/usr/bin/ld: final link failed: No space left on device\n" + std::string(driver);
    EXPECT_EQ(first_compiler_error(full, "a.cc").to_string(),
              "a.cc: the linker failed: /usr/bin/ld: final link failed: No space left on device");
  }
  EXPECT_EQ(first_compiler_error("", "a.cc").to_string(), "a.cc: the compiler failed: it wrote nothing");
}

}  // namespace
}  // namespace vortex::toolchain
