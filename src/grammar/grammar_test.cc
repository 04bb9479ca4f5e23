#include "grammar/grammar.h"

#include <gmock/gmock.h>

#include <chrono>

#include "grammar/grammar_testing.h"
#include "text/testing.h"
#include "text/utf8.h"

namespace vortex::grammar {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = GrammarSource::Kind;

// Ids: the words, then the end token.
struct Rig {
  explicit Rig(const std::vector<std::string>& words, Caps caps = {})
      : tokenizer(tokenizer_of(words)), compiler(*tokenizer, {end()}, vocab_size(), caps) {}

  int32_t end() const { return tokenizer->eos_id(); }
  int64_t vocab_size() const { return tokenizer->vocab_size() + 40; }

  std::vector<int32_t> allowed(GrammarMatcher& matcher) const {
    std::vector<uint32_t> mask((vocab_size() + 31) / 32, 0xFFFFFFFF);
    const bool any = matcher.allowed(mask);
    EXPECT_EQ(any, !tokens_of(mask).empty());
    return tokens_of(mask);
  }

  GrammarMatcher matcher(const GrammarSource& source) {
    auto compiled = compiler.compile(source);
    EXPECT_TRUE(compiled.ok()) << compiled.error().to_string();
    return GrammarMatcher(*compiled);
  }

  std::unique_ptr<text::Tokenizer> tokenizer;
  GrammarCompiler compiler;
};

TEST(Grammar, MasksHoldTheTokensThatMayFollow) {
  Rig rig({"a", "ab", "b", "abc", "c", "ba"});
  GrammarMatcher matcher = rig.matcher({Kind::kRegex, "ab(c|ba)?", {}});
  EXPECT_THAT(rig.allowed(matcher), ElementsAre(0, 1, 3));
  EXPECT_FALSE(matcher.accept(2));
  EXPECT_FALSE(matcher.accept(rig.end()));
  EXPECT_TRUE(matcher.accept(1));
  EXPECT_TRUE(matcher.can_end());
  EXPECT_FALSE(matcher.must_end());
  EXPECT_THAT(rig.allowed(matcher), ElementsAre(2, 4, 5, rig.end()));
  EXPECT_TRUE(matcher.accept(5));
  EXPECT_TRUE(matcher.must_end());
  EXPECT_THAT(rig.allowed(matcher), ElementsAre(rig.end()));
  EXPECT_TRUE(matcher.accept(rig.end()));
  EXPECT_THAT(rig.allowed(matcher), IsEmpty());
  EXPECT_FALSE(matcher.accept(0));
  EXPECT_FALSE(matcher.can_end());
}

TEST(Grammar, TokensBeyondTheTokenizerAndSpecialOnesAreNeverAllowed) {
  Rig rig(all_bytes());
  GrammarMatcher matcher = rig.matcher({Kind::kGbnf, "root ::= .*", {}});
  // All but the bytes that no UTF-8 text begins a character with.
  std::vector<int32_t> expected;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte < 0x80 || (byte >= 0xC2 && byte <= 0xF4)) expected.push_back(byte);
  }
  expected.push_back(rig.end());
  EXPECT_EQ(rig.allowed(matcher), expected);
  EXPECT_FALSE(matcher.accept(rig.end() + 1));
  EXPECT_FALSE(matcher.accept(-1));
}

TEST(Grammar, CharactersAreWholeCodePoints) {
  Rig rig(all_bytes());
  GrammarMatcher matcher = rig.matcher({Kind::kRegex, ".", {}});
  EXPECT_TRUE(matcher.accept(0xED));  // before U+D800
  EXPECT_FALSE(matcher.can_end());
  const auto next = rig.allowed(matcher);
  EXPECT_EQ(next.front(), 0x80);
  EXPECT_EQ(next.back(), 0x9F);  // not into the surrogates
  EXPECT_TRUE(matcher.accept(0x80));
  EXPECT_TRUE(matcher.accept(0xBF));
  EXPECT_TRUE(matcher.must_end());
}

