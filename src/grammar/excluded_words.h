// Texts that are none of a list.
#pragma once

#include <string>
#include <vector>

#include "grammar/rules.h"

namespace vortex::grammar {

/// Characters of `alphabet`, any number of them, then `end`; the characters together are none of `words`. Of a word
/// longer than 64 characters, all texts that begin with its first 64 are left out.
ExprId excluded_words(RuleSet& rules, const CharClass& alphabet, const std::vector<std::string>& words, ExprId end);

}  // namespace vortex::grammar
