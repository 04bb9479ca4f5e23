// Compiles grammars for the differential tests: one JSON object a line in, one a line out.
//   in:  {"kind", "text", "choices", "texts": [..], "generate": count, "seed": number}
//   out: {"error", "where"}, or {"accepted": [bool], "generated": [text], "unfinished": count}
// Texts are read in their usual tokens and byte by byte; both ways must agree.
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "base/check.h"
#include "grammar/grammar.h"
#include "text/tokenizer.h"

namespace {

using nlohmann::json;
using vortex::grammar::GrammarCompiler;
using vortex::grammar::GrammarMatcher;
using vortex::grammar::GrammarSource;

constexpr int kMaxTokens = 400;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  VORTEX_CHECK(file.good(), "{}", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

GrammarSource source_of(const json& request) {
  using Kind = GrammarSource::Kind;
  const std::map<std::string, Kind> kinds = {{"json_object", Kind::kJsonObject},
                                             {"json_schema", Kind::kJsonSchema},
                                             {"regex", Kind::kRegex},
                                             {"choice", Kind::kChoice},
                                             {"gbnf", Kind::kGbnf}};
  return {kinds.at(request.at("kind")), request.value("text", ""),
          request.value("choices", std::vector<std::string>())};
}

class Checker {
 public:
  explicit Checker(const std::string& folder)
      : tokenizer_(vortex::text::Tokenizer::from_json(read_file(folder + "/tokenizer.json"),
                                                      read_file(folder + "/tokenizer_config.json"))
                       .value()),
        compiler_(*tokenizer_, tokenizer_->end_ids(), tokenizer_->vocab_size()) {
    for (int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
      const std::string_view bytes = tokenizer_->token_bytes(id);
      if (bytes.size() == 1 && !tokenizer_->is_special(id)) byte_tokens_[static_cast<uint8_t>(bytes[0])] = id;
    }
  }

  json answer(const json& request) {
    const auto grammar = compiler_.compile(source_of(request));
    if (!grammar.ok()) return {{"error", grammar.error().message}, {"where", grammar.error().where}};
    json out = {{"accepted", json::array()}, {"generated", json::array()}, {"unfinished", 0}};
    for (const std::string text : request.value("texts", json::array())) {
      const bool accepted =
          accepts(GrammarMatcher(*grammar), tokenizer_->encode(text, vortex::text::SpecialTokens::kIgnore));
      VORTEX_CHECK(accepted == accepts(GrammarMatcher(*grammar), bytes_of(text)), "by bytes otherwise: {}", text);
      out["accepted"].push_back(accepted);
    }
    std::mt19937 random(request.value("seed", 1u));
    for (int i = 0; i < request.value("generate", 0); ++i) {
      const auto text = generate(GrammarMatcher(*grammar), random);
      if (text) {
        out["generated"].push_back(*text);
      } else {
        out["unfinished"] = out["unfinished"].get<int>() + 1;
      }
    }
    return out;
  }

 private:
  std::vector<int32_t> bytes_of(const std::string& text) const {
    std::vector<int32_t> tokens;
    for (const char c : text) tokens.push_back(byte_tokens_.at(static_cast<uint8_t>(c)));
    return tokens;
  }

  // The mask must say the same as accept().
  bool accepts(GrammarMatcher matcher, const std::vector<int32_t>& tokens) {
    for (const int32_t token : tokens) {
      std::vector<uint32_t> mask = allowed(matcher);
      const bool listed = mask[token / 32] >> (token % 32) & 1;
      VORTEX_CHECK(listed == matcher.accept(token), "token {} is {}in the mask", token, listed ? "" : "not ");
      if (!listed) return false;
    }
    return matcher.can_end();
  }

  std::vector<uint32_t> allowed(GrammarMatcher& matcher) const {
    std::vector<uint32_t> mask((tokenizer_->vocab_size() + 31) / 32);
    matcher.allowed(mask);
    return mask;
  }

  // Random tokens; brackets and quotes more often than others, so that texts come to an end.
  std::optional<std::string> generate(GrammarMatcher matcher, std::mt19937& random) {
    std::vector<int32_t> text;
    for (int step = 0; step < kMaxTokens; ++step) {
      const std::vector<uint32_t> mask = allowed(matcher);
      std::vector<int32_t> choices, closing;
      for (int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
        if (!(mask[id / 32] >> (id % 32) & 1)) continue;
        choices.push_back(id);
        const std::string_view bytes = tokenizer_->token_bytes(id);
        if (bytes == "\"" || bytes == "}" || bytes == "]" || id == tokenizer_->eos_id()) closing.push_back(id);
      }
      VORTEX_CHECK(!choices.empty(), "no token may follow {}", tokenizer_->decode(text, true));
      const auto& from = !closing.empty() && random() % 3 == 0 ? closing : choices;
      const int32_t token = from[random() % from.size()];
      VORTEX_CHECK(matcher.accept(token), "token {}", token);
      if (token == tokenizer_->eos_id()) return tokenizer_->decode(text, true);
      text.push_back(token);
    }
    return std::nullopt;
  }

  std::unique_ptr<vortex::text::Tokenizer> tokenizer_;
  GrammarCompiler compiler_;
  std::map<uint8_t, int32_t> byte_tokens_;
};

}  // namespace

int main(int, char** argv) {
  std::ios::sync_with_stdio(false);
  Checker checker(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << checker.answer(json::parse(line)).dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
  }
}
