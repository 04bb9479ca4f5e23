#include "loader/hub/http_client.h"

#include <gmock/gmock.h>

#include "loader/hub/test_support.h"

namespace vortex::hub {
namespace {

using ::testing::HasSubstr;

constexpr auto kIgnoreProgress = [](int64_t) {};

TEST(HttpClient, GetsUpToTheCap) {
  MockHub hub;
  HttpClient http({});
  const auto whole = http.get({hub.url() + "/bytes/1000", ""}, 1000);
  ASSERT_TRUE(whole.ok()) << whole.error().to_string();
  EXPECT_EQ(whole->status, 200);
  EXPECT_EQ(whole->body, pattern(1000, 0));
  const auto capped = http.get({hub.url() + "/bytes/1001", ""}, 1000);
  ASSERT_FALSE(capped.ok());
  EXPECT_EQ(capped.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(capped.error().message, "answers with more than 1000 bytes");
  EXPECT_THAT(hub.log(), HasSubstr("agent=vortex/"));
}

TEST(HttpClient, RedirectsAreLimited) {
  MockHub hub;
  const auto reply = HttpClient({.max_redirects = 3}).get({hub.url() + "/loop", ""}, 10);
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().message, "redirects more than 3 times");
  EXPECT_EQ(count_of(hub.log(), "GET /loop"), 4U);
}

TEST(HttpClient, TokenStaysWithItsOrigin) {
  MockHub hub;
  HttpClient http({});
  const std::string url = hub.url() + "/org/good/resolve/" + kMockCommit + "/model.safetensors";
  const auto reply = http.get({url, "sesame"}, 1 << 20);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->body, pattern(300000, 1));
  EXPECT_EQ(url_host(reply->url), hub.cdn_host());
  const std::string log = hub.log();
  EXPECT_EQ(count_of(log, "authorization=Bearer sesame"), 1U) << log;
  EXPECT_THAT(log, HasSubstr("cdn GET /org/good/resolve/" + std::string(kMockCommit) +
                             "/model.safetensors?signature=secret authorization=- "));
}

TEST(HttpClient, HeadStopsAtAnotherOrigin) {
  MockHub hub;
  const std::string url = hub.url() + "/org/good/resolve/" + kMockCommit + "/model.safetensors";
  const auto reply = HttpClient({}).head({url, ""});
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->status, 302);
  EXPECT_EQ(reply->header("x-linked-size"), "300000");
  EXPECT_EQ(count_of(hub.log(), "cdn "), 0U);
}

TEST(HttpClient, FileContinuesWhereItStopped) {
  MockHub hub;
  TempFolder folder;
  const ResumableFile file{folder.path() / "part", 300000};
  write_text(file.path, pattern(1234, 1));
  const std::string url = hub.url() + "/org/good/resolve/" + kMockCommit + "/model.safetensors";
  const auto reply = HttpClient({}).get_file({url, ""}, file, kIgnoreProgress);
  ASSERT_TRUE(reply.ok()) << reply.error().to_string();
  EXPECT_EQ(reply->status, 206);
  EXPECT_EQ(read_text(file.path), pattern(300000, 1));
  EXPECT_THAT(hub.log(), HasSubstr("range=bytes=1234-"));
}

TEST(HttpClient, ErrorBodiesDoNotReachTheFile) {
  MockHub hub;
  TempFolder folder;
  const ResumableFile file{folder.path() / "part", 100};
  const auto reply = HttpClient({}).get_file({hub.url() + "/none", ""}, file, kIgnoreProgress);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->status, 404);
  EXPECT_EQ(reply->body, "Entry not found");
  EXPECT_EQ(read_text(file.path), "");
}

TEST(HttpClient, TransportErrorsNameTheHostOnly) {
  const auto reply = HttpClient({.connect_timeout_s = 2}).get({"http://127.0.0.1:1/path?token=x", "sesame"}, 10);
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(reply.error().where, "127.0.0.1:1");
  EXPECT_EQ(reply.error().to_string().find("token"), std::string::npos);
  EXPECT_EQ(reply.error().to_string().find("sesame"), std::string::npos);
  EXPECT_FALSE(HttpClient({}).get({"file:///etc/passwd", ""}, 1000000).ok());
}

TEST(HttpClient, StalledTransfersEnd) {
  MockHub hub;
  const std::string url = hub.url() + "/org/stalls/resolve/" + kMockCommit + "/model.safetensors";
  const auto reply = HttpClient({.stall_timeout_s = 1}).get({url, ""}, 1 << 20);
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(reply.error().message, "no byte for 1 s");
}

TEST(HttpClient, UrlParts) {
  EXPECT_EQ(url_host("https://huggingface.co/a?b"), "huggingface.co");
  EXPECT_EQ(url_host("nothing"), "?");
  EXPECT_EQ(url_encode("refs/pr/1 x", false), "refs%2Fpr%2F1%20x");
  EXPECT_EQ(url_encode("a/b+c", true), "a/b%2Bc");
}

}  // namespace
}  // namespace vortex::hub
