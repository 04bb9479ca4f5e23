#include "grammar/sources.h"

#include "grammar/errors.h"
#include "grammar/json_text.h"
#include "grammar/regex.h"
#include "text/utf8.h"

namespace vortex::grammar {
namespace {

RuleSet rules_of_json_object() {
  RuleSet rules;
  const RuleId root = rules.add_rule("root");
  rules.define(root, JsonText(rules).object());
  return rules;
}

Result<RuleSet> rules_of_regex(std::string_view pattern, const Caps& caps) {
  RuleSet rules;
  const RuleId root = rules.add_rule("regex");
  VORTEX_ASSIGN_OR_RETURN(const ExprId body, parse_regex(pattern, {.where = "regex"}, caps, rules));
  rules.define(root, body);
  return rules;
}

Result<RuleSet> rules_of_choice(const std::vector<std::string>& choices) {
  if (choices.empty()) return refused("choice", "the list is empty", "give at least one string");
  RuleSet rules;
  rules.add_rule("choice", rules.words(choices));
  return rules;
}

Status check_text(std::string_view text, std::string_view where) {
  if (text::is_valid_utf8(text)) return {};
  return refused(where, "is not valid UTF-8");
}

Status check(const GrammarSource& source, const Caps& caps) {
  size_t bytes = source.text.size();
  VORTEX_RETURN_IF_ERROR(check_text(source.text, "grammar"));
  for (const std::string& choice : source.choices) {
    bytes += choice.size() + 1;
    VORTEX_RETURN_IF_ERROR(check_text(choice, "choice"));
  }
  if (bytes <= caps.source_bytes) return {};
  return refused("grammar", fmt::format("has {} bytes, the limit is {}", bytes, caps.source_bytes));
}

}  // namespace

Result<RuleSet> rules_of(const GrammarSource& source, const Caps& caps) {
  VORTEX_RETURN_IF_ERROR(check(source, caps));
  switch (source.kind) {
    case GrammarSource::Kind::kJsonObject:
      return rules_of_json_object();
    case GrammarSource::Kind::kJsonSchema:
      return rules_of_json_schema(source.text, caps);
    case GrammarSource::Kind::kRegex:
      return rules_of_regex(source.text, caps);
    case GrammarSource::Kind::kChoice:
      return rules_of_choice(source.choices);
    case GrammarSource::Kind::kGbnf:
      return rules_of_gbnf(source.text, caps);
  }
  return refused("grammar", "unknown kind");
}

}  // namespace vortex::grammar
