#include "server/parsers/output_parser.h"

#include <gmock/gmock.h>

#include "server/parsers/parser_testing.h"

namespace vortex::server {
namespace {

using ::testing::HasSubstr;

struct Sample {
  const char* name;
  ParserOptions options;
  std::string text;
  std::string expected;  // as shown() writes it
};

ParserOptions options(std::string tools, std::string reasoning = "", bool inside = false) {
  return {std::move(tools), std::move(reasoning), inside, [] { return std::string("id"); }};
}

std::vector<Sample> samples() {
  const auto hermes = options("hermes");
  const auto llama = options("llama3_json");
  return {
      {"plain", options(""), "Hello <tool_call>", "content=Hello <tool_call>"},
      {"content_only", hermes, "2 < 3 and <tool\n", "content=2 < 3 and <tool\n"},
      {"one_call", hermes,
       "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Zürich\"}}\n</tool_call>",
       "call id get_weather({\"city\": \"Zürich\"})"},
      {"two_calls", hermes,
       "Let me look.\n<tool_call>\n{\"name\": \"a\", \"arguments\": {\"x\": [1, {\"y\": "
       "\"}</tool_call>\"}]}}\n</tool_call>\n"
       "<tool_call>\n{\"name\": \"b\", \"arguments\": {}}\n</tool_call>\n",
       "content=Let me look.|call id a({\"x\": [1, {\"y\": \"}</tool_call>\"}]})|call id b({})"},
      {"text_after", hermes, "<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\nDone.",
       "content=\nDone.|call id a({})"},
      {"no_closing_tag", hermes, "<tool_call>{\"name\":\"a\",\"arguments\":{}} <tool_call>{\"name\":\"b\"}",
       "call id a({})|call id b({})"},
      {"arguments_first", hermes,
       "<tool_call>{\"arguments\": {\"k\": \"\\\"\"}, \"n\": 1.5, \"name\": \"f\"}</tool_call>",
       "call id f({\"k\": \"\\\"\"})"},
      {"no_json", hermes, "a <tool_call>oops</tool_call> b", "content=a <tool_call>oops</tool_call> b"},
      {"no_name", hermes, "<tool_call>{\"arguments\": {}}</tool_call>",
       "content=<tool_call>{\"arguments\": {}}</tool_call>"},
      {"name_no_text", hermes, "<tool_call>{\"name\": 3}</tool_call>", "content=<tool_call>{\"name\": 3}</tool_call>"},
      {"arguments_no_object", hermes, "<tool_call>{\"name\": \"f\", \"arguments\": \"x\"}",
       "content=<tool_call>{\"name\": \"f\", \"arguments\": \"x\"}"},
      {"broken_then_right", hermes, "<tool_call>{]<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>",
       "content=<tool_call>{]|call id a({})"},
      {"cut_before_arguments", hermes, "x <tool_call>\n{\"name\": \"get", "content=x <tool_call>\n{\"name\": \"get"},
      {"cut_in_arguments", hermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"city\": \"Zü",
       "call id f({\"city\": \"Zü)"},
      {"breaks_in_arguments", hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 01, \"b\"}}</tool_call>",
       "content=, \"b\"}}</tool_call>|call id f({\"a\": 01)"},
      {"llama_call", llama, "{\"name\": \"f\", \"parameters\": {\"q\": 1}}", "call id f({\"q\": 1})"},
      {"llama_tag", llama,
       "\n<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}",
       "call id f({})|call id g({})"},
      {"llama_content", llama, " Hello {\"name\": \"f\", \"parameters\": {}}",
       "content= Hello {\"name\": \"f\", \"parameters\": {}}"},
      {"llama_json_answer", llama, "{\"answer\": [4, 2]} ok", "content={\"answer\": [4, 2]} ok"},
      {"llama_python", llama, "<|python_tag|>search.call(\"x\")", "content=<|python_tag|>search.call(\"x\")"},
      {"llama_rest", llama, "{\"name\": \"f\", \"parameters\": {}} done", "content= done|call id f({})"},
      {"think", options("", "qwen3"), "<think>\nFirst,\n\nthen.\n</think>\n\nAnswer\n",
       "reasoning=First,\n\nthen.|content=Answer\n"},
      {"no_think", options("", "qwen3"), "  Answer </think>", "content=  Answer </think>"},
      {"empty_think", options("", "qwen3"), "<think>\n\n</think>\n\nA", "content=A"},
      {"opened_by_the_template", options("", "qwen3", true), "Hmm.\n</think>\nA", "reasoning=Hmm.|content=A"},
      {"opened_twice", options("", "deepseek_r1"), "<think>\nHmm</think>A", "reasoning=Hmm|content=A"},
      {"never_closed", options("", "deepseek_r1"), "Hmm <b> </thi", "reasoning=Hmm <b> </thi"},
      {"think_and_call", options("hermes", "qwen3"),
       "<think>\nI call <tool_call>.\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
       "reasoning=I call <tool_call>.|call id f({})"},
  };
}

class OutputParserSamples : public ::testing::TestWithParam<Sample> {};

std::string parsed(const ParserOptions& options, const std::vector<std::string>& pieces) {
  auto parser = make_output_parser(options);
  EXPECT_TRUE(parser.ok());
  return shown(**parser, pieces);
}

TEST_P(OutputParserSamples, EveryWayToCutGivesTheSame) {
  const Sample& sample = GetParam();
  EXPECT_EQ(parsed(sample.options, {sample.text}), sample.expected);
  std::vector<std::string> bytes;
  for (const char c : sample.text) bytes.emplace_back(1, c);
  EXPECT_EQ(parsed(sample.options, bytes), sample.expected);
  for (size_t i = 0; i <= sample.text.size(); ++i) {
    for (size_t j = i; j <= sample.text.size(); ++j) {
      ASSERT_EQ(parsed(sample.options, {sample.text.substr(0, i), sample.text.substr(i, j - i), sample.text.substr(j)}),
                sample.expected)
          << i << " " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OutputParserSamples, ::testing::ValuesIn(samples()),
                         [](const auto& sample) { return std::string(sample.param.name); });

TEST(OutputParser, ArgumentsComeInParts) {
  auto parser = std::move(make_output_parser(options("hermes"))).value();
  const OutputPieces none = parser->push("<tool_call>{\"name\": \"f\"");
  EXPECT_TRUE(none.content.empty() && none.calls.empty());
  const OutputPieces first = parser->push(", \"arguments\": {\"a\"");
  ASSERT_EQ(first.calls.size(), 1u);
  EXPECT_EQ(first.calls[0].name, "f");
  EXPECT_EQ(first.calls[0].id, "id");
  EXPECT_EQ(first.calls[0].arguments, "{\"a\"");
  const OutputPieces second = parser->push(": 1}}");
  ASSERT_EQ(second.calls.size(), 1u);
  EXPECT_EQ(second.calls[0].index, 0);
  EXPECT_EQ(second.calls[0].name, "");
  EXPECT_EQ(second.calls[0].arguments, ": 1}");
}

TEST(OutputParser, UnknownNamesAreRefused) {
  const auto tools = make_output_parser(options("hermse"));
  ASSERT_FALSE(tools.ok());
  EXPECT_EQ(tools.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(tools.error().to_string(), HasSubstr("hermse"));
  EXPECT_THAT(tools.error().to_string(), HasSubstr("hermes, llama3_json"));
  EXPECT_THAT(make_output_parser(options("", "qwen")).error().to_string(), HasSubstr("qwen3, deepseek_r1"));
}

// 70,000 brackets neither crash nor become a call.
TEST(OutputParser, DeepArgumentsBreakTheCall) {
  auto parser = std::move(make_output_parser(options("hermes"))).value();
  const std::string brackets(70'000, '[');
  const std::string all = "<tool_call>{\"name\": \"f\", \"x\": " + brackets;
  OutputPieces out = parser->push(all);
  out.content += parser->finish().content;
  EXPECT_EQ(out.content, all);
  EXPECT_TRUE(out.calls.empty());
}

}  // namespace
}  // namespace vortex::server
