#include "loader/hub/settings.h"

#include <map>

#include "loader/hub/test_support.h"

namespace vortex::hub {
namespace {

Result<HubSettings> read(const std::map<std::string, std::string>& variables) {
  return read_hub_settings([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(HubSettings, CacheFollowsTheNearestVariable) {
  EXPECT_EQ(read({{"HOME", "/h"}})->hf_cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(read({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}})->hf_cache, "/x/huggingface/hub");
  EXPECT_EQ(read({{"XDG_CACHE_HOME", "/x"}, {"HF_HOME", "/f"}})->hf_cache, "/f/hub");
  EXPECT_EQ(read({{"HOME", "/h"}, {"HF_HOME", "~/f"}})->hf_cache, "/h/f/hub");
  EXPECT_EQ(read({{"HF_HOME", "/f"}, {"HUGGINGFACE_HUB_CACHE", "/old"}})->hf_cache, "/old");
  EXPECT_EQ(read({{"HF_HUB_CACHE", "/new"}, {"HUGGINGFACE_HUB_CACHE", "/old"}})->hf_cache, "/new");
  EXPECT_EQ(read({{"HF_HUB_CACHE", ""}, {"HF_HOME", "/f"}})->hf_cache, "/f/hub");
  EXPECT_EQ(read({{"XDG_CACHE_HOME", "/x"}})->vortex_cache, "/x/vortex");
  EXPECT_EQ(read({{"VORTEX_CACHE_DIR", "/v"}})->vortex_cache, "/v");
}

TEST(HubSettings, OfflineTakesTheHubsWordsForTrue) {
  for (const char* word : {"1", "ON", "yes", "True"}) EXPECT_TRUE(read({{"HF_HUB_OFFLINE", word}})->offline) << word;
  for (const char* word : {"", "0", "no", "maybe"}) EXPECT_FALSE(read({{"HF_HUB_OFFLINE", word}})->offline) << word;
}

TEST(HubSettings, TokenComesFromVariableThenFile) {
  TempFolder folder;
  write_text(folder.path() / "token", "from-file\n");
  EXPECT_EQ(read({{"HF_HOME", folder.path()}})->token, "from-file");
  EXPECT_EQ(read({{"HF_HOME", folder.path()}, {"HUGGING_FACE_HUB_TOKEN", "older"}})->token, "older");
  EXPECT_EQ(read({{"HF_TOKEN", " newer "}, {"HUGGING_FACE_HUB_TOKEN", "older"}})->token, "newer");
}

TEST(HubSettings, RefusesTokensThatWouldAddHeaders) {
  const auto settings = read({{"HF_TOKEN", "secret\r\nHost: evil"}});
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().code, ErrorCode::kConfiguration);
  EXPECT_EQ(settings.error().to_string().find("secret"), std::string::npos);
}

TEST(HubSettings, EndpointIsHttp) {
  EXPECT_EQ(read({})->endpoint, "https://huggingface.co");
  EXPECT_EQ(read({{"HF_ENDPOINT", "https://mirror.example/hf//"}})->endpoint, "https://mirror.example/hf");
  const auto bad = read({{"HF_ENDPOINT", "ftp://x"}});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().where, "HF_ENDPOINT");
  EXPECT_EQ(bad.error().message, "'ftp://x' is not an http or https address");
}

TEST(HubSettings, TimeoutsAreBounded) {
  EXPECT_EQ(read({{"HF_HUB_DOWNLOAD_TIMEOUT", "77"}})->stall_timeout_s, 77);
  for (const char* text : {"0", "-3", "9999999999", "5x"}) {
    EXPECT_EQ(read({{"HF_HUB_DOWNLOAD_TIMEOUT", text}})->stall_timeout_s, 30) << text;
  }
}

}  // namespace
}  // namespace vortex::hub
