// From each kind of source to rules.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/caps.h"
#include "grammar/grammar.h"
#include "grammar/rules.h"

namespace vortex::grammar {

/// kInvalidArgument naming the place in the source.
Result<RuleSet> rules_of(const GrammarSource& source, const Caps& caps);

/// The parts of rules_of().
Result<RuleSet> rules_of_json_schema(std::string_view schema, const Caps& caps);
Result<RuleSet> rules_of_gbnf(std::string_view grammar, const Caps& caps);

}  // namespace vortex::grammar