// Short cuts of the walk over the vocabulary against asking for each token by itself.
TEST(Grammar, MasksAgreeWithEachTokenByItself) {
  const auto tokenizer = text::load_tokenizer("models/recall-gqa");
  GrammarCompiler compiler(*tokenizer, tokenizer->end_ids(), tokenizer->vocab_size());
  const std::string schema = R"({"type": "object", "properties": {"a": {"type": "string", "maxLength": 6},
      "b": {"type": "string"}, "c": {"pattern": "^[a-m]+x[^e]*$"}}, "required": ["a", "b", "c"]})";
  const auto compiled = compiler.compile({Kind::kJsonSchema, schema, {}});
  ASSERT_TRUE(compiled.ok()) << compiled.error().to_string();
  GrammarMatcher matcher(*compiled);
  const std::string text = R"({"a": "the\n é", "b": "other words", "c": "amxa b"})";
  for (const int32_t token : tokenizer->encode(text, text::SpecialTokens::kIgnore)) {
    std::vector<uint32_t> mask((tokenizer->vocab_size() + 31) / 32);
    ASSERT_TRUE(matcher.allowed(mask));
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) {
      ASSERT_EQ(mask[id / 32] >> (id % 32) & 1, GrammarMatcher(matcher).accept(id)) << id << " before " << token;
    }
    ASSERT_TRUE(matcher.accept(token)) << token;
  }
  EXPECT_TRUE(matcher.must_end());
}

TEST(Grammar, CopiesAreIndependent) {
  Rig rig({"a", "b"});
  GrammarMatcher one = rig.matcher({Kind::kRegex, "ab", {}});
  ASSERT_TRUE(one.accept(0));
  GrammarMatcher other = one;
  ASSERT_TRUE(one.accept(1));
  EXPECT_TRUE(one.must_end());
  EXPECT_THAT(rig.allowed(other), ElementsAre(1));
}

// Case 36: the vocabulary cannot spell what the grammar asks for.
TEST(Grammar, AGrammarThatNoTokenSatisfiesAllowsNothing) {
  Rig rig({"a", "b"});
  GrammarMatcher matcher = rig.matcher({Kind::kRegex, "\\d+", {}});
  EXPECT_THAT(rig.allowed(matcher), IsEmpty());
  EXPECT_FALSE(matcher.can_end());
  GrammarMatcher later = rig.matcher({Kind::kRegex, "a1", {}});
  ASSERT_TRUE(later.accept(0));
  EXPECT_THAT(rig.allowed(later), IsEmpty());
}

// No prefix that is allowed leads into a corner: a nesting that could not be closed any more is not begun.
TEST(Grammar, NestingStopsWhereItCanStillBeClosed) {
  Caps caps;
  caps.stack_depth = 20;
  Rig rig({"(", ")", "x"}, caps);
  GrammarMatcher matcher = rig.matcher({Kind::kGbnf, "root ::= \"(\" inner \")\"\ninner ::= root | \"x\"", {}});
  int depth = 0;
  while (matcher.accept(0)) ++depth;
  EXPECT_GE(depth, 9);
  EXPECT_LE(depth, 20);
  EXPECT_TRUE(matcher.accept(2));
  for (int i = 0; i < depth; ++i) EXPECT_TRUE(matcher.accept(1)) << i;
  EXPECT_TRUE(matcher.must_end());
}

TEST(Grammar, RightRecursionNeedsNoStack) {
  Rig rig({"a", "b"});
  GrammarMatcher matcher = rig.matcher({Kind::kGbnf, "root ::= \"a\" root | \"b\"", {}});
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(matcher.accept(0)) << i;
  EXPECT_TRUE(matcher.accept(1));
  EXPECT_TRUE(matcher.must_end());
}

// What is remembered is forgotten many times over; the answers stay.
TEST(Grammar, MatchersOutliveWhatIsForgotten) {
  Caps caps;
  caps.runtime_bytes = 20'000;
  Rig rig(all_bytes(), caps);
  GrammarMatcher matcher = rig.matcher({Kind::kJsonObject, "", {}});
  GrammarMatcher waiting = matcher;
  const std::string text = R"({"a": [1, {"b": "c", "d": [true, null]}], "e": -1.5e+10})";
  for (const char c : text) {
    const auto next = rig.allowed(matcher);
    EXPECT_TRUE(std::binary_search(next.begin(), next.end(), c));
    ASSERT_TRUE(matcher.accept(c)) << c;
  }
  EXPECT_TRUE(matcher.must_end());
  EXPECT_THAT(rig.allowed(waiting), ElementsAre('{'));
}

TEST(Grammar, EqualSourcesAreCompiledOnce) {
  Rig rig({"a", "b"});
  const auto first = rig.compiler.compile({Kind::kChoice, "", {"a", "b"}});
  EXPECT_EQ(*first, *rig.compiler.compile({Kind::kChoice, "", {"a", "b"}}));
  EXPECT_NE(*first, *rig.compiler.compile({Kind::kChoice, "", {"ab"}}));
  EXPECT_NE(*first, *rig.compiler.compile({Kind::kRegex, "a|b", {}}));
}

