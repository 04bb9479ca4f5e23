// Tokens of a template, with the whitespace rules of trim_blocks and lstrip_blocks applied.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vortex::text::jinja {

struct Token {
  enum Type {
    kData,
    kVariableBegin,
    kVariableEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEof
  };
  Type type = kEof;
  std::string text;  // of strings: the value, escapes resolved
  int line = 1;

  bool is_operator(std::string_view symbol) const { return type == kOperator && text == symbol; }
  bool is_name(std::string_view name) const { return type == kName && text == name; }
};

/// The last token is kEof. Throws Fault.
std::vector<Token> tokenize(std::string_view source);

}  // namespace vortex::text::jinja
