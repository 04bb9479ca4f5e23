// ExpressionParser: expressions and the targets of assignments, by recursive descent; parser.cc adds statements.
#pragma once

#include <charconv>
#include <memory>
#include <optional>

#include "text/jinja/ast.h"
#include "text/jinja/token_stream.h"

namespace vortex::text::jinja {

// Calls, attributes and filters in a row make a tree as deep as they are many.
inline constexpr int kMaxPostfix = 64;

class ExpressionParser : protected TokenStream {
 protected:
  using TokenStream::TokenStream;

  // --- targets of assignment
  ExprPtr parse_target(bool with_namespace) {
    auto first = parse_target_item(with_namespace);
    if (!current().is_operator(",")) return first;
    auto tuple = make_expr(ExprKind::kTuple);
    tuple->kids.push_back(std::move(first));
    while (accept_operator(",")) {
      if (current().type != Token::kName && !current().is_operator("(")) break;
      if (current().is_name("in")) break;
      tuple->kids.push_back(parse_target_item(with_namespace));
    }
    return tuple;
  }

  ExprPtr parse_target_item(bool with_namespace) {
    const Nesting nesting(*this);
    if (accept_operator("(")) {
      auto target = parse_target(with_namespace);
      expect_operator(")");
      return target;
    }
    auto target = make_expr(ExprKind::kName);
    if (at_name({"true", "false", "none", "True", "False", "None"})) {
      fail_at(current().line, "cannot assign to '{}'", current().text);
    }
    target->name = expect_name();
    if (with_namespace && accept_operator(".")) {
      target->kind = ExprKind::kNamespace;
      target->attribute = expect_name();
    }
    return target;
  }

  // --- expressions, loosest binding first
  std::unique_ptr<Expr> make_expr(ExprKind kind) const {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->line = current().line;
    return expr;
  }

  bool at_tuple_end(std::string_view extra_end) const {
    const Token& token = current();
    return token.type == Token::kVariableEnd || token.type == Token::kBlockEnd || token.is_operator(")") ||
           (!extra_end.empty() && token.is_name(extra_end));
  }

  ExprPtr parse_tuple(bool with_condition = true, std::string_view extra_end = {}, bool in_parentheses = false) {
    auto tuple = make_expr(ExprKind::kTuple);
    if (at_tuple_end(extra_end)) {
      if (!in_parentheses) unexpected("an expression");
      return tuple;
    }
    bool is_tuple = false;
    while (true) {
      tuple->kids.push_back(parse_expression(with_condition));
      if (!accept_operator(",")) break;
      is_tuple = true;
      if (at_tuple_end(extra_end)) break;
    }
    return is_tuple ? std::move(tuple) : std::move(tuple->kids[0]);
  }

  ExprPtr parse_expression(bool with_condition = true) {
    const Nesting nesting(*this);
    return with_condition ? parse_condition() : parse_or();
  }

  ExprPtr parse_condition() {
    ExprPtr expr = parse_or();
    for (int i = 0; current().is_name("if"); ++i) {
      check_chain(i);
      auto condition = make_expr(ExprKind::kCondition);
      next();
      condition->kids.push_back(parse_or());
      condition->kids.push_back(std::move(expr));
      condition->kids.push_back(accept_name("else") ? parse_expression() : nullptr);
      expr = std::move(condition);
    }
    return expr;
  }

  void check_chain(int links) const {
    if (links >= kMaxPostfix) fail_at(current().line, "more than {} operations in a row", kMaxPostfix);
  }

  ExprPtr parse_or() { return parse_words("or", ExprKind::kOr, &ExpressionParser::parse_and); }
  ExprPtr parse_and() { return parse_words("and", ExprKind::kAnd, &ExpressionParser::parse_not); }