// Case 35.
TEST(Grammar, TenThousandSchemasStayUnderTheCap) {
  Caps caps;
  caps.cache_bytes = 1 << 20;
  Rig rig(all_bytes(), caps);
  for (int i = 0; i < 10'000; ++i) {
    const std::string schema = fmt::format(R"({{"type": "object", "properties": {{"p{}": {{"enum": [{}]}}}}}})", i, i);
    ASSERT_TRUE(rig.compiler.compile({Kind::kJsonSchema, schema, {}}).ok());
    ASSERT_LE(rig.compiler.cached_bytes(), caps.cache_bytes);
  }
  EXPECT_GT(rig.compiler.cached_bytes(), caps.cache_bytes / 2);
}

// A matcher that costs too much ends; it is never let go.
TEST(Grammar, AMaskThatCostsTooMuchAllowsNothing) {
  Caps caps;
  caps.step_work = 50;
  Rig rig(all_bytes(), caps);
  GrammarMatcher matcher = rig.matcher({Kind::kGbnf, "root ::= (\"a\" | [a-c] [^x]{1,30} | .{3,20} \"b\")*", {}});
  for (int i = 0; i < 30 && !rig.allowed(matcher).empty(); ++i) matcher.accept('a');
  EXPECT_THAT(rig.allowed(matcher), IsEmpty());
  EXPECT_FALSE(matcher.accept('a'));
  EXPECT_FALSE(matcher.can_end());
}

// Case 34: what has broken servers before.
struct Hostile {
  const char* name;
  GrammarSource source;
  const char* named;  // in the message
};

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::string rule_chain(int rules) {
  std::string out = "root ::= r0\n";
  for (int i = 0; i < rules; ++i) out += fmt::format("r{} ::= r{}\n", i, i + 1);
  return out + fmt::format("r{} ::= \"x\"\n", rules);
}

std::string laughing_schema(std::string_view keyword) {
  std::string out = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < 25; ++i) {
    out += fmt::format(R"("d{0}": {{"{2}": [{{"$ref": "#/$defs/d{1}"}}, {{"$ref": "#/$defs/d{1}"}}]}},)", i, i + 1,
                       keyword);
  }
  return out + R"("d25": {"type": "object"}}})";
}

