// A grammar of any kind (the first byte says which): compile it, then follow tokens that it allows.
#include <chrono>
#include <nlohmann/json.hpp>

#include "fuzz/fuzz_target.h"
#include "grammar/grammar.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer.h"

namespace vortex::fuzz {
namespace {

using grammar::GrammarSource;
using Kind = GrammarSource::Kind;

constexpr int kSteps = 40;

// Every byte is a token, so are a few words; the last one ends texts.
std::unique_ptr<text::Tokenizer> small_tokenizer() {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) vocab.tokens.emplace_back(text::byte_character(static_cast<uint8_t>(byte)));
  for (const char* word : {"\":", "{\"", "true", "null", "ab", "aaaa", "}}", "],[", "12", "-1"}) {
    vocab.tokens.emplace_back(word);
  }
  vocab.token_types.assign(vocab.tokens.size(), 1);
  vocab.eos = static_cast<int32_t>(vocab.tokens.size());
  vocab.tokens.emplace_back("<end>");
  vocab.token_types.push_back(3);
  return text::Tokenizer::from_gguf(vocab).value();
}

GrammarSource source_of(std::string_view input) {
  if (input.empty()) return {};
  const auto kind = static_cast<Kind>(static_cast<uint8_t>(input[0]) % 5);
  GrammarSource source{kind, std::string(input.substr(1)), {}};
  for (size_t begin = 1; kind == Kind::kChoice && begin <= input.size();) {
    const size_t end = std::min(input.find('\n', begin), input.size());
    source.choices.emplace_back(input.substr(begin, end - begin));
    begin = end + 1;
  }
  return source;
}

// The mask and accept() say the same, and a matcher that is not at its end can go on or has given up for good.
void follow(grammar::GrammarMatcher matcher, int64_t vocab_size, size_t seed) {
  std::vector<uint32_t> mask((vocab_size + 31) / 32);
  for (int step = 0; step < kSteps && matcher.allowed(mask); ++step) {
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < vocab_size; ++token) {
      const bool listed = mask[token / 32] >> (token % 32) & 1;
      if (listed) allowed.push_back(token);
      if (!listed && token % 16 == step % 16) VORTEX_CHECK(!grammar::GrammarMatcher(matcher).accept(token));
    }
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    VORTEX_CHECK(matcher.accept(allowed[(seed >> 33) % allowed.size()]), "a token of the mask is refused");
  }
}

std::string with_kind(Kind kind, std::string_view text) {
  return std::string(1, static_cast<char>(kind)) + std::string(text);
}

}  // namespace

std::string run_target(std::span<const std::byte> input) {
  static const auto tokenizer = small_tokenizer();
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  grammar::GrammarCompiler compiler(*tokenizer, tokenizer->end_ids(), tokenizer->vocab_size() + 3);
  const auto begin = std::chrono::steady_clock::now();
  const auto compiled = compiler.compile(source_of(text));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  VORTEX_CHECK(took.count() < 20, "compiling took {:.1f} s", took.count());  // sanitizers: tenfold and more
  if (!compiled.ok()) {
    VORTEX_CHECK(compiled.error().code == ErrorCode::kInvalidArgument);
    return compiled.error().message;
  }
  follow(grammar::GrammarMatcher(*compiled), tokenizer->vocab_size() + 3, input.size());
  return "compiled " + std::to_string(static_cast<int>(source_of(text).kind));
}

std::vector<std::string> seeds() {
  return {
      with_kind(Kind::kJsonObject, ""),
      with_kind(Kind::kChoice, "yes\nno\nyes, but"),
      with_kind(Kind::kRegex, "^(?:[a-z]+|\\d{2,4}|(?<x>[^\\s,]*))(-\\w\\x41)?.$"),
      with_kind(Kind::kGbnf,
                "root ::= (item \",\"){1,3} item # list\nitem ::= [a-z]+ | \"[\" root \"]\" | \"\\u00e9\" .?\n"),
      with_kind(
          Kind::kJsonSchema,
          R"({"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":120},"b":{"enum":[1,"x"]},)"
          R"("c":{"$ref":"#/$defs/d"}},"required":["a"],"additionalProperties":{"type":"number","minimum":0.5},)"
          R"("$defs":{"d":{"type":"array","items":{"$ref":"#/$defs/d"},"maxItems":3}}})"),
      with_kind(Kind::kJsonSchema,
                R"({"allOf":[{"type":["string","null"],"minLength":1},{"maxLength":4}],"title":"t"})"),
      with_kind(Kind::kJsonSchema,
                R"({"anyOf":[{"pattern":"^a+\"b"},{"format":"date"},{"const":{"k":[null,true,-1.5e3]}},)"
                R"({"type":"array","prefixItems":[{"type":"boolean"}],"items":{"type":"string"},"minItems":2}]})"),
  };
}

}  // namespace vortex::fuzz
