#include "text/jinja/parser.h"

#include "text/jinja/expression_parser.h"

namespace vortex::text::jinja {
namespace {

class Parser : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

  Block run() { return parse_body({}); }

 private:
  Block parse_body(Names ends) {
    const Nesting nesting(*this);
    Block body;
    while (current().type != Token::kEof) {
      if (current().type == Token::kBlockBegin) {
        next();
        if (at_name(ends)) return body;
        body.push_back(parse_statement());
        expect(Token::kBlockEnd, "'%}'");
      } else {
        body.push_back(parse_output());
      }
    }
    if (ends.size() > 0) unexpected(quoted(*(ends.end() - 1)));
    return body;
  }

  /// The body of a block that the tag `end` closes.
  Block parse_block(std::string_view end) {
    Block body = parse_inner({end});
    next();
    return body;
  }

  Block parse_inner(Names ends) {
    accept_operator(":");
    expect(Token::kBlockEnd, "'%}'");
    return parse_body(ends);
  }

  StmtPtr parse_output() {
    auto stmt = make_statement(StmtKind::kText);
    if (current().type == Token::kData) {
      stmt->text = MarkedString::trusted(next().text);
      return stmt;
    }
    stmt->kind = StmtKind::kOutput;
    next();
    stmt->expr = parse_tuple();
    expect(Token::kVariableEnd, "'}}'");
    return stmt;
  }

  std::unique_ptr<Stmt> make_statement(StmtKind kind) const {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = current().line;
    return stmt;
  }

  StmtPtr parse_statement() {
    if (at_name({"if"})) return parse_if();
    if (at_name({"for"})) return parse_for();
    if (at_name({"set"})) return parse_set();
    if (at_name({"macro"})) return parse_macro();
    if (at_name({"call"})) return parse_call_block();
    if (at_name({"filter"})) return parse_filter_block();
    if (at_name({"with"})) return parse_with();
    if (at_name({"generation"})) return parse_generation();
    if (at_name({"break", "continue"})) return parse_jump();
    if (current().type != Token::kName) unexpected("a tag name");
    fail_at(current().line, "the tag '{}' is not supported here", current().text);
  }

  StmtPtr parse_if() {
    auto stmt = make_statement(StmtKind::kIf);
    do {
      next();
      Branch branch;
      branch.condition = parse_tuple(false);
      branch.body = parse_inner({"elif", "else", "endif"});
      stmt->branches.push_back(std::move(branch));
    } while (at_name({"elif"}));
    if (accept_name("else")) {
      stmt->branches.push_back({nullptr, parse_block("endif")});
    } else {
      next();
    }
    return stmt;
  }

  StmtPtr parse_for() {
    auto stmt = make_statement(StmtKind::kFor);
    next();
    stmt->target = parse_target(false);
    expect_word("in");
    stmt->expr = parse_tuple(false, "recursive");
    if (accept_name("if")) stmt->condition = parse_expression();
    stmt->recursive = accept_name("recursive");
    ++loops_;
    stmt->body = parse_inner({"else", "endfor"});
    --loops_;
    if (accept_name("else")) {
      stmt->otherwise = parse_block("endfor");
    } else {
      next();
    }
    return stmt;
  }

  StmtPtr parse_set() {
    auto stmt = make_statement(StmtKind::kSet);
    next();
    stmt->target = parse_target(true);
    if (accept_operator("=")) {
      stmt->expr = parse_tuple();
      return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    for (int i = 0; current().is_operator("|"); ++i) stmt->expr = parse_filter(std::move(stmt->expr), i);
    stmt->body = parse_block("endset");
    return stmt;
  }

  void parse_signature(MacroDef& macro) {
    expect_operator("(");
    while (!accept_operator(")")) {
      if (!macro.parameters.empty()) expect_operator(",");
      macro.parameters.push_back(expect_name());
      if (accept_operator("=")) {
        macro.defaults.push_back(parse_expression());
      } else if (!macro.defaults.empty()) {
        fail_at(current().line, "a parameter without a default follows one with a default");
      }
    }
  }

  // A body that is called: the loops around it cannot be left from inside.
  void parse_macro_body(MacroDef& macro, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    macros_.push_back(&macro);
    macro.body = parse_block(end);
    macros_.pop_back();
    loops_ = loops;
  }

  StmtPtr parse_macro() {
    auto stmt = make_statement(StmtKind::kMacro);
    next();
    auto macro = std::make_unique<MacroDef>();
    macro->name = expect_name();
    parse_signature(*macro);
    parse_macro_body(*macro, "endmacro");
    stmt->macro = std::move(macro);
    return stmt;
  }

  StmtPtr parse_call_block() {
    auto stmt = make_statement(StmtKind::kCall);
    next();
    auto macro = std::make_unique<MacroDef>();
    macro->name = std::string("caller");
    if (current().is_operator("(")) parse_signature(*macro);
    stmt->expr = parse_expression();
    if (stmt->expr->kind != ExprKind::kCall) fail_at(stmt->line, "a call block needs a call");
    parse_macro_body(*macro, "endcall");
    stmt->macro = std::move(macro);
    return stmt;
  }

  StmtPtr parse_filter_block() {
    auto stmt = make_statement(StmtKind::kFilter);
    next();
    stmt->expr = parse_filter_call(nullptr);
    for (int i = 1; current().is_operator("|"); ++i) stmt->expr = parse_filter(std::move(stmt->expr), i);
    stmt->body = parse_block("endfilter");
    return stmt;
  }

  StmtPtr parse_with() {
    auto stmt = make_statement(StmtKind::kWith);
    next();
    while (current().type != Token::kBlockEnd) {
      if (!stmt->targets.empty()) expect_operator(",");
      stmt->targets.push_back(parse_target(false));
      expect_operator("=");
      stmt->values.push_back(parse_expression());
    }
    stmt->body = parse_block("endwith");
    return stmt;
  }

  StmtPtr parse_generation() {
    auto stmt = make_statement(StmtKind::kScope);
    next();
    const int loops = std::exchange(loops_, 0);
    stmt->body = parse_block("endgeneration");
    loops_ = loops;
    return stmt;
  }

  StmtPtr parse_jump() {
    auto stmt = make_statement(current().text == "break" ? StmtKind::kBreak : StmtKind::kContinue);
    if (loops_ == 0) fail_at(stmt->line, "'{}' stands outside a loop", current().text);
    next();
    return stmt;
  }

  int loops_ = 0;  // around the cursor, inside the same macro
};

}  // namespace

Block parse_template(std::string_view source) { return Parser(source).run(); }

}  // namespace vortex::text::jinja
