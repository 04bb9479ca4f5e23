#include "loader/hub/hub_client.h"

#include <gmock/gmock.h>

#include <map>

#include "base/files.h"
#include "loader/hub/test_support.h"

namespace vortex::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class HubClientTest : public ::testing::Test {
 protected:
  Result<std::string> fetch(const std::string& spec) {
    const auto id = parse_repo_id(spec);
    VORTEX_CHECK(id.ok());
    return HubClient(settings_).fetch(*id, [this](const std::string& file, int64_t done, int64_t total) {
      progress_[file] = {done, total};
    });
  }
  Error failure(const std::string& spec) {
    const auto path = fetch(spec);
    EXPECT_FALSE(path.ok()) << spec;
    return path.ok() ? Error{} : path.error();
  }
  fs::path repo(const std::string& name) const { return settings_.hf_cache / ("models--org--" + name); }
  fs::path snapshot(const std::string& name) const { return repo(name) / "snapshots" / kMockCommit; }

  MockHub hub_;
  TempFolder folder_;
  HubSettings settings_ = hub_.settings(folder_.path());
  std::map<std::string, std::pair<int64_t, int64_t>> progress_;
};

TEST_F(HubClientTest, LaysOutTheCacheAsThePythonClientDoes) {
  const auto path = fetch("org/good");
  ASSERT_TRUE(path.ok()) << path.error().to_string();
  EXPECT_EQ(*path, snapshot("good"));
  EXPECT_EQ(read_text(repo("good") / "refs" / "main"), kMockCommit);
  const std::string sum = *sha256_of_file(snapshot("good") / "model.safetensors");
  EXPECT_EQ(fs::read_symlink(snapshot("good") / "model.safetensors"), "../../blobs/" + sum);
  // git hash-object of the file's content.
  EXPECT_EQ(fs::read_symlink(snapshot("good") / "generation_config.json"),
            "../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b");
  EXPECT_EQ(read_text(snapshot("good") / "model.safetensors"), pattern(300000, 1));
  EXPECT_EQ(progress_["model.safetensors"], std::pair(int64_t{300000}, int64_t{300000}));
  EXPECT_FALSE(fs::exists(snapshot("good") / "pytorch_model.bin"));
  EXPECT_FALSE(fs::exists(snapshot("good") / "README.md"));
  EXPECT_TRUE(HfCache(settings_.hf_cache).find(*parse_repo_id("org/good"))->missing.empty());
}

TEST_F(HubClientTest, FetchesEveryShardOfAnIndex) {
  const auto path = fetch("org/sharded@refs/pr/1");
  ASSERT_TRUE(path.ok()) << path.error().to_string();
  EXPECT_EQ(read_text(snapshot("sharded") / "model-00001-of-00002.safetensors"), pattern(120000, 2));
  EXPECT_EQ(read_text(snapshot("sharded") / "model-00002-of-00002.safetensors"), pattern(80000, 3));
  EXPECT_EQ(read_text(repo("sharded") / "refs" / "refs" / "pr" / "1"), kMockCommit);
}

TEST_F(HubClientTest, SecondFetchTransfersNothing) {
  ASSERT_TRUE(fetch("org/good").ok());
  const size_t before = count_of(hub_.log(), "cdn GET");
  ASSERT_TRUE(fetch("org/good").ok());
  EXPECT_EQ(count_of(hub_.log(), "cdn GET"), before);
}

TEST_F(HubClientTest, ResumesAfterDroppedConnections) {
  const auto path = fetch("org/drops");
  ASSERT_TRUE(path.ok()) << path.error().to_string();
  EXPECT_EQ(read_text(snapshot("drops") / "model.safetensors"), pattern(300000, 4));
  const std::string log = hub_.log();
  EXPECT_THAT(log, HasSubstr("range=bytes=150000-"));
  EXPECT_THAT(log, HasSubstr("range=bytes=225000-"));
}

TEST_F(HubClientTest, StartsOverWhereRangesAreIgnored) {
  ASSERT_TRUE(fetch("org/norange").ok());
  EXPECT_EQ(read_text(snapshot("norange") / "model.safetensors"), pattern(300000, 5));
}

TEST_F(HubClientTest, RefusesARangeThatBeginsElsewhere) {
  const Error error = failure("org/badrange");
  EXPECT_EQ(error.code, ErrorCode::kDataLoss);
  EXPECT_THAT(error.message, HasSubstr("answers a range from 150000 with 'bytes 150001-"));
}

TEST_F(HubClientTest, RetriesABusyServer) { EXPECT_TRUE(fetch("org/busy").ok()); }

TEST_F(HubClientTest, ChecksumMismatchLeavesNothing) {
  const Error error = failure("org/badsum");
  EXPECT_EQ(error.code, ErrorCode::kDataLoss);
  EXPECT_THAT(error.message, HasSubstr("has sha256 "));
  EXPECT_FALSE(fs::exists(snapshot("badsum") / "model.safetensors"));
  EXPECT_FALSE(fs::exists(repo("badsum") / "refs"));
  for (const auto& blob : fs::directory_iterator(repo("badsum") / "blobs")) {
    EXPECT_NE(blob.path().extension(), ".incomplete");
  }
}

