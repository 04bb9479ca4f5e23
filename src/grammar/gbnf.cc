// GBNF, as llama.cpp writes it:
//
//   rule      = name "::=" choices
//   choices   = sequence { "|" sequence }
//   sequence  = { item [ * | + | ? | {m} | {m,} | {m,n} ] }
//   item      = "text" | [class] | [^class] | . | name | ( choices )
//
// A rule ends with its line; inside parentheses, and after ::= and |, lines do not count. # begins a comment.
#include <unordered_map>
#include <utility>
#include <vector>

#include "grammar/errors.h"
#include "grammar/regex_class.h"
#include "grammar/sources.h"
#include "grammar/text_cursor.h"
#include "text/utf8.h"

namespace vortex::grammar {
namespace {

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  GbnfParser(std::string_view grammar, const Caps& caps) : cursor_(grammar, "grammar"), caps_(caps) {}

  Result<RuleSet> run() {
    rule_named("root");
    skip_space(kLines);
    while (!cursor_.at_end()) VORTEX_RETURN_IF_ERROR(rule());
    for (size_t r = 0; r < rules_.rules().size(); ++r) {
      if (!defined_[r])
        return refused("grammar", fmt::format("the rule \"{}\" is not defined", shortened(rules_.rules()[r].name)));
    }
    return std::move(rules_);
  }

 private:
  enum Space { kInLine, kLines };

  void skip_space(Space space) {
    while (!cursor_.at_end()) {
      const char c = cursor_.peek();
      if (c == '#') {
        while (!cursor_.at_end() && cursor_.peek() != '\n' && cursor_.peek() != '\r') cursor_.skip(1);
      } else if (c == ' ' || c == '\t' || (space == kLines && (c == '\n' || c == '\r'))) {
        cursor_.skip(1);
      } else {
        return;
      }
    }
  }

  Result<std::string> name() {
    std::string out;
    for (; is_name_character(cursor_.peek()); cursor_.skip(1)) out += cursor_.peek();
    if (out.empty()) return cursor_.refused("a rule's name is expected here");
    return out;
  }

  RuleId rule_named(const std::string& name) {
    const auto [it, is_new] = numbers_.try_emplace(name, static_cast<RuleId>(rules_.rules().size()));
    if (is_new) {
      rules_.add_rule(name);
      defined_.push_back(false);
    }
    return it->second;
  }

  Status rule() {
    VORTEX_ASSIGN_OR_RETURN(const std::string own_name, name());
    skip_space(kInLine);
    if (!cursor_.take("::=")) return cursor_.refused("::= is expected here");
    skip_space(kLines);
    const RuleId id = rule_named(own_name);
    if (defined_[id]) return cursor_.refused(fmt::format("the rule \"{}\" is defined twice", shortened(own_name)));
    if (rules_.rules().size() > caps_.rules) return cursor_.refused(fmt::format("more than {} rules", caps_.rules));
    VORTEX_ASSIGN_OR_RETURN(const ExprId body, choices(0));
    rules_.define(id, body);
    defined_[id] = true;
    const char next = cursor_.peek();
    if (!cursor_.at_end() && next != '\n' && next != '\r') return cursor_.refused("a rule must end with its line here");
    skip_space(kLines);
    return {};
  }

  Result<ExprId> choices(int depth) {
    std::vector<ExprId> all;
    while (true) {
      VORTEX_ASSIGN_OR_RETURN(all.emplace_back(), sequence(depth));
      if (!cursor_.take('|')) return rules_.choice(std::move(all));
      skip_space(kLines);
    }
  }

  Result<ExprId> sequence(int depth) {
    const Space space = depth == 0 ? kInLine : kLines;
    std::vector<ExprId> items;
    while (begins_item()) {
      VORTEX_ASSIGN_OR_RETURN(ExprId body, item(depth));
      skip_space(space);
      VORTEX_ASSIGN_OR_RETURN(const auto bounds, quantifier(cursor_));
      if (bounds) body = rules_.repeat(body, bounds->min, bounds->max);
      items.push_back(body);
      skip_space(space);
    }
    return rules_.sequence(std::move(items));
  }

  bool begins_item() const {
    const char c = cursor_.peek();
    return c == '"' || c == '[' || c == '.' || c == '(' || is_name_character(c);
  }

  Result<ExprId> item(int depth) {
    switch (cursor_.peek()) {
      case '"':
        return literal();
      case '[': {
        VORTEX_ASSIGN_OR_RETURN(const CharClass chars, bracket_class(cursor_));
        return rules_.char_class(chars);
      }
      case '.':
        cursor_.skip(1);
        return rules_.char_class(CharClass::any());
      case '(':
        return group(depth);
      default: {
        VORTEX_ASSIGN_OR_RETURN(const std::string called, name());
        return rules_.rule(rule_named(called));
      }
    }
  }

  Result<ExprId> literal() {
    cursor_.skip(1);
    std::string bytes;
    while (!cursor_.take('"')) {
      if (cursor_.at_end()) return cursor_.refused("a \" without its end");
      if (cursor_.peek() != '\\') {
        text::append_utf8(cursor_.take_character(), bytes);
        continue;
      }
      VORTEX_ASSIGN_OR_RETURN(const CharClass chars, escaped_class(cursor_));
      if (chars.ranges().size() != 1 || chars.ranges()[0].first != chars.ranges()[0].last) {
        return cursor_.refused("a class inside a text", "write it in brackets");
      }
      text::append_utf8(chars.ranges()[0].first, bytes);
    }
    return rules_.bytes(std::move(bytes));
  }

  Result<ExprId> group(int depth) {
    if (depth >= caps_.nesting) return cursor_.refused(fmt::format("groups nest deeper than {}", caps_.nesting));
    cursor_.skip(1);
    skip_space(kLines);
    VORTEX_ASSIGN_OR_RETURN(const ExprId body, choices(depth + 1));
    if (!cursor_.take(')')) return cursor_.refused("a ( without its )");
    return body;
  }

  TextCursor cursor_;
  const Caps& caps_;
  RuleSet rules_;
  std::unordered_map<std::string, RuleId> numbers_;
  std::vector<bool> defined_;
};

}  // namespace

Result<RuleSet> rules_of_gbnf(std::string_view grammar, const Caps& caps) { return GbnfParser(grammar, caps).run(); }

}  // namespace vortex::grammar
