// What structured output costs a step: mask_bench MODEL [COPIES]. A document is read token by token in the grammar of
// its JSON schema, twice: cold, then as a later request with the same schema. Prints JSON, times in microseconds.
// COPIES > 1 makes the vocabulary that many times larger: each token once more behind another letter.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "engine/text_codec.h"
#include "grammar/grammar.h"
#include "text/byte_alphabet.h"

namespace {

using vortex::grammar::GrammarMatcher;
using vortex::text::Tokenizer;

constexpr const char* kSchema = R"({
  "type": "object",
  "properties": {
    "title": {"type": "string"},
    "summary": {"type": "string", "maxLength": 400},
    "year": {"type": "integer", "minimum": 1900, "maximum": 2100},
    "score": {"type": "number"},
    "status": {"enum": ["draft", "final", "withdrawn"]},
    "authors": {"type": "array", "items": {"$ref": "#/$defs/person"}, "minItems": 1},
    "extra": {"type": "object", "additionalProperties": {"type": "string"}}
  },
  "required": ["title", "summary", "year", "authors"],
  "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"},
    "email": {"type": "string", "pattern": "^[a-z.]+@[a-z]+\\.org$"}, "born": {"type": "string", "format": "date"}},
    "required": ["name"]}}
})";

constexpr const char* kDocument =
    R"({"title": "On the \"reading\" of trees — a survey", "summary": "We look at how trees are read, from the root to )"
    R"(the leaves; and which of the many orders that were tried before keep the readers awake.", "year": 1998, "score": )"
    R"(-12.5e3, "status": "final", "authors": [{"name": "Ana Müller", "email": "ana.m@trees.org", "born": "1961-02-28"}, )"
    R"({"name": "木村 さくら"}], "extra": {"venue": "The 12th forest conference", "pages": "1-17"}})";

double microseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

std::unique_ptr<Tokenizer> larger(const Tokenizer& tokenizer, int copies) {
  vortex::text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (int copy = 0; copy < copies; ++copy) {
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
      std::string piece = copy == 0 ? "" : std::string(1, static_cast<char>('a' + copy));
      for (const char c : tokenizer.token_bytes(id)) piece += vortex::text::byte_character(static_cast<uint8_t>(c));
      vocab.tokens.push_back(std::move(piece));
      vocab.token_types.push_back(tokenizer.is_special(id) ? 3 : 1);
    }
  }
  vocab.eos = tokenizer.eos_id();
  return Tokenizer::from_gguf(vocab).value();
}

nlohmann::json times_of(GrammarMatcher matcher, const std::vector<int32_t>& tokens, int64_t vocab_size) {
  std::vector<uint32_t> mask((vocab_size + 31) / 32);
  std::vector<double> masks, accepts;
  for (const int32_t token : tokens) {
    auto begin = std::chrono::steady_clock::now();
    matcher.allowed(mask);
    masks.push_back(microseconds_since(begin));
    begin = std::chrono::steady_clock::now();
    VORTEX_CHECK(matcher.accept(token), "token {}", token);
    accepts.push_back(microseconds_since(begin));
  }
  VORTEX_CHECK(matcher.must_end(), "the document is not whole");
  double sum = 0;
  for (const double time : masks) sum += time;
  std::sort(masks.begin(), masks.end());
  std::sort(accepts.begin(), accepts.end());
  return {{"allowed_median", masks[masks.size() / 2]},    {"allowed_mean", sum / static_cast<double>(masks.size())},
          {"allowed_p90", masks[masks.size() * 9 / 10]},  {"allowed_worst", masks.back()},
          {"accept_median", accepts[accepts.size() / 2]}, {"accept_worst", accepts.back()}};
}

}  // namespace

int main(int argc, char** argv) {
  const auto files = vortex::ModelFiles::open(argv[1]).value();
  const auto codec = vortex::TextCodec::create(*files).value();
  const auto big = larger(codec->tokenizer(), argc > 2 ? std::atoi(argv[2]) : 1);
  const Tokenizer& tokenizer = argc > 2 ? *big : codec->tokenizer();
  const std::vector<int32_t> tokens = codec->tokenizer().encode(kDocument, vortex::text::SpecialTokens::kIgnore);
  auto begin = std::chrono::steady_clock::now();
  vortex::grammar::GrammarCompiler compiler(tokenizer, tokenizer.end_ids(), tokenizer.vocab_size());
  const double tree_us = microseconds_since(begin);
  begin = std::chrono::steady_clock::now();
  const auto grammar = compiler.compile({vortex::grammar::GrammarSource::Kind::kJsonSchema, kSchema, {}}).value();
  const double compile_us = microseconds_since(begin);
  nlohmann::json out = {{"vocab_size", tokenizer.vocab_size()},
                        {"tokens", tokens.size()},
                        {"tree_us", tree_us},
                        {"compile_us", compile_us}};
  out["first"] = times_of(GrammarMatcher(grammar), tokens, tokenizer.vocab_size());
  out["later"] = times_of(GrammarMatcher(grammar), tokens, tokenizer.vocab_size());
  out["cached_bytes"] = compiler.cached_bytes();
  std::puts(out.dump(2).c_str());
}
