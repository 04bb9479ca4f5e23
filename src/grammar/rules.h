// RuleSet: what every source is turned into. Rules over text, each an expression: the common form of schemas,
// patterns and grammars. Expressions are shared freely; only rules may be recursive.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "grammar/char_class.h"

namespace vortex::grammar {

using ExprId = uint32_t;
using RuleId = uint32_t;

inline constexpr int64_t kUnbounded = -1;

struct Expr {
  enum class Kind {
    kBytes,     // `words[0]`
    kWords,     // one of `words`
    kClass,     // one character of `chars`
    kSequence,  // all children in turn; none: the empty text
    kChoice,    // one of the children; none: no text at all
    kPrefix,    // the first k children in turn, for any k
    kRepeat,    // the child, from `min` to `max` times
    kRule,      // what `rule` matches
  };
  Kind kind = Kind::kSequence;
  std::vector<ExprId> children;
  std::vector<std::string> words;
  CharClass chars;
  int64_t min = 0, max = 0;
  RuleId rule = 0;
};

struct Rule {
  std::string name;  // for messages
  ExprId body = 0;
};

class RuleSet {
 public:
  RuleSet();

  ExprId empty() const { return 0; }
  ExprId bytes(std::string text);
  ExprId words(std::vector<std::string> words);
  ExprId char_class(CharClass chars);
  ExprId sequence(std::vector<ExprId> children);
  ExprId choice(std::vector<ExprId> children);
  ExprId prefix(std::vector<ExprId> children);
  ExprId repeat(ExprId child, int64_t min, int64_t max = kUnbounded);
  ExprId optional(ExprId child) { return repeat(child, 0, 1); }
  ExprId rule(RuleId rule);

  /// The first rule is the root. A rule without a body matches nothing.
  RuleId add_rule(std::string name);
  RuleId add_rule(std::string name, ExprId body);
  void define(RuleId rule, ExprId body) { rules_[rule].body = body; }

  const std::vector<Rule>& rules() const { return rules_; }
  const Expr& expr(ExprId id) const { return exprs_[id]; }

 private:
  ExprId add(Expr expr);

  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
};

}  // namespace vortex::grammar
