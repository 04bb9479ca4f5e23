// JsonText: rules for JSON as this project lets it be written.
//
// White space: after { [ and , and before } and ]: nothing, one space, or a line break and up to kMaxIndent spaces;
// after a colon: nothing or one space. None anywhere else, so that no text is white space for ever.
// Numbers: up to kMaxDigits digits before the point, kMaxFraction after it, and an exponent of two digits.
// Strings: escapes are allowed; \u escapes stand for characters, surrogates in pairs.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/rules.h"

namespace vortex::grammar {

class JsonText {
 public:
  static constexpr int kMaxIndent = 32;
  static constexpr int kMaxDigits = 15;  // whole numbers of which a double holds each
  static constexpr int kMaxFraction = 20;

  /// Adds rules to `rules`, which must outlive it, when they are first asked for.
  explicit JsonText(RuleSet& rules) : rules_(rules) {}

  ExprId value();
  ExprId object();
  ExprId array();
  /// Lengths in characters.
  ExprId string(int64_t min_length = 0, int64_t max_length = kUnbounded);
  ExprId number();
  ExprId integer();
  ExprId boolean() { return rules_.words({"true", "false"}); }
  ExprId null() { return rules_.bytes("null"); }

  /// The value itself, its members in their order.
  ExprId constant(const nlohmann::ordered_json& value);
  /// The characters as they stand in a string: those that must be escaped, escaped the shortest way.
  ExprId spelled(const CharClass& chars);

  /// "name": and the value.
  ExprId member(std::string_view name, ExprId value);
  /// A member whose name is none of `names`, and is written without escapes.
  ExprId other_member(const std::vector<std::string>& names, ExprId value);
  /// , and white space.
  ExprId separator();
  /// `inside` in brackets with white space around it; "{" or "[".
  ExprId bracketed(char open, ExprId inside);
  /// From `min` to `max` of `item`, separated.
  ExprId list(ExprId item, int64_t min, int64_t max);

 private:
  ExprId shared(std::string_view name, ExprId (JsonText::*make)());
  ExprId make_space();
  ExprId make_character();
  ExprId make_string();
  ExprId make_number();
  ExprId make_integer();
  ExprId make_value();
  ExprId make_object();
  ExprId make_array();
  ExprId space() { return shared("space", &JsonText::make_space); }
  ExprId digits(int64_t min, int64_t max);
  ExprId escape(char32_t first, char32_t last);

  RuleSet& rules_;
  std::map<std::string, ExprId, std::less<>> shared_;
};

/// A JSON string, quotes included, without escapes that are not needed.
std::string json_quoted(std::string_view text);

}  // namespace vortex::grammar
