#include "server/http/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/http/origin.h"

namespace vortex::server {
namespace {

void nobody(const HttpRequest&, const std::shared_ptr<Responder>&) {}

struct Door {
  explicit Door(HttpOptions the_options = {})
      : options(std::move(the_options)),
        router({{"GET", "/health", Access::kPublic, nobody},
                {"GET", "/v1/models", Access::kUser, nobody},
                {"POST", "/v1/models", Access::kUser, nobody},
                {"POST", "/reset", Access::kAdmin, nobody}}),
        keys(KeyRing::create(options.api_keys, options.admin_keys).value()),
        admission(options, router, keys) {}

  Admission::Verdict judge(const std::string& method, const std::string& path, HeaderList headers = {}) const {
    headers.emplace_back("host", "localhost:30000");
    return admission.judge({.method = method, .path = path, .headers = std::move(headers)}, busy);
  }
  /// 0 where the request is let in.
  int status(const std::string& method, const std::string& path, HeaderList headers = {}) const {
    const auto verdict = judge(method, path, std::move(headers));
    return verdict.refusal ? verdict.refusal->status : 0;
  }

  HttpOptions options;
  Router router;
  KeyRing keys;
  Admission admission;
  std::optional<HttpResponse> busy;
};

HeaderList bearer(const std::string& key) { return {{"authorization", "Bearer " + key}}; }

TEST(Router, FindsExactPathsOnly) {
  const Door door;
  EXPECT_EQ(door.router.find("GET", "/v1/models"), 1u);
  EXPECT_EQ(door.router.find("HEAD", "/v1/models"), 1u);
  EXPECT_EQ(door.router.find("POST", "/v1/models"), 2u);
  for (const char* path : {"/v1/models/", "//v1/models", "/v1/../v1/models", "/v1/%6dodels", "/V1/models", "", "/"}) {
    EXPECT_EQ(door.router.find("GET", path), Router::npos) << path;
    EXPECT_EQ(door.status("GET", path), 404) << path;
  }
}

TEST(Router, WrongMethodNamesTheRightOnes) {
  const auto verdict = Door().judge("DELETE", "/v1/models");
  EXPECT_EQ(verdict.refusal->status, 405);
  EXPECT_THAT(verdict.refusal->headers, testing::Contains(testing::Pair("allow", "GET, HEAD, POST, OPTIONS")));
}

TEST(Admission, WithoutKeysAllButAdminRoutesAreOpen) {
  const Door door;
  EXPECT_EQ(door.status("GET", "/health"), 0);
  EXPECT_EQ(door.status("GET", "/v1/models"), 0);
  EXPECT_EQ(door.status("POST", "/reset"), 404);
  EXPECT_EQ(door.judge("GET", "/v1/models", bearer("whatever")).tenant, "");
}

TEST(Admission, WithKeysOnlyPublicRoutesAreOpen) {
  const Door door({.api_keys = {"user-1", "user-2"}, .admin_keys = {"root-1"}});
  EXPECT_EQ(door.status("GET", "/health"), 0);
  EXPECT_EQ(door.status("GET", "/v1/models"), 401);
  EXPECT_EQ(door.status("GET", "/v1/models", bearer("user-3")), 401);
  EXPECT_EQ(door.status("GET", "/v1/models", bearer("user-1 ")), 0);
  EXPECT_EQ(door.status("GET", "/v1/models", {{"authorization", "bEARER user-2"}}), 0);
  EXPECT_EQ(door.status("GET", "/v1/models", {{"authorization", "Basic user-2"}}), 401);
  EXPECT_EQ(door.status("GET", "/v1/models", {{"authorization", "user-2"}}), 401);
  EXPECT_EQ(door.status("GET", "/v1/models", bearer("")), 401);
  EXPECT_EQ(door.status("POST", "/reset"), 401);
  EXPECT_EQ(door.status("POST", "/reset", bearer("user-1")), 403);
  EXPECT_EQ(door.status("POST", "/reset", bearer("root-1")), 0);
  EXPECT_EQ(door.status("GET", "/v1/models", bearer("root-1")), 0);
}

TEST(Admission, AdminKeyAloneClosesTheUserRoutes) {
  const Door door({.admin_keys = {"root-1"}});
  EXPECT_EQ(door.status("GET", "/v1/models"), 401);
  EXPECT_EQ(door.status("GET", "/v1/models", bearer("root-1")), 0);
}

TEST(Admission, TenantsDifferByKeyAndByProcess) {
  const HttpOptions options{.api_keys = {"user-1", "user-2"}};
  const Door door(options), another(options);
  const std::string first = door.judge("GET", "/v1/models", bearer("user-1")).tenant;
  EXPECT_THAT(first, testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(first, door.judge("GET", "/v1/models", bearer("user-1")).tenant);
  EXPECT_NE(first, door.judge("GET", "/v1/models", bearer("user-2")).tenant);
  EXPECT_NE(first, another.judge("GET", "/v1/models", bearer("user-1")).tenant);
}

TEST(Admission, KeysThatNoClientCanSendAreRefused) {
  for (const char* key : {"", "two words", "line\n", "k\xc3\xa9y"}) {
    const auto ring = KeyRing::create({key}, {});
    ASSERT_FALSE(ring.ok()) << key;
    EXPECT_EQ(ring.error().code, ErrorCode::kConfiguration);
    EXPECT_EQ(ring.error().where, "api-key");
  }
}

TEST(Admission, ForeignHostIsRefusedOnLoopbackOnly) {
  const auto status = [](const std::string& bound, const std::string& host) {
    const Door door({.host = bound});
    const auto verdict =
        door.admission.judge({.method = "GET", .path = "/health", .headers = {{"host", host}}}, std::nullopt);
    return verdict.refusal ? verdict.refusal->status : 0;
  };
  for (const char* host : {"localhost", "LocalHost:30000", "127.0.0.1:1", "127.1.2.3", "[::1]:30000"}) {
    EXPECT_EQ(status("127.0.0.1", host), 0) << host;
  }
  for (const char* host : {"evil.com", "localhost.evil.com:30000", "127.0.0.1.evil.com", "localhost:evil", "128.0.0.1",
                           "[::1", "[::1]evil", "127.0.0.1:", "localhost:123456"}) {
    EXPECT_EQ(status("127.0.0.1", host), 403) << host;
  }
  EXPECT_EQ(status("0.0.0.0", "evil.com"), 0);
}

TEST(Admission, OriginsByExactHost) {
  for (const char* origin :
       {"http://localhost", "https://localhost:8443", "http://127.0.0.1:3000", "http://[::1]:80"}) {
    EXPECT_TRUE(origin_is_allowed(origin, {})) << origin;
  }
  for (const char* origin : {"http://localhost.evil.com", "http://evil.com", "null", "", "localhost",
                             "file://localhost", "http://localhost@evil.com", "http://localhost:80@evil.com",
                             "http://localhost/x", "http://localhost:80:80", "http://"}) {
    EXPECT_FALSE(origin_is_allowed(origin, {})) << origin;
  }
  EXPECT_TRUE(origin_is_allowed("https://ui.example", {"https://ui.example"}));
  EXPECT_FALSE(origin_is_allowed("https://ui.example.evil.com", {"https://ui.example"}));
  EXPECT_TRUE(origin_is_allowed("https://any.example", {"*"}));
}

TEST(Admission, PreflightNeedsNoKeyAndGivesAForeignerNothing) {
  const Door door({.api_keys = {"user-1"}});
  const auto ours = door.judge("OPTIONS", "/v1/models", {{"origin", "http://localhost:3000"}}).refusal;
  EXPECT_EQ(ours->status, 204);
  EXPECT_THAT(ours->headers,
              testing::Contains(testing::Pair("access-control-allow-methods", "GET, HEAD, POST, OPTIONS")));
  const auto theirs = door.judge("OPTIONS", "/v1/models", {{"origin", "http://evil.com"}}).refusal;
  EXPECT_EQ(theirs->headers, (HeaderList{{"allow", "GET, HEAD, POST, OPTIONS"}}));
  EXPECT_EQ(door.status("OPTIONS", "/nothing"), 404);
}

TEST(Admission, ContentEncodingIsRefusedAfterTheKey) {
  const Door door({.api_keys = {"user-1"}});
  EXPECT_EQ(door.status("POST", "/v1/models", {{"content-encoding", "gzip"}}), 401);
  HeaderList headers = bearer("user-1");
  headers.emplace_back("content-encoding", "gzip");
  EXPECT_EQ(door.status("POST", "/v1/models", headers), 415);
  headers.back().second = "identity, gzip";
  EXPECT_EQ(door.status("POST", "/v1/models", headers), 415);
  headers.back().second = "Identity";
  EXPECT_EQ(door.status("POST", "/v1/models", headers), 0);
}

TEST(Admission, ABusyServerKeepsItsPublicRoutes) {
  Door door;
  door.busy = HttpResponse{.status = 503};
  EXPECT_EQ(door.status("GET", "/health"), 0);
  EXPECT_EQ(door.status("GET", "/v1/models"), 503);
  EXPECT_EQ(door.status("GET", "/nothing"), 404);
}

}  // namespace
}  // namespace vortex::server