std::vector<Hostile> hostile_sources() {
  std::vector<Hostile> out;
  const auto schema = [&](const char* name, std::string text, const char* named) {
    out.push_back({name, {Kind::kJsonSchema, std::move(text), {}}, named});
  };
  const auto gbnf = [&](const char* name, std::string text, const char* named) {
    out.push_back({name, {Kind::kGbnf, std::move(text), {}}, named});
  };
  const auto regex = [&](const char* name, std::string text, const char* named) {
    out.push_back({name, {Kind::kRegex, std::move(text), {}}, named});
  };
  gbnf("deep_gbnf", "root ::= " + repeated("(", 60'000) + "\"x\"" + repeated(")", 60'000), "nest deeper");
  gbnf("rule_chain", rule_chain(5'000), "rules");
  gbnf("nested_repetitions", "root ::= " + repeated("(", 60) + "\"ab\"" + repeated("){999999999}", 60), "states");
  gbnf("self_call", "root ::= root", "no text matches");
  schema("quantified_anchor", R"({"type": "string", "pattern": "^+"})", "quantifier");
  regex("open_groups", "(((", "without its )");
  regex("deep_regex", repeated("(", 100'000), "nest deeper");
  regex("counted_counts", repeated("(", 30) + "ab" + repeated("){1000000}", 30), "states");
  regex("big_alternatives", repeated("aaa[a-z]?|", 24'000) + "b", "states");
  schema("ref_cycle", R"({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})",
         "no text matches");
  schema("ref_to_itself", R"({"$ref": "#"})", "no text matches");
  schema("all_of_cycle", R"({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})", "circle");
  schema("laughs", laughing_schema("allOf"), "more than");
  schema("max_items", R"({"type": "array", "items": {"type": "integer"}, "maxItems": 1000000000})", "states");
  schema("min_length", R"({"type": "string", "minLength": 1000000000})", "states");
  schema("huge_count", R"({"type": "string", "maxLength": 1e999})", "out of range");
  schema("deep_json", repeated("[", 100'000), "nests deeper");
  schema("deep_schema", repeated(R"({"items":)", 60) + "1" + repeated("}", 60), "must be an object");
  schema(
      "many_members",
      R"({"properties": {)" + repeated("\"a\":1,", 1) +
          [] {
            std::string members;
            for (int i = 0; i < 20'000; ++i) members += fmt::format("\"m{}\":1,", i);
            return members;
          }() +
          R"("z": 1}})",
      "members");
  schema(
      "many_optional",
      R"({"properties": {)" +
          [] {
            std::string members;
            for (int i = 0; i < 1'000; ++i)
              members += fmt::format("\"m{}\":{{\"type\":\"string\",\"maxLength\":500}},", i);
            return members;
          }() +
          R"("z": {"type": "null"}}})",
      "states");
  schema("too_long", "{\"title\": \"" + std::string(300'000, 'x') + "\"}", "bytes");
  schema("not_utf8", "{\"title\": \"\xff\"}", "UTF-8");
  schema("no_json", "{\"type\": ", "JSON at byte");
  return out;
}

class HostileGrammar : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileGrammar, IsRefusedSoon) {
  Rig rig(all_bytes());
  const auto begin = std::chrono::steady_clock::now();
  const auto compiled = rig.compiler.compile(GetParam().source);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(compiled.error().to_string(), HasSubstr(GetParam().named));
  EXPECT_LT(compiled.error().to_string().size(), 1000u);
  EXPECT_LT(took.count(), 1.0);
}

INSTANTIATE_TEST_SUITE_P(Case34, HostileGrammar, ::testing::ValuesIn(hostile_sources()),
                         [](const auto& hostile) { return std::string(hostile.param.name); });

// Messages quote names, and names may be as long as the source.
TEST(Grammar, MessagesStayShort) {
  Rig rig(all_bytes());
  std::string name;
  for (int i = 0; i < 20'000; ++i) name += "é";
  const GrammarSource sources[] = {
      {Kind::kJsonSchema, "{\"" + name + "\": 1}", {}},
      {Kind::kJsonSchema, R"({"properties": {")" + name + R"(": {"type": ")" + name + "\"}}}", {}},
      {Kind::kJsonSchema, R"({"$ref": "#/)" + name + "\"}", {}},
      {Kind::kJsonSchema, R"({"type": "string", "format": ")" + name + "\"}", {}},
      {Kind::kJsonSchema, "{\"" + name + "\": 1, \"" + name + "\": 1}", {}},
      {Kind::kGbnf, "root ::= " + std::string(40'000, 'r'), {}},
      {Kind::kGbnf,
       std::string(40'000, 'r') + " ::= " + std::string(40'000, 'r') + "\nroot ::= \"x\"\n" + std::string(40'000, 'r') +
           " ::=",
       {}},
  };
  for (const GrammarSource& source : sources) {
    const auto compiled = rig.compiler.compile(source);
    ASSERT_FALSE(compiled.ok()) << source.text.substr(0, 80);
    EXPECT_LT(compiled.error().to_string().size(), 500u) << source.text.substr(0, 80);
    EXPECT_TRUE(text::is_valid_utf8(compiled.error().to_string()));
  }
}

// Alternatives that refer to one another many times over are linear: each reference is one rule.
TEST(Grammar, SharedReferencesAreNotMultiplied) {
  Rig rig(all_bytes());
  GrammarMatcher matcher = rig.matcher({Kind::kJsonSchema, laughing_schema("anyOf"), {}});
  EXPECT_THAT(rig.allowed(matcher), ElementsAre('{'));
}

TEST(Grammar, WhatNeverEndsIsLeftOut) {
  Rig rig({"a", "b", "x"});
  GrammarMatcher matcher =
      rig.matcher({Kind::kGbnf, "root ::= a | \"b\" c | \"x\"\na ::= d\nd ::= a\nc ::= \"x\" c", {}});
  EXPECT_THAT(rig.allowed(matcher), ElementsAre(2));
}

// Every closing bracket may belong to one of two rules: 2^n ways to read n of them, and one stack.
TEST(Grammar, AmbiguousNestingStaysSmall) {
  Caps caps;
  caps.step_work = 100'000;
  Rig rig({"(", ")", "]"}, caps);
  GrammarMatcher matcher = rig.matcher({Kind::kGbnf, R"~(root ::= "(" root ")" | "(" root "]" | "")~", {}});
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(matcher.accept(0)) << i;
  EXPECT_THAT(rig.allowed(matcher), ElementsAre(0, 1, 2));
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(matcher.accept(1 + i % 2)) << i;
  EXPECT_TRUE(matcher.must_end());
}

}  // namespace
}  // namespace vortex::grammar
