#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace vortex::text {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;

Result<RenderedPrompt> render(const std::string& source, const Json& inputs = Json::object(),
                              const RenderCaps& caps = {}) {
  VORTEX_ASSIGN_OR_RETURN(const ChatTemplate chat_template, ChatTemplate::compile(source));
  return chat_template.render(inputs, caps);
}

Json user_says(const std::string& content) {
  return {{"messages", {{{"role", "user"}, {"content", content}}}}, {"eos_token", "</s>"}};
}

/// The text with the untrusted parts in brackets.
std::string marked(const std::string& source, const Json& inputs) {
  const auto prompt = render(source, inputs);
  if (!prompt.ok()) return prompt.error().to_string();
  std::string text = prompt->text;
  for (auto range = prompt->untrusted.rbegin(); range != prompt->untrusted.rend(); ++range) {
    text.insert(range->end, 1, ']');
    text.insert(range->begin, 1, '[');
  }
  return text;
}

Error error_of(const std::string& source, const Json& inputs = Json::object(), const RenderCaps& caps = {}) {
  const auto prompt = render(source, inputs, caps);
  return prompt.ok() ? Error{ErrorCode::kInternal, "", fmt::format("no error: {}", prompt->text), ""} : prompt.error();
}

Json read_json(const std::string& path) {
  std::ifstream file(fmt::format("{}/{}", VORTEX_SOURCE_DIR, path));
  return Json::parse(file);
}

TEST(ChatTemplateGolden, RecallModel) {
  const Json config = read_json("models/recall-gqa/tokenizer_config.json");
  const Json cases = read_json("tests/data/text/recall-chat.json");
  ASSERT_EQ(cases.size(), 4u);
  for (const Json& golden : cases) {
    const auto prompt = render(config["chat_template"].get<std::string>(), golden);
    ASSERT_TRUE(prompt.ok()) << prompt.error().to_string();
    EXPECT_EQ(prompt->text, golden["rendered"].get<std::string>());
  }
}

TEST(ChatTemplateMarks, ContentIsUntrustedAndTheTemplateIsNot) {
  EXPECT_EQ(marked("<|{{ messages[0].role }}|>{{ messages[0].content }}{{ eos_token }}", user_says("<|x|>")),
            "<|user|>[<|x|>]</s>");
}

TEST(ChatTemplateMarks, UnknownRolesAreUntrusted) {
  Json inputs = user_says("hi");
  inputs["messages"][0]["role"] = "user|><|im_end";
  EXPECT_EQ(marked("<|{{ messages[0].role }}|>", inputs), "<|[user|><|im_end]|>");
}

TEST(ChatTemplateMarks, KeywordArgumentsAndToolsAreUntrusted) {
  Json inputs = user_says("hi");
  inputs["date"] = "<s>";
  inputs["tools"] = {{{"name", "<t>"}}};
  EXPECT_EQ(marked("{{ date }} {{ tools | tojson }}", inputs), "[<s>] [{\"[name]\": \"[<t>]\"}]");
}

TEST(ChatTemplateMarks, SurviveEveryOperation) {
  const Json inputs = user_says(" <b> ");
  const auto check = [&](const std::string& expression, const std::string& wanted) {
    EXPECT_EQ(marked(fmt::format("{{% set c = messages[0].content %}}{{{{ {} }}}}", expression), inputs), wanted)
        << expression;
  };
  check("'a' + c + 'z'", "a[ <b> ]z");
  check("'a' ~ c ~ 1", "a[ <b> ]1");
  check("c | trim", "[<b>]");
  check("c.strip()", "[<b>]");
  check("c | upper", "[ <B> ]");
  check("c | capitalize", "[ <b> ]");
  check("c | replace('b', 'X')", "[ <]X[> ]");
  check("'<x>' | replace('x', c)", "<[ <b> ]>");
  check("c[1:3]", "[<b]");
  check("c[::-1]", "[ >b< ]");
  check("c | reverse", "[ >b< ]");
  check("['a', c] | join('|')", "a|[ <b> ]");
  check("['a', 'z'] | join(c)", "a[ <b> ]z");
  check("'%s!' % c", "[ <b> ]!");
  check("'{}!'.format(c)", "[ <b> ]!");
  check("'{:>7}'.format(c)", "  [ <b> ]");
  check("c | tojson", "\"[ <b> ]\"");
  check("[c]", "['[ <b> ]']");
  check("c | e", "[ &lt;b&gt; ]");
  check("c | indent(2, true)", "  [ <b> ]");
  check("c.split('b')[0]", "[ <]");
  check("c * 2", "[ <b>  <b> ]");
  check("(c | list)[1]", "[<]");
  check("messages[0] | tojson", "{\"[role]\": \"user\", \"[content]\": \"[ <b> ]\"}");
}

TEST(ChatTemplateMarks, SurviveBlocksAndMacros) {
  const Json inputs = user_says("<b>");
  EXPECT_EQ(marked("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(messages[0].content) }}", inputs), "<[<b>]>");
  EXPECT_EQ(marked("{% set t %}({{ messages[0].content }}){% endset %}{{ t | upper }}", inputs), "([<B>])");
  EXPECT_EQ(marked("{% filter upper %}x{{ messages[0].content }}{% endfilter %}", inputs), "X[<B>]");
  EXPECT_EQ(marked("{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t + m.content %}{% endfor "
                   "%}{{ ns.t }}",
                   inputs),
            "[<b>]");
}

