#include <gmock/gmock.h>

#include "grammar/grammar_testing.h"
#include "server/parsers/parser_testing.h"

namespace vortex::server {
namespace {

using nlohmann::ordered_json;

const char* const kTools = R"([
  {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties":
    {"city": {"type": "string"}, "next": {"$ref": "#"}, "unit": {"$ref": "#/$defs/unit"}}, "required": ["city"],
    "$defs": {"unit": {"enum": ["C", "F"]}}}}},
  {"type": "function", "function": {"name": "now"}}])";

struct Case {
  bool parallel, allowed;
  const char* text;
};

bool matches(grammar::GrammarMatcher matcher, std::string_view text) {
  for (const char c : text) {
    if (!matcher.accept(static_cast<uint8_t>(c))) return false;
  }
  return matcher.can_end();
}

TEST(ForcedCalls, TheSchemaLetsThroughCallsOfTheToolsOnly) {
  const auto tokenizer = grammar::tokenizer_of(grammar::all_bytes());
  grammar::GrammarCompiler compiler(*tokenizer, {tokenizer->eos_id()}, tokenizer->vocab_size());
  const Case cases[] = {
      {true, true, R"([{"name": "weather", "parameters": {"city": "Bern", "unit": "C"}}])"},
      {true, true,
       R"([{"name": "weather", "parameters": {"city": "Bern", "next": {"city": "Rom"}}}, {"name": "now", "parameters": {}}])"},
      {false, true, R"([{"name": "now", "parameters": {}}])"},
      {false, false, R"([{"name": "now", "parameters": {}}, {"name": "now", "parameters": {}}])"},
      {true, false, "[]"},
      {true, false, R"([{"name": "other", "parameters": {}}])"},
      {true, false, R"([{"name": "now", "parameters": {"city": "Bern"}}])"},
      {true, false, R"([{"name": "weather", "parameters": {"city": "Bern", "unit": "K"}}])"},
      {true, false, R"([{"name": "weather", "parameters": {}}])"},
      {true, false, R"({"name": "now", "parameters": {}})"},
  };
  for (const Case& c : cases) {
    const std::string schema = forced_calls_schema(ordered_json::parse(kTools), c.parallel);
    const auto compiled = compiler.compile({grammar::GrammarSource::Kind::kJsonSchema, schema, {}});
    ASSERT_TRUE(compiled.ok()) << compiled.error().to_string();
    EXPECT_EQ(matches(grammar::GrammarMatcher(*compiled), c.text), c.allowed) << c.text;
  }
}

TEST(ForcedCalls, TheParserReadsWhatTheSchemaLetsThrough) {
  const std::string text =
      "[ {\"name\": \"weather\", \"parameters\": {\"city\": \"Bern\"}},\n  {\"name\": \"now\", \"parameters\": {}}]";
  const std::string expected = "call id weather({\"city\": \"Bern\"})|call id now({})";
  for (size_t i = 0; i <= text.size(); ++i) {
    const auto parser = make_forced_calls_parser([] { return std::string("id"); });
    EXPECT_EQ(shown(*parser, {text.substr(0, i), text.substr(i)}), expected) << i;
  }
  const auto cut = make_forced_calls_parser([] { return std::string("id"); });
  EXPECT_EQ(shown(*cut, {text.substr(0, text.find("Bern"))}), "call id weather({\"city\": \")");
}

}  // namespace
}  // namespace vortex::server