  ExprPtr parse_words(std::string_view word, ExprKind kind, ExprPtr (ExpressionParser::*operand)()) {
    ExprPtr first = (this->*operand)();
    if (!current().is_name(word)) return first;
    auto chain = make_expr(kind);
    chain->kids.push_back(std::move(first));
    while (accept_name(word)) chain->kids.push_back((this->*operand)());
    return chain;
  }

  ExprPtr parse_not() {
    if (!current().is_name("not")) return parse_compare();
    const Nesting nesting(*this);
    auto expr = make_expr(ExprKind::kNot);
    next();
    expr->kids.push_back(parse_not());
    return expr;
  }

  using OperatorNames = std::initializer_list<std::pair<std::string_view, Operator>>;

  std::optional<Operator> accept_any(OperatorNames names) {
    for (const auto& [symbol, op] : names) {
      if (accept_operator(symbol)) return op;
    }
    return std::nullopt;
  }

  std::optional<Operator> accept_comparison() {
    if (accept_name("in")) return Operator::kIn;
    if (current().is_name("not") && look_ahead().is_name("in")) {
      next();
      next();
      return Operator::kNotIn;
    }
    return accept_any({{"==", Operator::kEqual},
                       {"!=", Operator::kNotEqual},
                       {"<", Operator::kLess},
                       {"<=", Operator::kLessEqual},
                       {">", Operator::kGreater},
                       {">=", Operator::kGreaterEqual}});
  }

  template <class AcceptOperator, class Operand>
  ExprPtr parse_chain(ExprKind kind, AcceptOperator accept, Operand operand) {
    ExprPtr first = operand();
    auto chain = make_expr(kind);
    while (const std::optional<Operator> op = accept()) {
      chain->ops.push_back(*op);
      chain->kids.push_back(operand());
    }
    if (chain->ops.empty()) return first;
    chain->kids.insert(chain->kids.begin(), std::move(first));
    return chain;
  }

  ExprPtr parse_compare() {
    return parse_chain(
        ExprKind::kCompare, [this] { return accept_comparison(); }, [this] { return parse_sum(); });
  }

  ExprPtr parse_arithmetic(OperatorNames names, ExprPtr (ExpressionParser::*operand)()) {
    return parse_chain(
        ExprKind::kArithmetic, [&] { return accept_any(names); }, [&] { return (this->*operand)(); });
  }

  ExprPtr parse_sum() {
    return parse_arithmetic({{"+", Operator::kAdd}, {"-", Operator::kSubtract}}, &ExpressionParser::parse_concat);
  }

  ExprPtr parse_concat() {
    ExprPtr first = parse_product();
    if (!current().is_operator("~")) return first;
    auto concat = make_expr(ExprKind::kConcat);
    concat->kids.push_back(std::move(first));
    while (accept_operator("~")) concat->kids.push_back(parse_product());
    return concat;
  }

  ExprPtr parse_product() {
    return parse_arithmetic({{"*", Operator::kMultiply},
                             {"/", Operator::kDivide},
                             {"//", Operator::kFloorDivide},
                             {"%", Operator::kModulo}},
                            &ExpressionParser::parse_power);
  }

  ExprPtr parse_power() { return parse_arithmetic({{"**", Operator::kPower}}, &ExpressionParser::parse_filtered); }
  ExprPtr parse_filtered() { return parse_unary(true); }

  ExprPtr parse_unary(bool with_filters) {
    ExprPtr expr;
    if (current().is_operator("-") || current().is_operator("+")) {
      const Nesting nesting(*this);
      auto sign = make_expr(next().text == "-" ? ExprKind::kNegate : ExprKind::kPlus);
      sign->kids.push_back(parse_unary(false));
      expr = std::move(sign);
    } else {
      expr = parse_primary();
    }
    int links = 0;
    expr = parse_postfix(std::move(expr), links);
    return with_filters ? parse_filters(std::move(expr), links) : std::move(expr);
  }

