#include "server/request/fields.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "server/fields_markdown.h"
#include "server/openapi.h"
#include "server/request/field_tables.h"

namespace vortex::server {
namespace {

using enum Support;

const Schema kSchema{
    "Test",
    {
        {.name = "count", .types = kInteger, .range = FieldRange{1, 10}},
        {.name = "share", .types = kNumber},
        {.name = "names", .types = kString | kArray, .items = kString, .min_size = 1, .max_size = 3},
        {.name = "mode", .types = kString, .choices = {"a", "b"}},
        {.name = "store", .types = kBool, .support = kOnly, .accepted = {"false"}},
        {.name = "audio", .support = kRefused},
        {.name = "user", .types = kString, .support = kNoEffect},
        {.name = "needed", .types = kBool, .required = true},
    },
};

ApiResult<Fields> check(const char* text, bool strict = false) {
  Json body = Json::parse(text);
  if (!body.contains("needed")) body["needed"] = true;
  return Fields::check(kSchema, std::move(body), strict);
}

void expect_refused(const char* text, const char* param, const char* code) {
  const auto fields = check(text);
  ASSERT_FALSE(fields.ok()) << text;
  EXPECT_EQ(fields.error().status, 400);
  EXPECT_EQ(fields.error().param, param) << text;
  EXPECT_EQ(fields.error().code, code) << text;
}

TEST(Fields, GivesValuesAndFallbacks) {
  const auto fields = check(R"({"count": 3.0, "share": 1, "names": "x", "mode": null, "other": 1})");
  ASSERT_TRUE(fields.ok()) << fields.error().message;
  EXPECT_EQ(fields->integer("count", 7), 3);
  EXPECT_EQ(fields->number("share", 7), 1.0);
  EXPECT_EQ(fields->strings("names"), std::vector<std::string>{"x"});
  EXPECT_FALSE(fields->has("mode"));
  EXPECT_EQ(fields->text("mode", "b"), "b");
  EXPECT_TRUE(fields->flag("needed", false));
  EXPECT_EQ(fields->unknown(), 1);
}

TEST(Fields, NamesWhatIsWrong) {
  expect_refused(R"({"count": "3"})", "count", "invalid_type");
  expect_refused(R"({"count": 1.5})", "count", "invalid_type");
  expect_refused(R"({"count": true})", "count", "invalid_type");
  expect_refused(R"({"count": 9223372036854775808})", "count", "invalid_type");
  expect_refused(R"({"count": 1e300})", "count", "invalid_type");
  expect_refused(R"({"count": 0})", "count", "invalid_value");
  expect_refused(R"({"count": 11})", "count", "invalid_value");
  expect_refused(R"({"share": []})", "share", "invalid_type");
  expect_refused(R"({"names": []})", "names", "invalid_value");
  expect_refused(R"({"names": "four"})", "names", "invalid_value");
  expect_refused(R"({"names": ["a", 1]})", "names", "invalid_type");
  expect_refused(R"({"mode": "c"})", "mode", "invalid_value");
  expect_refused(R"({"store": true})", "store", "unsupported_parameter");
  expect_refused(R"({"audio": {}})", "audio", "unsupported_parameter");
  expect_refused(R"({"needed": null})", "needed", "missing_required_parameter");
}

TEST(Fields, UnknownOnesAreAnErrorWhereTheOperatorSaysSo) {
  const auto fields = check(R"({"cuont": 1})", /*strict=*/true);
  ASSERT_FALSE(fields.ok());
  EXPECT_EQ(fields.error().code, "unknown_parameter");
  EXPECT_EQ(fields.error().param, "cuont");
}

TEST(Fields, TablesNameEachFieldOnceAndExplainIt) {
  for (const Schema* schema : {&chat_schema(), &completion_schema(), &tokenize_schema(), &detokenize_schema()}) {
    std::set<std::string_view> names;
    for (const FieldSpec& field : schema->fields) {
      EXPECT_TRUE(names.insert(field.name).second) << schema->name << " " << field.name;
      EXPECT_TRUE(field.doc.ends_with('.')) << field.name;
      EXPECT_EQ(field.accepted.empty(), field.support != kOnly) << field.name;
    }
  }
}

// VORTEX_UPDATE_DOCS=1 writes the file anew.
TEST(Fields, TheDocumentIsCurrent) {
  const std::string path = VORTEX_SOURCE_DIR "/docs/api-fields.md";
  if (std::getenv("VORTEX_UPDATE_DOCS") != nullptr) std::ofstream(path) << fields_markdown();
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), fields_markdown()) << "run server_test once with VORTEX_UPDATE_DOCS=1";
}

TEST(OpenApi, HasEveryFieldOfTheTables) {
  const Json document = Json::parse(openapi_text("1.2.3"));
  EXPECT_EQ(document["openapi"], "3.1.0");
  for (const Schema* schema : {&chat_schema(), &completion_schema()}) {
    const Json& properties = document["components"]["schemas"][std::string(schema->name)]["properties"];
    EXPECT_EQ(properties.size(), schema->fields.size());
  }
  const Json& chat = document["components"]["schemas"]["CreateChatCompletionRequest"];
  EXPECT_EQ(chat["required"], Json({"messages"}));
  EXPECT_EQ(chat["properties"]["n"]["anyOf"][0]["minimum"], 1.0);
  EXPECT_EQ(chat["properties"]["audio"]["type"], "null");
}

}  // namespace
}  // namespace vortex::server
