#include "loader/hub/hf_cache.h"

#include <gmock/gmock.h>

#include "loader/hub/test_support.h"

namespace vortex::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kOther(40, 'f');

class HfCacheTest : public ::testing::Test {
 protected:
  fs::path repo() const { return root_ / "models--org--m"; }
  fs::path snapshot(const std::string& commit = kMockCommit) const { return repo() / "snapshots" / commit; }
  void add_blob(const std::string& file, const std::string& blob, const std::string& text) {
    write_text(repo() / "blobs" / blob, text);
    fs::create_directories(snapshot());
    fs::create_symlink("../../blobs/" + blob, snapshot() / file);
  }
  Result<Snapshot> find(const std::string& spec) { return HfCache(root_).find(*parse_repo_id(spec)); }

  TempFolder folder_;
  fs::path root_ = folder_.path() / "hub";
};

TEST_F(HfCacheTest, RevisionLeadsThroughRefs) {
  add_blob("config.json", "aa", "{}");
  add_blob("model.safetensors", "bb", "weights");
  write_text(snapshot(kOther) / "config.json", "{}");
  write_text(repo() / "refs" / "main", kMockCommit);
  const auto found = find("org/m");
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_EQ(found->commit, kMockCommit);
  EXPECT_EQ(found->model, snapshot());
  EXPECT_TRUE(found->missing.empty());
  EXPECT_EQ(tree_bytes(found->folder), 9);
  EXPECT_TRUE(find(std::string("org/m@") + kMockCommit).ok());
  EXPECT_THAT(HfCache(root_).names(), ElementsAre("org/m"));
}

TEST_F(HfCacheTest, NeverTakesASnapshotThatNobodyNamed) {
  add_blob("config.json", "aa", "{}");
  add_blob("model.safetensors", "bb", "weights");
  const auto found = find("org/m");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(find("org/m@" + kOther).error().code, ErrorCode::kNotFound);
}

TEST_F(HfCacheTest, PartialSnapshotsSayWhatIsMissing) {
  write_text(repo() / "refs" / "main", kMockCommit);
  add_blob("model.safetensors.index.json", "cc", R"({"weight_map": {"a": "s1.safetensors", "b": "s2.safetensors"}})");
  add_blob("s1.safetensors", "dd", "x");
  fs::create_symlink("../../blobs/gone", snapshot() / "s2.safetensors");
  const auto found = find("org/m");
  ASSERT_TRUE(found.ok());
  EXPECT_THAT(found->missing, ElementsAre("config.json", "s2.safetensors"));
}

TEST_F(HfCacheTest, FollowsTwoLevelsOfLinksInsideTheCache) {
  write_text(repo() / "refs" / "main", kMockCommit);
  add_blob("config.json", "aa", "{}");
  write_text(root_ / "blobs" / "xe" / "xet", "shared");
  fs::create_symlink("../../blobs/xe/xet", repo() / "blobs" / "bb");
  fs::create_symlink("../../blobs/bb", snapshot() / "model.safetensors");
  const auto found = find("org/m");
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_TRUE(found->missing.empty());
  fs::create_symlink("xet", root_ / "blobs" / "xe" / "third");
  fs::remove(repo() / "blobs" / "bb");
  fs::create_symlink("../../blobs/xe/third", repo() / "blobs" / "bb");
  const auto deep = find("org/m");
  ASSERT_FALSE(deep.ok());
  EXPECT_THAT(deep.error().message, HasSubstr("more than 2 links"));
}

TEST_F(HfCacheTest, LinksThatLeaveTheCacheAreRefused) {
  write_text(repo() / "refs" / "main", kMockCommit);
  add_blob("config.json", "aa", "{}");
  write_text(folder_.path() / "outside", "secret");
  fs::create_symlink(folder_.path() / "outside", snapshot() / "model.safetensors");
  const auto found = find("org/m");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kDataLoss);
  EXPECT_THAT(found.error().message, HasSubstr("leads out of the cache"));
  fs::remove(snapshot() / "model.safetensors");
  add_blob("model.safetensors", "bb", "weights");
  ASSERT_TRUE(find("org/m").ok());
  fs::create_symlink(folder_.path() / "outside", snapshot() / "tokenizer_config.json");
  EXPECT_THAT(find("org/m").error().message, HasSubstr("leads out of the cache")) << "companions too";
}

TEST_F(HfCacheTest, EvilReferencesAndIndexesAreRefused) {
  write_text(repo() / "refs" / "main", "../../../etc");
  const auto reference = find("org/m");
  ASSERT_FALSE(reference.ok());
  EXPECT_THAT(reference.error().message, HasSubstr("holds no commit"));
  write_text(repo() / "refs" / "main", kMockCommit);
  add_blob("model.safetensors.index.json", "cc", R"({"weight_map": {"a": "../../up"}})");
  const auto index = find("org/m");
  ASSERT_FALSE(index.ok());
  EXPECT_THAT(index.error().message, HasSubstr("names the file '../../up'"));
}

TEST_F(HfCacheTest, FindsTheGgufOfAQuant) {
  write_text(repo() / "refs" / "main", kMockCommit);
  add_blob("m-Q4_0.gguf", "aa", "GGUF");
  EXPECT_EQ(find("org/m")->model, snapshot() / "m-Q4_0.gguf");
  EXPECT_EQ(find("org/m:q4_0")->model, snapshot() / "m-Q4_0.gguf");
  EXPECT_EQ(find("org/m:Q8_0").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace vortex::hub
