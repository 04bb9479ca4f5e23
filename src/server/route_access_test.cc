// The router's own table, row by row: who is let in without a key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api_server.h"
#include "server/http/admission.h"

namespace vortex::server {
namespace {

struct Table {
  explicit Table(HttpOptions the_options)
      : api({.model_names = {"m"}, .tokenizer_info = true}),
        options(std::move(the_options)),
        router(api.routes()),
        keys(KeyRing::create(options.api_keys, options.admin_keys).value()),
        admission(options, router, keys) {}

  // 0 where the row is reached.
  int status(const Route& route, const std::string& key) const {
    HeaderList headers = {{"host", "localhost"}};
    if (!key.empty()) headers.emplace_back("authorization", "Bearer " + key);
    const auto verdict =
        admission.judge({.method = route.method, .path = route.path, .headers = std::move(headers)}, std::nullopt);
    return verdict.refusal ? verdict.refusal->status : 0;
  }

  ApiServer api;
  HttpOptions options;
  Router router;
  KeyRing keys;
  Admission admission;
};

TEST(RouteAccess, EveryRowButThoseOfHealthNeedsAKey) {
  const Table table({.api_keys = {"user"}, .admin_keys = {"admin"}});
  std::vector<std::string> open;
  for (const Route& route : table.router.routes()) {
    const int without = table.status(route, "");
    if (without == 0) open.push_back(route.path);
    EXPECT_EQ(table.status(route, "wrong"), without) << route.path;
    EXPECT_EQ(table.status(route, "admin"), 0) << route.path;
    EXPECT_TRUE(without == 0 || without == 401) << route.path << " " << without;
  }
  EXPECT_GT(table.router.routes().size(), 15u);
  EXPECT_THAT(open, testing::UnorderedElementsAre("/health", "/health/ready", "/health/live"));
}

TEST(RouteAccess, AdminRowsDoNotExistWithoutAnAdminKey) {
  const Table with({.api_keys = {"user"}, .admin_keys = {"admin"}}), without({.api_keys = {"user"}});
  for (const Route& route : with.router.routes()) {
    const bool admin = route.access == Access::kAdmin;
    EXPECT_EQ(with.status(route, "user"), admin ? 403 : 0) << route.path;
    EXPECT_EQ(without.status(route, "user"), admin ? 404 : 0) << route.path;
  }
}

}  // namespace
}  // namespace vortex::server