TEST_F(HubClientTest, SizesAreHeld) {
  EXPECT_THAT(failure("org/longer").message, HasSubstr("sends more than the 300000 bytes announced"));
  EXPECT_THAT(failure("org/short").message, HasSubstr("of 300000 bytes"));
  EXPECT_FALSE(fs::exists(repo("short") / "refs"));
}

TEST_F(HubClientTest, TokenGoesToTheEndpointOnly) {
  settings_.token = "sesame";
  ASSERT_TRUE(fetch("org/private").ok());
  const std::string log = hub_.log();
  EXPECT_GT(count_of(log, "authorization=Bearer sesame"), 3U);
  for (size_t at = log.find("cdn "); at != log.npos; at = log.find("\ncdn ", at + 1)) {
    EXPECT_EQ(log.substr(at + 1, log.find('\n', at + 1) - at).find("sesame"), std::string::npos);
  }
}

TEST_F(HubClientTest, GatedModelsAskForAToken) {
  const Error locked = failure("org/private");
  EXPECT_EQ(locked.code, ErrorCode::kUnavailable);
  EXPECT_THAT(locked.to_string(), HasSubstr("refuses the model (HTTP 401)"));
  EXPECT_THAT(locked.hint, HasSubstr("set HF_TOKEN"));
  settings_.token = "sesame";
  const Error gated = failure("org/gated");
  EXPECT_THAT(gated.message, HasSubstr("(HTTP 403)"));
  EXPECT_THAT(gated.hint, HasSubstr("accept its terms"));
  EXPECT_EQ(gated.to_string().find("sesame"), std::string::npos);
}

TEST_F(HubClientTest, UnknownModelsNameTheNearestCached) {
  EXPECT_EQ(failure("org/nothing").hint, "check the name and the revision");
  ASSERT_TRUE(fetch("org/good").ok());
  const Error error = failure("org/goood");
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_THAT(error.message, HasSubstr("HTTP 404"));
  EXPECT_EQ(error.hint, "in the cache: org/good");
  EXPECT_EQ(failure("org/good@v9").code, ErrorCode::kNotFound);
}

TEST_F(HubClientTest, EvilServersWriteNothingOutside) {
  EXPECT_THAT(failure("org/evilshard").message, HasSubstr("names the file '../../../evil.safetensors'"));
  EXPECT_THAT(failure("org/etag").message, HasSubstr("gives no usable ETag"));
  EXPECT_THAT(failure("org/badsha").message, HasSubstr("is not understood"));
  EXPECT_THAT(failure("org/deep").message, HasSubstr("nests deeper"));
  EXPECT_TRUE(fetch("org/evilnames").ok());
  EXPECT_FALSE(fs::exists(folder_.path() / "escape.gguf"));
}

TEST_F(HubClientTest, DiskSpaceIsAskedBeforeTheFirstByte) {
  const Error error = failure("org/huge");
  EXPECT_EQ(error.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("needs 562949953.4 MB, the disk has"));
  EXPECT_EQ(count_of(hub_.log(), "cdn GET"), 0U);
}

TEST_F(HubClientTest, PickledWeightsAreRefused) {
  const Error error = failure("org/pickled");
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("pickled"));
}

TEST_F(HubClientTest, FetchesOneQuant) {
  const auto middle = fetch("org/quants:Q4_K_M");
  ASSERT_TRUE(middle.ok()) << middle.error().to_string();
  EXPECT_EQ(read_text(*middle), "GGUF q4km");
  const auto split = fetch("org/quants:q8_0");
  ASSERT_TRUE(split.ok()) << split.error().to_string();
  EXPECT_THAT(*split, EndsWith("m-Q8_0/m-Q8_0-00001-of-00002.gguf"));
  EXPECT_EQ(read_text(snapshot("quants") / "m-Q8_0/m-Q8_0-00002-of-00002.gguf"), "GGUF part 2");
  EXPECT_FALSE(fs::exists(snapshot("quants") / "m-Q4_K.gguf"));
  EXPECT_EQ(failure("org/quants").code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(failure("org/quants:Q2_K").hint, HasSubstr("m-Q4_K_M.gguf"));
  EXPECT_EQ(read_text(*fetch("org/onequant")), "GGUF only");
}

TEST_F(HubClientTest, OfflineAsksNobody) {
  settings_.offline = true;
  const Error error = failure("org/good");
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(error.hint, HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_EQ(hub_.log(), "");
}

TEST_F(HubClientTest, TwoProcessesShareOneTransfer) {
  pid_t children[2];
  for (pid_t& child : children) {
    child = ::fork();
    if (child == 0) ::_exit(fetch("org/slow").ok() ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(read_text(snapshot("slow") / "model.safetensors"), pattern(300000, 11));
  EXPECT_EQ(count_of(hub_.log(), "cdn GET"), 1U);
}

}  // namespace
}  // namespace vortex::hub