  ExprPtr parse_primary() {
    switch (current().type) {
      case Token::kName:
        return parse_name();
      case Token::kString:
        return parse_string();
      case Token::kInteger:
        return parse_integer();
      case Token::kFloat:
        return parse_float();
      default:
        break;
    }
    if (accept_operator("(")) {
      ExprPtr expr = parse_parenthesised();
      expect_operator(")");
      return expr;
    }
    if (current().is_operator("[")) return parse_list();
    if (current().is_operator("{")) return parse_dict();
    unexpected("an expression");
  }

  ExprPtr parse_parenthesised() {
    const Nesting nesting(*this);
    return parse_tuple(true, {}, true);
  }

  ExprPtr parse_name() {
    auto expr = make_expr(ExprKind::kConstant);
    const std::string& name = next().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      expr->value = name == "true" || name == "True";
    } else if (name == "none" || name == "None") {
      expr->value = None{};
    } else {
      expr->kind = ExprKind::kName;
      expr->name = name;
      note_special_name(name);
    }
    return expr;
  }

  void note_special_name(std::string_view name) {
    for (MacroDef* macro : macros_) {
      macro->uses_caller |= name == "caller";
      macro->uses_varargs |= name == "varargs";
      macro->uses_kwargs |= name == "kwargs";
    }
  }

  ExprPtr parse_string() {
    auto expr = make_expr(ExprKind::kConstant);
    std::string text;
    while (current().type == Token::kString) text += next().text;
    expr->value = Value::string(std::move(text));
    return expr;
  }

  ExprPtr parse_integer() {
    auto expr = make_expr(ExprKind::kConstant);
    expr->value = read_integer(next());
    return expr;
  }

