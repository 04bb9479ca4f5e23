#include "grammar/rules.h"

#include <utility>

namespace vortex::grammar {
namespace {

constexpr ExprId kNothing = 1;

}  // namespace

RuleSet::RuleSet() {
  add({.kind = Expr::Kind::kSequence});
  add({.kind = Expr::Kind::kChoice});
}

ExprId RuleSet::add(Expr expr) {
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId RuleSet::bytes(std::string text) {
  if (text.empty()) return empty();
  return add({.kind = Expr::Kind::kBytes, .words = {std::move(text)}});
}

ExprId RuleSet::words(std::vector<std::string> words) {
  return add({.kind = Expr::Kind::kWords, .words = std::move(words)});
}

ExprId RuleSet::char_class(CharClass chars) { return add({.kind = Expr::Kind::kClass, .chars = std::move(chars)}); }

ExprId RuleSet::sequence(std::vector<ExprId> children) {
  if (children.size() == 1) return children[0];
  return add({.kind = Expr::Kind::kSequence, .children = std::move(children)});
}

ExprId RuleSet::choice(std::vector<ExprId> children) {
  if (children.size() == 1) return children[0];
  return add({.kind = Expr::Kind::kChoice, .children = std::move(children)});
}

ExprId RuleSet::prefix(std::vector<ExprId> children) {
  return add({.kind = Expr::Kind::kPrefix, .children = std::move(children)});
}

ExprId RuleSet::repeat(ExprId child, int64_t min, int64_t max) {
  return add({.kind = Expr::Kind::kRepeat, .children = {child}, .min = min, .max = max});
}

ExprId RuleSet::rule(RuleId rule) { return add({.kind = Expr::Kind::kRule, .rule = rule}); }

RuleId RuleSet::add_rule(std::string name) { return add_rule(std::move(name), kNothing); }

RuleId RuleSet::add_rule(std::string name, ExprId body) {
  rules_.push_back({std::move(name), body});
  return static_cast<RuleId>(rules_.size() - 1);
}

}  // namespace vortex::grammar
