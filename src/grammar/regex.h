// Regular expressions, as patterns that match a whole text.
//
//   pattern     = branch { "|" branch }          each branch may begin with ^ and end with $
//   branch      = { atom [ quantifier ] }
//   atom        = character | . | [class] | \escape | (pattern) | (?:pattern) | (?<name>pattern)
//   quantifier  = ( * | + | ? | {m} | {m,} | {m,n} ) [ ? ]    lazy or not, the same texts match
//
// \d \w \s mean ASCII. What asks for more than a regular language (look-around, back references), or differs from
// one dialect to the next, is refused.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "grammar/caps.h"
#include "grammar/rules.h"

namespace vortex::grammar {

struct RegexOptions {
  std::string_view where;  // of the pattern, for messages
  /// Spells the characters of a class; empty: as they are. For texts that stand in a JSON string.
  std::function<ExprId(const CharClass&)> spell = {};
  /// A branch without ^ may begin anywhere in the text, one without $ end anywhere: as JSON schemas mean patterns.
  bool search = false;
};

/// kInvalidArgument with the byte of the pattern.
Result<ExprId> parse_regex(std::string_view pattern, const RegexOptions& options, const Caps& caps, RuleSet& rules);

}  // namespace vortex::grammar
