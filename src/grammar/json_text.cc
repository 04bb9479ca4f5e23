#include "grammar/json_text.h"

#include <fmt/format.h>

#include <utility>

#include "grammar/excluded_words.h"
#include "text/utf8.h"

namespace vortex::grammar {
namespace {

// What a string holds as it is.
const CharClass& plain_characters() {
  static const CharClass kPlain = CharClass{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.complement();
  return kPlain;
}

std::string json_spelling(char32_t code_point) {
  std::string text;
  text::append_utf8(code_point, text);
  const std::string quoted = json_quoted(text);
  return quoted.substr(1, quoted.size() - 2);
}

CharClass hex_digits(char32_t first, char32_t last) {
  CharClass chars;
  for (char32_t digit = first; digit <= last; ++digit) {
    if (digit < 10) {
      chars.add({'0' + digit, '0' + digit});
    } else {
      chars.add({'a' + digit - 10, 'a' + digit - 10});
      chars.add({'A' + digit - 10, 'A' + digit - 10});
    }
  }
  return chars;
}

}  // namespace

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A rule can refer to itself while it is made.
ExprId JsonText::shared(std::string_view name, ExprId (JsonText::*make)()) {
  if (const auto it = shared_.find(name); it != shared_.end()) return it->second;
  const RuleId rule = rules_.add_rule(std::string(name));
  const ExprId call = rules_.rule(rule);
  shared_.emplace(name, call);
  rules_.define(rule, (this->*make)());
  return call;
}

ExprId JsonText::value() { return shared("value", &JsonText::make_value); }
ExprId JsonText::object() { return shared("object", &JsonText::make_object); }
ExprId JsonText::array() { return shared("array", &JsonText::make_array); }
ExprId JsonText::number() { return shared("number", &JsonText::make_number); }
ExprId JsonText::integer() { return shared("integer", &JsonText::make_integer); }

ExprId JsonText::string(int64_t min_length, int64_t max_length) {
  if (min_length == 0 && max_length == kUnbounded) return shared("string", &JsonText::make_string);
  const ExprId character = shared("character", &JsonText::make_character);
  return rules_.sequence({rules_.bytes("\""), rules_.repeat(character, min_length, max_length), rules_.bytes("\"")});
}

ExprId JsonText::make_space() {
  const ExprId line = rules_.sequence({rules_.bytes("\n"), rules_.repeat(rules_.bytes(" "), 0, kMaxIndent)});
  return rules_.choice({rules_.empty(), rules_.bytes(" "), line});
}

// \u and four digits of a number from `first` to `last`, which differ in whole digits.
ExprId JsonText::escape(char32_t first, char32_t last) {
  std::vector<ExprId> parts = {rules_.bytes("\\u")};
  for (int shift = 12; shift >= 0; shift -= 4) {
    parts.push_back(rules_.char_class(hex_digits(first >> shift & 0xF, last >> shift & 0xF)));
  }
  return rules_.sequence(std::move(parts));
}

ExprId JsonText::make_character() {
  const ExprId short_escape = rules_.words({"\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"});
  const ExprId pair = rules_.sequence({escape(0xD800, 0xDBFF), escape(0xDC00, 0xDFFF)});
  return rules_.choice({rules_.char_class(plain_characters()), short_escape, escape(0x0000, 0xCFFF),
                        escape(0xD000, 0xD7FF), escape(0xE000, 0xFFFF), pair});
}

ExprId JsonText::make_string() {
  return rules_.sequence({rules_.bytes("\""), rules_.repeat(make_character(), 0), rules_.bytes("\"")});
}

ExprId JsonText::digits(int64_t min, int64_t max) { return rules_.repeat(rules_.char_class({{'0', '9'}}), min, max); }

ExprId JsonText::make_integer() {
  const ExprId positive = rules_.sequence({rules_.char_class({{'1', '9'}}), digits(0, kMaxDigits - 1)});
  return rules_.sequence({rules_.optional(rules_.bytes("-")), rules_.choice({rules_.bytes("0"), positive})});
}

ExprId JsonText::make_number() {
  const ExprId fraction = rules_.sequence({rules_.bytes("."), digits(1, kMaxFraction)});
  const ExprId sign = rules_.optional(rules_.char_class({{'+', '+'}, {'-', '-'}}));
  const ExprId exponent = rules_.sequence({rules_.char_class({{'E', 'E'}, {'e', 'e'}}), sign, digits(1, 2)});
  return rules_.sequence({make_integer(), rules_.optional(fraction), rules_.optional(exponent)});
}

ExprId JsonText::make_value() {
  return rules_.choice({object(), array(), string(), number(), rules_.words({"true", "false", "null"})});
}

ExprId JsonText::make_object() {
  const ExprId member = rules_.sequence({string(), rules_.bytes(":"), rules_.optional(rules_.bytes(" ")), value()});
  return bracketed('{', list(member, 0, kUnbounded));
}

ExprId JsonText::make_array() { return bracketed('[', list(value(), 0, kUnbounded)); }

ExprId JsonText::separator() { return rules_.sequence({rules_.bytes(","), space()}); }

ExprId JsonText::bracketed(char open, ExprId inside) {
  const char close = open == '{' ? '}' : ']';
  return rules_.sequence(
      {rules_.bytes(std::string(1, open)), space(), inside, space(), rules_.bytes(std::string(1, close))});
}

ExprId JsonText::list(ExprId item, int64_t min, int64_t max) {
  if (max == 0) return rules_.empty();
  const ExprId more = rules_.sequence({separator(), item});
  const int64_t most_more = max == kUnbounded ? kUnbounded : max - 1;
  const ExprId some = rules_.sequence({item, rules_.repeat(more, std::max<int64_t>(min - 1, 0), most_more)});
  return min == 0 ? rules_.optional(some) : some;
}

ExprId JsonText::member(std::string_view name, ExprId value) {
  return rules_.sequence({rules_.bytes(json_quoted(name) + ":"), rules_.optional(rules_.bytes(" ")), value});
}

ExprId JsonText::other_member(const std::vector<std::string>& names, ExprId value) {
  const ExprId name = excluded_words(rules_, plain_characters(), names, rules_.bytes("\""));
  return rules_.sequence({rules_.bytes("\""), name, rules_.bytes(":"), rules_.optional(rules_.bytes(" ")), value});
}

ExprId JsonText::spelled(const CharClass& chars) {
  std::vector<ExprId> ways = {rules_.char_class(chars.intersection(plain_characters()))};
  std::vector<std::string> escapes;
  const CharClass special = chars.without(plain_characters());
  for (const CodePointRange& range : special.ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) escapes.push_back(json_spelling(c));
  }
  if (!escapes.empty()) ways.push_back(rules_.words(std::move(escapes)));
  return rules_.choice(std::move(ways));
}

// Recursion as deep as the value, which the parser caps.
ExprId JsonText::constant(const nlohmann::ordered_json& value) {
  if (!value.is_structured()) {
    return rules_.bytes(value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  std::vector<ExprId> parts;
  for (const auto& [name, item] : value.items()) {
    if (!parts.empty()) parts.push_back(separator());
    parts.push_back(value.is_object() ? member(name, constant(item)) : constant(item));
  }
  return bracketed(value.is_object() ? '{' : '[', rules_.sequence(std::move(parts)));
}

}  // namespace vortex::grammar