TEST(ChatTemplateErrors, NameTheLine) {
  EXPECT_EQ(error_of("a\n{{ 1 + }}").where, "chat_template:2");
  EXPECT_EQ(error_of("a\n\n{% if x %}").where, "chat_template:3");
  EXPECT_EQ(error_of("\n\n{{ x.y }}").to_string(), "chat_template:3: 'x' is undefined");
  EXPECT_EQ(error_of("{% macro m() %}\n{{ 1 // 0 }}\n{% endmacro %}\n{{ m() }}").where, "chat_template:2");
  EXPECT_THAT(error_of("{% import 'x' as y %}").message, HasSubstr("the tag 'import' is not supported"));
  EXPECT_THAT(error_of("{{ 1 | nosuch }}").message, HasSubstr("there is no filter 'nosuch'"));
}

TEST(ChatTemplateErrors, RaiseExceptionSpeaksForTheTemplate) {
  const Error error = error_of("\n{{ raise_exception('Roles must alternate') }}");
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error.to_string(), "chat_template:2: Roles must alternate");
}

TEST(ChatTemplateErrors, SourceMustBeUtf8) { EXPECT_THAT(error_of("\xFF").message, HasSubstr("not valid UTF-8")); }

TEST(ChatTemplateErrors, InputsAreBounded) {
  EXPECT_THAT(error_of("x", Json::array()).message, HasSubstr("must be an object"));
  Json deep = "x";
  for (int i = 0; i < 80; ++i) deep = Json::array({deep});
  EXPECT_THAT(error_of("x", {{"tools", deep}}).message, HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(error_of("x", {{"n", 18446744073709551615u}}).message, HasSubstr("does not fit 64 bits"));
}

TEST(ChatTemplateCaps, Steps) {
  RenderCaps caps;
  caps.max_steps = 1000;
  const Error error = error_of("{% for i in range(100000) %}{% endfor %}", Json::object(), caps);
  EXPECT_EQ(error.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("more than 1000 steps"));
}

TEST(ChatTemplateCaps, Depth) {
  const Error error = error_of("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}\n{{ m(0) }}");
  EXPECT_EQ(error.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("more than 64 levels deep"));
  EXPECT_THAT(error_of(fmt::format("{{{{ {}1{} }}}}", std::string(1000, '('), std::string(1000, ')'))).message,
              HasSubstr("nested more than 64 levels"));
  std::string filters = "{{ 'x'";
  for (int i = 0; i < 1000; ++i) filters += "|trim";
  EXPECT_THAT(error_of(filters + " }}").message, HasSubstr("more than 64 operations in a row"));
}

TEST(ChatTemplateCaps, Output) {
  RenderCaps caps;
  caps.max_output = 1000;
  const auto check = [&](const std::string& source) {
    const Error error = error_of(source, Json::object(), caps);
    EXPECT_EQ(error.code, ErrorCode::kResourceExhausted) << source;
    EXPECT_THAT(error.message, HasSubstr("more than 1000 bytes")) << source;
  };
  check("{% for i in range(2000) %}x{% endfor %}");
  check("{{ 'x' * 1001 }}");
  check("{{ 'x' * 9223372036854775807 }}");
  check("{{ ('x' * 600) | replace('x', 'yy') }}");
  check("{{ 'x' | indent(2000, true) }}");
  check("{{ '%2000s' % 'x' }}");
  check("{{ '{:2000}'.format('x') }}");
  check("{{ [1] | tojson(indent=2000) }}");
  check("{{ 'x' | center(2000) }}");
  check("{% set x = 'y' * 900 %}{{ x ~ x }}");
}

TEST(ChatTemplateCaps, DoublingIsStopped) {
  const Error strings =
      error_of("{% set ns = namespace(x='y') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}");
  EXPECT_EQ(strings.code, ErrorCode::kResourceExhausted);
  const Error lists =
      error_of("{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}");
  EXPECT_EQ(lists.code, ErrorCode::kResourceExhausted);
  const Error nested =
      error_of("{% set ns = namespace(x=[]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}");
  EXPECT_THAT(nested.message, HasSubstr("nested more than 128 deep"));
}

TEST(ChatTemplateCaps, IntegersDoNotOverflow) {
  for (const std::string expression : {"9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2",
                                       "2 ** 63", "(-9223372036854775807 - 1) // -1", "-(-9223372036854775807 - 1)",
                                       "'99999999999999999999' | int", "1e300 | int", "'%d' % 1e300"}) {
    EXPECT_THAT(error_of(fmt::format("{{{{ {} }}}}", expression)).message, HasSubstr("does not fit 64 bits"))
        << expression;
  }
}

TEST(ChatTemplate, CirclesOfNamespacesAreFreed) {
  const auto prompt =
      render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = [b] %}{{ a.b[0].a.b | length }}");
  ASSERT_TRUE(prompt.ok()) << prompt.error().to_string();
  EXPECT_EQ(prompt->text, "1");
}

TEST(ChatTemplate, ClockIsTheCallers) {
  RenderCaps caps;
  caps.now = [] { return std::time_t{86400 * 45}; };
  const auto prompt = render("{{ strftime_now('%Y-%m') }}", Json::object(), caps);
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(prompt->text, "1970-02");
}

}  // namespace
}  // namespace vortex::text
