#include "toolchain/code_cache.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "toolchain/testing.h"

namespace vortex::toolchain {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class CodeCacheTest : public ToolchainTest {};

TEST_F(CodeCacheTest, WhereItLies) {
  EXPECT_EQ(*code_cache_folder("/var/x"), "/var/x");
  set_variable("HOME", "/home/ada");
  EXPECT_EQ(*code_cache_folder("~/.code"), "/home/ada/.code");
  set_variable("VORTEX_CACHE_DIR", "");
  set_variable("XDG_CACHE_HOME", "");
  EXPECT_EQ(*code_cache_folder(std::nullopt), "/home/ada/.cache/vortex/compiled");
  set_variable("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(*code_cache_folder(std::nullopt), "/xdg/vortex/compiled");
  set_variable("VORTEX_CACHE_DIR", "/own");
  EXPECT_EQ(*code_cache_folder(std::nullopt), "/own/compiled");
  set_variable("VORTEX_CACHE_DIR", "");
  set_variable("XDG_CACHE_HOME", "relative");
  set_variable("HOME", "");
  EXPECT_THAT(code_cache_folder(std::nullopt).error().to_string(), HasSubstr("compilation_cache_dir"));
}

TEST_F(CodeCacheTest, IsPrivate) {
  const fs::path folder = folder_ / "a" / "b";
  ASSERT_TRUE(CodeCache::open(folder).ok());
  struct stat info {};
  ASSERT_EQ(::stat(folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ::chmod(folder.c_str(), 0755);
  EXPECT_TRUE(CodeCache::open(folder).ok()) << "others may read it";
  for (const mode_t mode : {0770, 0702}) {
    ::chmod(folder.c_str(), mode);
    const auto opened = CodeCache::open(folder);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::kConfiguration);
    EXPECT_EQ(opened.error().to_string(),
              folder.string() +
                  ": the folder of compiled code can be written by others (chmod go-w) (name another in "
                  "compilation_cache_dir)");
  }
}

TEST_F(CodeCacheTest, OfSomebodyElse) {
  const fs::path folder = ::geteuid() == 0 ? folder_ / "theirs" : fs::path("/");
  fs::create_directories(folder);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(folder.c_str(), 12345, 12345), 0);
  }
  EXPECT_THAT(CodeCache::open(folder).error().to_string(), HasSubstr("belongs to another user"));
}

TEST_F(CodeCacheTest, NotAFolder) {
  EXPECT_THAT(CodeCache::open(write("file", "x")).error().to_string(), HasSubstr("is no folder"));
}

TEST_F(CodeCacheTest, FindsWhatWasPublishedUntilAnInputChanges) {
  const auto cache = CodeCache::open(folder_ / "cache");
  ASSERT_TRUE(cache.ok());
  EXPECT_EQ(cache->find("key"), std::nullopt);
  const fs::path header = write("my header.h", "1");
  const auto published = cache->publish("key", write("built.so", "code"), {header});
  ASSERT_TRUE(published.ok());
  EXPECT_EQ(cache->find("key"), *published);
  EXPECT_EQ(read(*published), "code");
  write("my header.h", "2");
  EXPECT_EQ(cache->find("key"), std::nullopt);
  const auto again = cache->publish("key", write("built.so", "new code"), {header});
  ASSERT_TRUE(again.ok());
  EXPECT_NE(*again, *published) << "a process may still run the old one";
  fs::remove(header);
  EXPECT_EQ(cache->find("key"), std::nullopt);
}

}  // namespace
}  // namespace vortex::toolchain
