// The syntax tree of a template. Built by parser.cc, run by interpreter.cc; immutable in between.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/jinja/value.h"

namespace vortex::text::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<const Expr>;
using StmtPtr = std::unique_ptr<const Stmt>;
using Block = std::vector<StmtPtr>;

/// Arguments of a call, filter or test as written.
struct ArgExprs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr star;         // *rest
  ExprPtr double_star;  // **rest
};

enum class ExprKind {
  kConstant,    // value
  kName,        // name
  kNamespace,   // name.attribute as a target of set
  kTuple,       // kids
  kList,        // kids
  kDict,        // kids: key, value, key, value ...
  kCondition,   // kids: test, then, else (may be null)
  kOr,          // kids
  kAnd,         // kids
  kNot,         // kids[0]
  kCompare,     // kids[0] ops[0] kids[1] ops[1] ...
  kArithmetic,  // the same, from left to right
  kConcat,      // kids
  kNegate,      // kids[0]
  kPlus,        // kids[0]
  kAttribute,   // kids[0].name
  kItem,        // kids[0][kids[1]]
  kSlice,       // kids[0][kids[1]:kids[2]:kids[3]], the last three may be null
  kCall,        // kids[0](args)
  kFilter,      // kids[0]|name(args); a null kid is the text of a block
  kTest,        // kids[0] is name(args)
};

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn
};

struct Expr {
  ExprKind kind;
  int line = 0;
  Value value;
  std::string name;
  std::string attribute;
  std::vector<ExprPtr> kids;
  std::vector<Operator> ops;
  ArgExprs args;
};

/// What macro, call block and generation block have in common: parameters and a body with a scope of its own.
struct MacroDef {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Block body;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct Branch {
  ExprPtr condition;  // null: else
  Block body;
};

enum class StmtKind {
  kText,      // value
  kOutput,    // expr
  kIf,        // branches
  kFor,       // target, expr, condition (may be null), body, otherwise, recursive
  kSet,       // target, expr
  kSetBlock,  // target, body, expr (filters, may be null)
  kMacro,     // macro
  kCall,      // macro, expr (the call)
  kFilter,    // expr, body
  kWith,      // targets, values, body
  kScope,     // body
  kBreak,
  kContinue,
};

struct Stmt {
  StmtKind kind;
  int line = 0;
  MarkedString text;
  ExprPtr target;
  ExprPtr expr;
  ExprPtr condition;
  std::vector<ExprPtr> targets;
  std::vector<ExprPtr> values;
  std::vector<Branch> branches;
  Block body;
  Block otherwise;
  bool recursive = false;
  std::unique_ptr<const MacroDef> macro;
};

}  // namespace vortex::text::jinja
