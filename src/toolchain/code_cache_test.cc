#include "toolchain/code_cache.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/// A cache with one entry, to spoil.
class CodeCacheEntryTest : public CodeCacheTest {
 protected:
  fs::path publish(const std::string& content) {
    return cache_.publish(kKey, write("built.so", content), {write("header.h", "1")}).value();
  }
  fs::path list() const { return cache_.folder() / (kKey + ".inputs"); }
  static void set_age(const fs::path& path, std::chrono::hours age) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - age);
  }

  const std::string kKey = std::string(64, 'a');
  CodeCache cache_ = CodeCache::open(folder_ / "cache").value();
};

TEST_F(CodeCacheEntryTest, EveryCutAndEveryFlippedBitIsSeen) {
  const fs::path library = publish("a library of some bytes");
  for (const fs::path& file : {library, list()}) {
    const std::string whole = read(file);
    const auto is_found_as = [&](const std::string& bytes) {
      std::ofstream(file) << bytes;
      return cache_.find(kKey).has_value();
    };
    for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(is_found_as(whole.substr(0, size))) << size;
    for (size_t bit = 0; bit < 8 * whole.size(); bit += 3) {
      std::string flipped = whole;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      EXPECT_FALSE(is_found_as(flipped)) << file << " bit " << bit;
    }
    EXPECT_TRUE(is_found_as(whole));
  }
}

TEST_F(CodeCacheEntryTest, WhatOthersCouldHaveWrittenIsNotFound) {
  const fs::path library = publish("code");
  for (const fs::path& file : {library, list()}) {
    ::chmod(file.c_str(), 0777);
    EXPECT_EQ(cache_.find(kKey), std::nullopt) << file;
    ::chmod(file.c_str(), 0755);
    EXPECT_EQ(cache_.find(kKey), library) << file;
    const fs::path elsewhere = folder_ / "elsewhere";
    fs::rename(file, elsewhere);
    fs::create_symlink(elsewhere, file);
    EXPECT_EQ(cache_.find(kKey), std::nullopt) << "a link may lead to anybody's file";
    fs::remove(file);
    fs::rename(elsewhere, file);
    if (::geteuid() != 0) continue;
    ASSERT_EQ(::chown(file.c_str(), 12345, 12345), 0);
    EXPECT_EQ(cache_.find(kKey), std::nullopt) << file;
    ASSERT_EQ(::chown(file.c_str(), 0, 0), 0);
  }
  EXPECT_EQ(cache_.find(kKey), library);
}

TEST_F(CodeCacheEntryTest, PublishingRemovesWhatIsUnused) {
  const std::chrono::hours month{24 * 31};
  const fs::path old = cache_.publish(std::string(64, 'b'), write("built.so", "old"), {}).value();
  const fs::path killed = cache_.folder() / "vortex-build-abc123", running = cache_.folder() / "vortex-build-def456";
  const fs::path foreign = cache_.folder() / "vortex-build-notes.txt",
                 torn = cache_.folder() / (kKey + ".inputs.77.tmp");
  for (const fs::path& folder : {killed, running}) fs::create_directory(folder);
  std::ofstream(killed / "out.so") << "half";
  for (const fs::path& file : {foreign, torn}) std::ofstream(file) << "x";
  for (const fs::path& file : {old, killed, foreign, torn}) set_age(file, month);
  const fs::path kept = publish("new");
  for (const fs::path& gone : {old, killed, torn}) EXPECT_FALSE(fs::exists(gone)) << gone;
  for (const fs::path& there : {running, foreign, kept}) EXPECT_TRUE(fs::exists(there)) << there;

  set_age(kept, month);
  set_age(list(), month);
  EXPECT_EQ(cache_.find(kKey), kept) << "found is used";
  ASSERT_TRUE(cache_.publish(std::string(64, 'c'), write("built.so", "another"), {}).ok());
  EXPECT_TRUE(fs::exists(kept));
}

TEST_F(CodeCacheEntryTest, OneAtATimeAndTheDeadGiveTheirTurnAway) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t builder = ::fork();
  if (builder == 0) {
    const auto turn = cache_.take_turn(kKey, std::chrono::seconds(1));
    if (::write(ready[1], turn ? "y" : "n", 1) != 1) ::_exit(1);
    ::pause();
  }
  char got = 0;
  ASSERT_EQ(::read(ready[0], &got, 1), 1);
  EXPECT_EQ(got, 'y');
  EXPECT_FALSE(cache_.take_turn(kKey, std::chrono::milliseconds(60)).has_value());
  EXPECT_TRUE(cache_.take_turn(std::string(64, 'b'), std::chrono::milliseconds(0)).has_value()) << "of another key";
  ::kill(builder, SIGKILL);
  EXPECT_TRUE(cache_.take_turn(kKey, std::chrono::seconds(20)).has_value());
  ::waitpid(builder, nullptr, 0);
}

}  // namespace
}  // namespace vortex::toolchain
