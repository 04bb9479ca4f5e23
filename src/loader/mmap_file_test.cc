#include "loader/mmap_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "loader/testing/model_images.h"

namespace vortex {
namespace {

using ::testing::HasSubstr;

TEST(MappedFile, ShowsTheBytes) {
  const testing::ScratchFolder folder;
  auto file = MappedFile::open(folder.write("x", "hello"));
  ASSERT_TRUE(file.ok());
  (*file)->advise(MappedFile::Advice::kSequential);
  const auto bytes = (*file)->bytes();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), "hello");
}

std::string refusal(const std::string& path) {
  auto file = MappedFile::open(path);
  return file.ok() ? "opened" : file.error().to_string();
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const testing::ScratchFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(refusal(folder.path()), HasSubstr("is a directory, not a file"));
  EXPECT_THAT(refusal(pipe), HasSubstr("pipe: is not a regular file"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("is not a regular file"));
  EXPECT_THAT(refusal(folder.write("empty", "")), HasSubstr("the file is empty"));
  EXPECT_THAT(refusal(folder.path() + "/none"), HasSubstr("none: No such file or directory"));
}

TEST(ReadTextFile, BoundsTheSize) {
  const testing::ScratchFolder folder;
  const std::string path = folder.write("x", "hello");
  EXPECT_EQ(*read_text_file(path, 5), "hello");
  EXPECT_THAT(read_text_file(path, 4).error().message, HasSubstr("has 5 bytes, at most 4 expected"));
}

}  // namespace
}  // namespace vortex