  static int64_t read_integer(const Token& token) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
    if (error != std::errc()) fail_at(token.line, "the number {} does not fit 64 bits", token.text);
    return number;
  }

  ExprPtr parse_float() {
    auto expr = make_expr(ExprKind::kConstant);
    const Token& token = next();
    double number = 0;
    const auto [end, error] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
    if (error != std::errc()) fail_at(token.line, "the number {} is out of range", token.text);
    expr->value = number;
    return expr;
  }

  ExprPtr parse_list() {
    auto list = make_expr(ExprKind::kList);
    next();
    while (!accept_operator("]")) {
      if (!list->kids.empty()) expect_operator(",");
      if (accept_operator("]")) break;
      list->kids.push_back(parse_expression());
    }
    return list;
  }

  ExprPtr parse_dict() {
    auto dict = make_expr(ExprKind::kDict);
    next();
    while (!accept_operator("}")) {
      if (!dict->kids.empty()) expect_operator(",");
      if (accept_operator("}")) break;
      dict->kids.push_back(parse_expression());
      expect_operator(":");
      dict->kids.push_back(parse_expression());
    }
    return dict;
  }

  // --- what follows a primary
  ExprPtr parse_postfix(ExprPtr expr, int& links) {
    while (current().is_operator(".") || current().is_operator("[") || current().is_operator("(")) {
      check_chain(links++);
      expr = current().is_operator(".")   ? parse_attribute(std::move(expr))
             : current().is_operator("[") ? parse_subscript(std::move(expr))
                                          : parse_call(std::move(expr));
    }
    return expr;
  }

  ExprPtr parse_filters(ExprPtr expr, int links) {
    while (true) {
      check_chain(links++);
      if (current().is_operator("|")) {
        expr = parse_filter(std::move(expr), links);
      } else if (current().is_name("is")) {
        expr = parse_test(std::move(expr));
      } else if (current().is_operator("(")) {
        expr = parse_call(std::move(expr));
      } else {
        return expr;
      }
    }
  }

  ExprPtr parse_attribute(ExprPtr base) {
    auto expr = make_expr(ExprKind::kAttribute);
    next();
    expr->kids.push_back(std::move(base));
    if (current().type == Token::kInteger) {
      expr->kind = ExprKind::kItem;
      expr->kids.push_back(parse_integer());
    } else {
      expr->name = expect_name();
    }
    return expr;
  }

  ExprPtr parse_subscript(ExprPtr base) {
    auto expr = make_expr(ExprKind::kItem);
    next();
    expr->kids.push_back(std::move(base));
    ExprPtr start = current().is_operator(":") ? nullptr : parse_expression();
    if (current().is_operator(":")) {
      parse_slice(*expr, std::move(start));
    } else {
      expr->kids.push_back(std::move(start));
    }
    expect_operator("]");
    return expr;
  }

  void parse_slice(Expr& expr, ExprPtr start) {
    expr.kind = ExprKind::kSlice;
    expr.kids.push_back(std::move(start));
    next();
    const auto at_end = [this] { return current().is_operator(":") || current().is_operator("]"); };
    expr.kids.push_back(at_end() ? nullptr : parse_expression());
    expr.kids.push_back(accept_operator(":") && !at_end() ? parse_expression() : nullptr);
  }

  ExprPtr parse_call(ExprPtr callee) {
    auto expr = make_expr(ExprKind::kCall);
    expr->kids.push_back(std::move(callee));
    expr->args = parse_args();
    return expr;
  }

  ArgExprs parse_args() {
    ArgExprs args;
    const int line = current().line;
    expect_operator("(");
    for (bool first = true; !accept_operator(")"); first = false) {
      if (!first) expect_operator(",");
      if (accept_operator(")")) break;
      parse_arg(args, line);
    }
    return args;
  }

  void parse_arg(ArgExprs& args, int line) {
    const auto ensure = [line](bool right) {
      if (!right) fail_at(line, "arguments stand in an impossible order");
    };
    if (accept_operator("*")) {
      ensure(!args.star && !args.double_star);
      args.star = parse_expression();
    } else if (accept_operator("**")) {
      ensure(!args.double_star);
      args.double_star = parse_expression();
    } else if (current().type == Token::kName && look_ahead().is_operator("=")) {
      ensure(!args.double_star);
      std::string name = next().text;
      next();
      args.keyword.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(!args.star && !args.double_star && args.keyword.empty());
      args.positional.push_back(parse_expression());
    }
  }

  ExprPtr parse_filter(ExprPtr base, int links) {
    check_chain(links);
    next();
    return parse_filter_call(std::move(base));
  }

  std::string parse_dotted_name() {
    std::string name = expect_name();
    while (accept_operator(".")) name.append(".").append(expect_name());
    return name;
  }

  ExprPtr parse_filter_call(ExprPtr base) {
    auto expr = make_expr(ExprKind::kFilter);
    expr->name = parse_dotted_name();
    expr->kids.push_back(std::move(base));
    if (current().is_operator("(")) expr->args = parse_args();
    return expr;
  }

  bool at_test_argument() const {
    const Token& token = current();
    if (token.type == Token::kName) return !token.is_name("else") && !token.is_name("or") && !token.is_name("and");
    return token.type == Token::kString || token.type == Token::kInteger || token.type == Token::kFloat ||
           token.is_operator("[") || token.is_operator("{");
  }

  ExprPtr parse_test(ExprPtr base) {
    auto expr = make_expr(ExprKind::kTest);
    next();
    const bool negated = accept_name("not");
    expr->name = parse_dotted_name();
    expr->kids.push_back(std::move(base));
    if (current().is_operator("(")) {
      expr->args = parse_args();
    } else if (at_test_argument()) {
      if (current().is_name("is")) fail_at(current().line, "tests cannot be chained with 'is'");
      int links = 0;
      expr->args.positional.push_back(parse_postfix(parse_primary(), links));
    }
    if (!negated) return expr;
    auto inverse = make_expr(ExprKind::kNot);
    inverse->kids.push_back(std::move(expr));
    return inverse;
  }

  /// The macros around the cursor, to note which special names they use.
  std::vector<MacroDef*> macros_;
};

}  // namespace vortex::text::jinja
