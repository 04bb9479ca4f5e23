// TokenStream: a cursor over the tokens of a template, with the bound on nesting.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/fault.h"
#include "text/jinja/lexer.h"

namespace vortex::text::jinja {

// Bounds the recursion of the parser, the interpreter and the destructors.
inline constexpr int kMaxNesting = 64;

inline std::string quoted(std::string_view text) { return fmt::format("'{}'", text); }

inline std::string describe(const Token& token) {
  switch (token.type) {
    case Token::kEof:
      return "the end of the template";
    case Token::kBlockEnd:
      return "'%}'";
    case Token::kVariableEnd:
      return "'}}'";
    case Token::kString:
      return "a string";
    default:
      return quoted(token.text);
  }
}

class TokenStream {
 protected:
  explicit TokenStream(std::string_view source) : tokens_(tokenize(source)) {}

  using Names = std::initializer_list<std::string_view>;

  const Token& current() const { return tokens_[pos_]; }
  const Token& look_ahead() const { return tokens_[std::min(pos_ + 1, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[pos_ + 1 < tokens_.size() ? pos_++ : pos_]; }

  bool accept_operator(std::string_view symbol) {
    if (!current().is_operator(symbol)) return false;
    next();
    return true;
  }
  bool accept_name(std::string_view name) {
    if (!current().is_name(name)) return false;
    next();
    return true;
  }
  bool at_name(Names names) const {
    for (const std::string_view name : names) {
      if (current().is_name(name)) return true;
    }
    return false;
  }
  [[noreturn]] void unexpected(std::string_view wanted) const {
    fail_at(current().line, "expected {}, found {}", wanted, describe(current()));
  }
  void expect_operator(std::string_view symbol) {
    if (!accept_operator(symbol)) unexpected(quoted(symbol));
  }
  void expect_word(std::string_view name) {
    if (!accept_name(name)) unexpected(quoted(name));
  }
  std::string expect_name() {
    if (current().type != Token::kName) unexpected("a name");
    return next().text;
  }
  void expect(Token::Type type, std::string_view what) {
    if (current().type != type) unexpected(what);
    next();
  }

  class Nesting {
   public:
    explicit Nesting(TokenStream& stream) : stream_(stream) {
      if (++stream_.nesting_ > kMaxNesting) {
        const int line = stream_.current().line;
        throw Fault{ErrorCode::kInvalidArgument, fmt::format("nested more than {} levels deep", kMaxNesting), "", line};
      }
    }
    ~Nesting() { --stream_.nesting_; }

   private:
    TokenStream& stream_;
  };

 private:
  std::vector<Token> tokens_;
  size_t pos_ = 0;
  int nesting_ = 0;
};

}  // namespace vortex::text::jinja
