#include "toolchain/host_compiler.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolchain/shared_library.h"
#include "toolchain/testing.h"

namespace vortex::toolchain {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HostCompilerTest : public ToolchainTest {
 protected:
  CodeCache cache() { return CodeCache::open(folder_ / "cache").value(); }
  Result<fs::path> compile(const std::string& text, const std::vector<std::string>& flags = {}) {
    const auto compiler = HostCompiler::find();
    if (!compiler.ok()) return compiler.error();
    return compiler->compile_text(text, "text", flags, cache());
  }
  static int call(const fs::path& library, const char* name) {
    const auto opened = SharedLibrary::open(library);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().to_string());
    return opened->function<int()>(name)();
  }
  int files_left() const {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(folder_ / "cache"))
      count += entry.is_directory() || entry.path().extension() == ".tmp";
    return count;
  }
};

constexpr const char* kSeven = "extern \"C\" __attribute__((visibility(\"default\"))) int seven() { return 7; }";

TEST_F(HostCompilerTest, CompilesOnceAndThenRunsNothing) {
  count_compiler_runs();
  const auto first = compile(kSeven);
  ASSERT_TRUE(first.ok()) << first.error().to_string();
  EXPECT_EQ(call(*first, "seven"), 7);
  EXPECT_EQ(compiler_runs(), 1);
  EXPECT_EQ(*compile(kSeven), *first);
  EXPECT_EQ(compiler_runs(), 1);
  EXPECT_NE(*compile(kSeven, {"-O2"}), *first) << "flags are part of the key";
  EXPECT_NE(*compile(kSeven + std::string("//")), *first) << "so is the text";
  EXPECT_EQ(compiler_runs(), 3);
  EXPECT_EQ(files_left(), 0);
}

TEST_F(HostCompilerTest, AnOpenUmaskDoesNotSpoilTheCache) {
  count_compiler_runs();
  const mode_t before = ::umask(0);
  ASSERT_TRUE(compile(kSeven).ok() && compile(kSeven).ok());
  ::umask(before);
  EXPECT_EQ(compiler_runs(), 1);
}

TEST_F(HostCompilerTest, AnotherCompilerIsAnotherKey) {
  const auto first = compile(kSeven);
  ASSERT_TRUE(first.ok()) << first.error().to_string();
  count_compiler_runs();
  EXPECT_NE(*compile(kSeven), *first);
}

TEST_F(HostCompilerTest, ErrorsHaveThePlaceInTheText) {
  const auto broken = compile("#line 1 \"text\"\nint f() {\n  return nothing;\n}\n");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().where, "text:2:10");
  EXPECT_THAT(broken.error().message, HasSubstr("nothing"));
  EXPECT_EQ(files_left(), 0);
}

TEST_F(HostCompilerTest, FilesAreCompiledWhereTheyLie) {
  count_compiler_runs();
  write("number.h", "enum { kNumber = 4 };\n");
  const fs::path file = write("a flow.cc",
                              "#include \"number.h\"\n#include <cstddef>\nextern \"C\" "
                              "__attribute__((visibility(\"default\"))) int number() { return kNumber; }\n");
  const auto compiler = HostCompiler::find();
  const auto first = compiler->compile_file(file, {}, cache());
  ASSERT_TRUE(first.ok()) << first.error().to_string();
  EXPECT_EQ(call(*first, "number"), 4);
  EXPECT_EQ(*compiler->compile_file(file, {}, cache()), *first);
  EXPECT_EQ(compiler_runs(), 1);
  write("number.h", "enum { kNumber = 5 };\n");
  const auto second = compiler->compile_file(file, {}, cache());
  EXPECT_EQ(call(*second, "number"), 5) << "an included file changed";
  EXPECT_EQ(compiler_runs(), 2);
  write("a flow.cc", "int;;;x\n");
  EXPECT_THAT(compiler->compile_file(file, {}, cache()).error().where, StartsWith(file.string() + ":1:"));
}

TEST_F(HostCompilerTest, TwoProcessesAtOnce) {
  count_compiler_runs();
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto built = compile(kSeven);
      ::_exit(built.ok() && call(*built, "seven") == 7 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_TRUE(compile(kSeven).ok());
  EXPECT_EQ(compiler_runs(), 1) << "the others wait for the one that builds";
  EXPECT_EQ(files_left(), 0);
}

TEST_F(HostCompilerTest, NoCompiler) {
  set_variable("CXX", "");
  set_variable("PATH", folder_.string());
  const auto none = compile(kSeven);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(
      none.error().to_string(),
      "this machine has no C++ compiler (c++, g++ or clang++) (install one (Debian: apt-get install g++), or name "
      "it in CXX)");
  set_variable("CXX", "/nowhere/g++ -m64");
  EXPECT_EQ(compile(kSeven).error().to_string(), "CXX: '/nowhere/g++' is no program (name a C++20 compiler)");
}

TEST_F(HostCompilerTest, CxxMayHoldArguments) {
  set_variable("CXX", "c++ -DNUMBER=9");
  const auto built = compile("extern \"C\" __attribute__((visibility(\"default\"))) int number() { return NUMBER; }");
  ASSERT_TRUE(built.ok()) << built.error().to_string();
  EXPECT_EQ(call(*built, "number"), 9);
}

TEST_F(HostCompilerTest, SlowCompilersAreStopped) {
  const fs::path slow = write("slow", "#!/bin/sh\nsleep 60\n");
  fs::permissions(slow, fs::perms::owner_all);
  set_variable("CXX", slow.string());
  auto compiler = HostCompiler::find();
  compiler->set_limits({.time = std::chrono::milliseconds(200)});
  const auto built = compiler->compile_text(kSeven, "text", {}, cache());
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(built.error().to_string(), HasSubstr("did not end within"));
  EXPECT_EQ(files_left(), 0);
}

TEST_F(HostCompilerTest, NotALibrary) {
  const fs::path file = write("x.so", "not an object");
  const auto opened = SharedLibrary::open(file);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().where, file.string());
  EXPECT_THAT(opened.error().message, StartsWith("cannot be loaded: "));
}

}  // namespace
}  // namespace vortex::toolchain
