#include "base/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <iterator>

namespace vortex {
namespace {

// The digests of FIPS 180-4's examples.
TEST(FilesTest, Sha256) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(FilesTest, AFailedWriteLeavesNothing) {
  const std::filesystem::path folder = testing::TempDir() + fmt::format("vortex_files_{}", getpid());
  std::filesystem::create_directories(folder / "target" / "is a folder");
  EXPECT_FALSE(write_file_atomically(folder / "target", "text").ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vortex
