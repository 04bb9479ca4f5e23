#include "loader/hub/zip_reader.h"

#include <gmock/gmock.h>

#include "loader/hub/test_support.h"

namespace vortex::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Made by Python's zipfile: "a.txt" stored ("stored text"), "dir/b.txt" deflated (100 times "deflate ").
const std::string kArchive = std::string(VORTEX_SOURCE_DIR) + "/tests/data/hub/two_members.zip";
constexpr uint32_t kCentral = 0x02014b50;

std::string deflated_text() {
  std::string out;
  for (int i = 0; i < 100; ++i) out += "deflate ";
  return out;
}

class ZipReaderTest : public ::testing::Test {
 protected:
  Result<std::string> extract(const std::string& name, uint64_t max_bytes = 1 << 20) {
    write_text(path_, bytes_);
    VORTEX_ASSIGN_OR_RETURN(const ZipReader zip, ZipReader::open(path_));
    std::string out;
    const auto append = [&](std::string_view piece) {
      out += piece;
      return Status();
    };
    VORTEX_RETURN_IF_ERROR(zip.extract(name, max_bytes, append));
    return out;
  }
  std::string message(const std::string& name, uint64_t max_bytes = 1 << 20) {
    const auto got = extract(name, max_bytes);
    return got.ok() ? "no error" : got.error().message;
  }
  /// Offset of the `index`th directory entry.
  size_t central(int index) const {
    const std::string signature(reinterpret_cast<const char*>(&kCentral), 4);
    size_t at = bytes_.find(signature);
    for (int i = 0; i < index; ++i) at = bytes_.find(signature, at + 1);
    return at;
  }
  void patch(size_t offset, const std::string& with) { bytes_.replace(offset, with.size(), with); }

  TempFolder folder_;
  fs::path path_ = folder_.path() / "x.zip";
  std::string bytes_ = read_text(kArchive);
};

TEST_F(ZipReaderTest, ReadsStoredAndDeflatedMembers) {
  EXPECT_EQ(*extract("a.txt"), "stored text");
  EXPECT_EQ(*extract("dir/b.txt"), deflated_text());
  EXPECT_THAT(message("none"), HasSubstr("holds no none"));
}

TEST_F(ZipReaderTest, HoldsTheCallersLimit) {
  EXPECT_THAT(message("dir/b.txt", 799), HasSubstr("has 800 bytes, at most 799"));
}

TEST_F(ZipReaderTest, EveryTruncationIsAnError) {
  const std::string whole = bytes_;
  for (size_t size = 0; size < whole.size(); ++size) {
    bytes_ = whole.substr(0, size);
    EXPECT_FALSE(extract("dir/b.txt").ok()) << size;
  }
}

TEST_F(ZipReaderTest, EveryFlippedByteIsAnErrorOrTheSameText) {
  const std::string whole = bytes_;
  for (size_t at = 0; at < whole.size(); ++at) {
    bytes_ = whole;
    bytes_[at] = static_cast<char>(bytes_[at] ^ 0xff);
    const auto got = extract("dir/b.txt");
    EXPECT_TRUE(!got.ok() || *got == deflated_text()) << at;
  }
}

TEST_F(ZipReaderTest, LyingSizesAreCaught) {
  const std::string whole = bytes_;
  patch(central(1) + 24, std::string("\x10\x00\x00\x00", 4));
  EXPECT_THAT(message("dir/b.txt"), HasSubstr("longer than the directory says"));
  bytes_ = whole;
  patch(central(1) + 24, std::string("\x21\x03\x00\x00", 4));
  EXPECT_THAT(message("dir/b.txt"), HasSubstr("shorter than the directory says"));
  bytes_ = whole;
  patch(central(0) + 20, std::string("\xff\xff\xff\xff", 4));
  EXPECT_THAT(message("a.txt"), HasSubstr("lies outside of the file"));
  bytes_ = whole;
  patch(central(1) + 20, std::string("\x04\x00\x00\x00", 4));
  EXPECT_THAT(message("dir/b.txt"), HasSubstr("ends too early"));
}

TEST_F(ZipReaderTest, DamageIsNamed) {
  const std::string whole = bytes_;
  patch(bytes_.find("stored text"), "Stored");
  EXPECT_THAT(message("a.txt"), HasSubstr("fails its CRC"));
  bytes_ = whole;
  patch(central(0) + 8, std::string("\x01\x00", 2));
  EXPECT_THAT(message("a.txt"), HasSubstr("encrypted"));
  bytes_ = whole;
  patch(central(0) + 10, std::string("\x0c\x00", 2));
  EXPECT_THAT(message("a.txt"), HasSubstr("packed by method 12"));
  bytes_ = whole;
  patch(central(1), "XX");
  EXPECT_THAT(message("a.txt"), HasSubstr("entry 2 of 2 is damaged"));
  bytes_ = whole;
  patch(bytes_.size() - 6, std::string("\xff\xff\xff\xff", 4));
  EXPECT_THAT(message("a.txt"), HasSubstr("ZIP64"));
}

}  // namespace
}  // namespace vortex::hub
