#include "grammar/regex.h"

#include <optional>
#include <utility>
#include <vector>

#include "grammar/errors.h"
#include "grammar/regex_class.h"
#include "grammar/text_cursor.h"

namespace vortex::grammar {
namespace {

class RegexParser {
 public:
  RegexParser(std::string_view pattern, const RegexOptions& options, const Caps& caps, RuleSet& rules)
      : cursor_(pattern, options.where), options_(options), caps_(caps), rules_(rules) {}

  Result<ExprId> run() {
    VORTEX_ASSIGN_OR_RETURN(const ExprId body, pattern(0));
    if (!cursor_.at_end()) return cursor_.refused("a ) without its (", "write \\) for the character");
    return body;
  }

 private:
  Result<ExprId> pattern(int depth) {
    std::vector<ExprId> branches;
    do {
      VORTEX_ASSIGN_OR_RETURN(branches.emplace_back(), branch(depth));
    } while (cursor_.take('|'));
    return rules_.choice(std::move(branches));
  }

  Result<ExprId> branch(int depth) {
    std::vector<ExprId> items;
    const bool outermost = depth == 0;
    const bool from_start = outermost && cursor_.take('^');
    if (outermost && options_.search && !from_start) items.push_back(anything());
    while (!cursor_.at_end() && cursor_.peek() != '|' && cursor_.peek() != ')') {
      if (outermost && cursor_.peek() == '$' && at_branch_end(1)) break;
      VORTEX_ASSIGN_OR_RETURN(items.emplace_back(), item(depth));
    }
    const bool to_end = outermost && cursor_.take('$');
    if (outermost && options_.search && !to_end) items.push_back(anything());
    return rules_.sequence(std::move(items));
  }

  bool at_branch_end(size_t ahead) const { return cursor_.peek(ahead) == '\0' || cursor_.peek(ahead) == '|'; }

  ExprId anything() { return rules_.repeat(spelled(CharClass::any()), 0); }

  Result<ExprId> item(int depth) {
    VORTEX_ASSIGN_OR_RETURN(ExprId body, atom(depth));
    VORTEX_ASSIGN_OR_RETURN(const std::optional<Bounds> bounds, quantifier(cursor_));
    if (!bounds) return body;
    if (cursor_.take('+')) return cursor_.refused("possessive quantifiers are not supported");
    cursor_.take('?');
    body = rules_.repeat(body, bounds->min, bounds->max);
    const char next = cursor_.peek();
    if (next == '*' || next == '+' || next == '?') return cursor_.refused("a quantifier after a quantifier");
    return body;
  }

  Result<ExprId> atom(int depth) {
    switch (cursor_.peek()) {
      case '(':
        return group(depth);
      case '[': {
        VORTEX_ASSIGN_OR_RETURN(const CharClass chars, bracket_class(cursor_));
        return spelled(chars);
      }
      case '.':
        cursor_.skip(1);
        return spelled(CharClass::of('\n').complement());
      case '\\': {
        VORTEX_ASSIGN_OR_RETURN(const CharClass chars, escaped_class(cursor_));
        return spelled(chars);
      }
      case '^':
      case '$':
        return cursor_.refused("^ and $ are supported at the ends of the pattern and of its branches only");
      case '*':
      case '+':
      case '?':
        return cursor_.refused("a quantifier with nothing before it", "write a \\ before it for the character");
      case '{':
        return cursor_.refused("a { that is no quantifier", "write \\{ for the character");
      default:
        return spelled(CharClass::of(cursor_.take_character()));
    }
  }

  Result<ExprId> group(int depth) {
    if (depth >= caps_.nesting) return cursor_.refused(fmt::format("groups nest deeper than {}", caps_.nesting));
    cursor_.skip(1);
    if (cursor_.take('?')) VORTEX_RETURN_IF_ERROR(group_kind());
    VORTEX_ASSIGN_OR_RETURN(const ExprId body, pattern(depth + 1));
    if (!cursor_.take(')')) return cursor_.refused("a ( without its )", "write \\( for the character");
    return body;
  }

  // After "(?": a group that does not capture, or has a name.
  Status group_kind() {
    if (cursor_.take(':')) return {};
    const bool python = cursor_.peek() == 'P' && cursor_.peek(1) == '<';
    const char after = cursor_.peek(python ? 2 : 1);
    if ((python || cursor_.peek() == '<') && after != '=' && after != '!') {
      while (!cursor_.at_end() && cursor_.peek() != '>') cursor_.take_character();
      if (cursor_.take('>')) return {};
    }
    return cursor_.refused("look-around, flags and other (? groups are not supported");
  }

  ExprId spelled(const CharClass& chars) { return options_.spell ? options_.spell(chars) : rules_.char_class(chars); }

  TextCursor cursor_;
  const RegexOptions& options_;
  const Caps& caps_;
  RuleSet& rules_;
};

}  // namespace

Result<ExprId> parse_regex(std::string_view pattern, const RegexOptions& options, const Caps& caps, RuleSet& rules) {
  return RegexParser(pattern, options, caps, rules).run();
}

}  // namespace vortex::grammar
