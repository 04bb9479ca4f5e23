#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/fault.h"
#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/scope.h"

namespace vortex::text::jinja {
namespace {

// Statements and expressions inside each other, for every level of macro calls that the caps allow.
constexpr int kLevelsPerCall = 16;

enum class Flow { kNext, kBreak, kContinue };

class Interpreter {
 public:
  Interpreter(const Dict& inputs, Runtime& runtime) : inputs_(inputs), runtime_(runtime) {}
  ~Interpreter() {
    for (const ScopePtr& scope : captured_) scope->clear();
  }

  MarkedString run(const Block& body) {
    run_block(body, std::make_shared<Scope>(nullptr));
    return std::move(out_);
  }

 private:
  class Macro;

  DepthGuard descend() { return DepthGuard(runtime_.eval_depth, runtime_.caps().max_depth * kLevelsPerCall); }

  // --- output
  void emit(const Value& value) { append_text(runtime_, value, out_); }

  /// What `body()` writes, instead of writing it.
  template <class Body>
  MarkedString capture(Body body) {
    MarkedString outer = std::exchange(out_, {});
    body();
    return std::exchange(out_, std::move(outer));
  }

  // --- statements
  Flow run_block(const Block& block, const ScopePtr& scope) {
    const DepthGuard guard = descend();
    for (const StmtPtr& stmt : block) {
      const Flow flow = run_statement(*stmt, scope);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Flow run_inner(const Block& block, const ScopePtr& scope) { return run_block(block, std::make_shared<Scope>(scope)); }

  Flow run_statement(const Stmt& stmt, const ScopePtr& scope) {
    runtime_.line = stmt.line;
    runtime_.charge();
    switch (stmt.kind) {
      case StmtKind::kText:
        runtime_.check_size(out_.size() + stmt.text.size());
        out_.append(stmt.text);
        break;
      case StmtKind::kOutput:
        emit(eval(*stmt.expr, scope));
        break;
      case StmtKind::kIf:
        return run_if(stmt, scope);
      case StmtKind::kFor:
        return run_for(stmt, scope);
      case StmtKind::kSet:
        assign(*stmt.target, eval(*stmt.expr, scope), scope);
        break;
      case StmtKind::kSetBlock:
        return run_set_block(stmt, scope);
      case StmtKind::kMacro:
        scope->set(stmt.macro->name, make_macro(*stmt.macro, scope));
        break;
      case StmtKind::kCall:
        run_call(stmt, scope);
        break;
      case StmtKind::kFilter:
        return run_filter_block(stmt, scope);
      case StmtKind::kWith:
        return run_with(stmt, scope);
      case StmtKind::kScope:
        return run_inner(stmt.body, scope);
      case StmtKind::kBreak:
        return Flow::kBreak;
      case StmtKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  Flow run_if(const Stmt& stmt, const ScopePtr& scope) {
    for (const Branch& branch : stmt.branches) {
      if (!branch.condition || eval(*branch.condition, scope).truthy()) return run_block(branch.body, scope);
    }
    return Flow::kNext;
  }

  Flow run_for(const Stmt& stmt, const ScopePtr& scope) {
    const Value iterable = eval(*stmt.expr, scope);
    return run_loop(stmt, iterable, scope, 0);
  }

  Flow run_loop(const Stmt& stmt, const Value& iterable, const ScopePtr& scope, int64_t depth) {
    const ListPtr items = filtered(stmt, iterate(runtime_, iterable), scope);
    if (items->items.empty()) return run_inner(stmt.otherwise, scope);
    const auto loop = std::make_shared<Loop>(items, depth);
    if (stmt.recursive) make_recursive(*loop, stmt, scope);
    while (loop->advance()) {
      const auto inner = std::make_shared<Scope>(scope);
      inner->set("loop", ObjectPtr(loop));
      assign(*stmt.target, loop->current(), inner);
      if (run_block(stmt.body, inner) == Flow::kBreak) break;
    }
    loop->end();
    return Flow::kNext;
  }

  ListPtr filtered(const Stmt& stmt, const ListPtr& items, const ScopePtr& scope) {
    if (!stmt.condition) return items;
    std::vector<Value> kept;
    for (const Value& item : items->items) {
      const auto inner = std::make_shared<Scope>(scope);
      assign(*stmt.target, item, inner);
      if (eval(*stmt.condition, inner).truthy()) kept.push_back(item);
    }
    return make_list(std::move(kept));
  }

  void make_recursive(Loop& loop, const Stmt& stmt, const ScopePtr& scope) {
    loop.recurse = [this, &stmt, scope, depth = loop.depth()](const Value& iterable) {
      const DepthGuard guard(runtime_.call_depth, runtime_.caps().max_depth);
      return capture([&] { run_loop(stmt, iterable, scope, depth + 1); });
    };
  }

  void assign(const Expr& target, Value value, const ScopePtr& scope) {
    if (target.kind == ExprKind::kName) return scope->set(target.name, std::move(value));
    if (target.kind == ExprKind::kTuple) return unpack(target, value, scope);
    const Value space = lookup(target.name, *scope);
    auto* object = space.is_object() ? dynamic_cast<Namespace*>(space.object().get()) : nullptr;
    if (object == nullptr)
      fail("'{}' is no namespace: its attribute '{}' cannot be set", target.name, target.attribute);
    object->set(Value::string(target.attribute), std::move(value));
  }

  void unpack(const Expr& target, const Value& value, const ScopePtr& scope) {
    if (value.is_undefined()) fail("{}", value.why_undefined());
    const ListPtr items = iterate(runtime_, value);
    if (items->items.size() != target.kids.size()) {
      fail("{} values cannot be unpacked into {} names", items->items.size(), target.kids.size());
    }
    for (size_t i = 0; i < target.kids.size(); ++i) assign(*target.kids[i], items->items[i], scope);
  }

  Flow run_set_block(const Stmt& stmt, const ScopePtr& scope) {
    Flow flow = Flow::kNext;
    Value text = capture([&] { flow = run_inner(stmt.body, scope); });
    if (flow != Flow::kNext) return flow;
    if (stmt.expr) text = apply_filters(*stmt.expr, text, scope);
    assign(*stmt.target, std::move(text), scope);
    return flow;
  }

  Flow run_filter_block(const Stmt& stmt, const ScopePtr& scope) {
    Flow flow = Flow::kNext;
    const Value text = capture([&] { flow = run_inner(stmt.body, scope); });
    if (flow == Flow::kNext) emit(apply_filters(*stmt.expr, text, scope));
    return flow;
  }

  /// A chain of filters whose innermost value is the text of a block.
  Value apply_filters(const Expr& filter, const Value& text, const ScopePtr& scope) {
    const Value value = filter.kids[0] ? apply_filters(*filter.kids[0], text, scope) : text;
    return apply_filter(runtime_, filter.name, value, eval_args(filter.args, scope));
  }

  Flow run_with(const Stmt& stmt, const ScopePtr& scope) {
    const auto inner = std::make_shared<Scope>(scope);
    for (size_t i = 0; i < stmt.targets.size(); ++i) assign(*stmt.targets[i], eval(*stmt.values[i], scope), inner);
    return run_block(stmt.body, inner);
  }

  void run_call(const Stmt& stmt, const ScopePtr& scope) {
    const Value callee = eval(*stmt.expr->kids[0], scope);
    Args args = eval_args(stmt.expr->args, scope);
    args.keyword.emplace_back("caller", make_macro(*stmt.macro, scope));
    emit(call(callee, std::move(args), stmt.expr->line));
  }

  // --- macros
  Value make_macro(const MacroDef& def, const ScopePtr& scope);
  Value call_macro(const MacroDef& def, const ScopePtr& closure, Args args);
  void bind_parameters(const MacroDef& def, Args& args, const ScopePtr& scope);
  void bind_special(const MacroDef& def, Args& args, const ScopePtr& scope);

  Value call(const Value& callee, Args args, int line) {
    runtime_.line = line;
    Value result = call_value(runtime_, callee, std::move(args));
    runtime_.line = line;
    return result;
  }

  // --- expressions
  Value lookup(const std::string& name, const Scope& scope) const {
    if (const Value* found = scope.find(name)) return *found;
    if (const Value* input = inputs_.find(name)) return *input;
    if (const Value* global = find_global(name)) return *global;
    return Value::undefined(fmt::format("'{}' is undefined", name));
  }

  Value eval(const Expr& expr, const ScopePtr& scope) {
    const DepthGuard guard = descend();
    runtime_.charge();
    switch (expr.kind) {
      case ExprKind::kConstant:
        return expr.value;
      case ExprKind::kName:
        return lookup(expr.name, *scope);
      case ExprKind::kTuple:
        return make_list(eval_all(expr.kids, scope), List::kTuple);
      case ExprKind::kList:
        return make_list(eval_all(expr.kids, scope));
      case ExprKind::kDict:
        return eval_dict(expr, scope);
      case ExprKind::kCondition:
        return eval_condition(expr, scope);
      case ExprKind::kOr:
        return eval_words(expr, scope, true);
      case ExprKind::kAnd:
        return eval_words(expr, scope, false);
      case ExprKind::kNot:
        return !eval(*expr.kids[0], scope).truthy();
      case ExprKind::kCompare:
        return eval_compare(expr, scope);
      case ExprKind::kArithmetic:
        return eval_arithmetic(expr, scope);
      case ExprKind::kConcat:
        return eval_concat(expr, scope);
      case ExprKind::kNegate:
        return negate(eval(*expr.kids[0], scope));
      case ExprKind::kPlus:
        return eval_plus(expr, scope);
      case ExprKind::kTest:
        return eval_test(expr, scope);
      default:
        return eval_postfix(expr, scope);
    }
  }

  Value eval_postfix(const Expr& expr, const ScopePtr& scope) {
    const Value base = eval(*expr.kids[0], scope);
    if (expr.kind == ExprKind::kCall) return call(base, eval_args(expr.args, scope), expr.line);
    if (expr.kind == ExprKind::kFilter) {
      Args args = eval_args(expr.args, scope);
      runtime_.line = expr.line;
      return apply_filter(runtime_, expr.name, base, std::move(args));
    }
    runtime_.line = expr.line;
    if (expr.kind == ExprKind::kAttribute) return get_attribute(runtime_, base, expr.name);
    const Value key = eval_or_none(expr.kids[1], scope);
    if (expr.kind == ExprKind::kItem) return get_item(runtime_, base, key);
    VORTEX_CHECK(expr.kind == ExprKind::kSlice, "kind {}", static_cast<int>(expr.kind));
    return get_slice(runtime_, base, key, eval_or_none(expr.kids[2], scope), eval_or_none(expr.kids[3], scope));
  }

  Value eval_or_none(const ExprPtr& expr, const ScopePtr& scope) { return expr ? eval(*expr, scope) : Value(None{}); }

  std::vector<Value> eval_all(const std::vector<ExprPtr>& exprs, const ScopePtr& scope) {
    std::vector<Value> values;
    values.reserve(exprs.size());
    for (const ExprPtr& expr : exprs) values.push_back(eval(*expr, scope));
    return values;
  }

  Value eval_dict(const Expr& expr, const ScopePtr& scope) {
    auto dict = std::make_shared<Dict>();
    for (size_t i = 0; i < expr.kids.size(); i += 2) {
      Value key = eval(*expr.kids[i], scope);
      dict->set(std::move(key), eval(*expr.kids[i + 1], scope));
    }
    return DictPtr(std::move(dict));
  }

  Value eval_condition(const Expr& expr, const ScopePtr& scope) {
    if (eval(*expr.kids[0], scope).truthy()) return eval(*expr.kids[1], scope);
    if (expr.kids[2]) return eval(*expr.kids[2], scope);
    return Value::undefined("the inline if was false and has no else");
  }

  Value eval_words(const Expr& expr, const ScopePtr& scope, bool stops_at) {
    Value value;
    for (const ExprPtr& kid : expr.kids) {
      value = eval(*kid, scope);
      if (value.truthy() == stops_at) break;
    }
    return value;
  }

  Value eval_compare(const Expr& expr, const ScopePtr& scope) {
    Value left = eval(*expr.kids[0], scope);
    for (size_t i = 0; i < expr.ops.size(); ++i) {
      Value right = eval(*expr.kids[i + 1], scope);
      if (!compare(runtime_, expr.ops[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  Value eval_arithmetic(const Expr& expr, const ScopePtr& scope) {
    Value value = eval(*expr.kids[0], scope);
    for (size_t i = 0; i < expr.ops.size(); ++i) {
      value = arithmetic(runtime_, expr.ops[i], value, eval(*expr.kids[i + 1], scope));
    }
    return value;
  }

  Value eval_concat(const Expr& expr, const ScopePtr& scope) {
    MarkedString text;
    for (const ExprPtr& kid : expr.kids) append_text(runtime_, eval(*kid, scope), text);
    return text;
  }

  Value eval_plus(const Expr& expr, const ScopePtr& scope) {
    const Value value = eval(*expr.kids[0], scope);
    if (value.is_undefined()) fail("{}", value.why_undefined());
    if (!value.is_number()) fail("'+' does not work on {}", value.type_name());
    return value.is_bool() ? Value(value.integer()) : value;
  }

  Value eval_test(const Expr& expr, const ScopePtr& scope) {
    const Value value = eval(*expr.kids[0], scope);
    return apply_test(runtime_, expr.name, value, eval_args(expr.args, scope));
  }

  Args eval_args(const ArgExprs& exprs, const ScopePtr& scope) {
    Args args;
    args.positional = eval_all(exprs.positional, scope);
    for (const auto& [name, expr] : exprs.keyword) args.keyword.emplace_back(name, eval(*expr, scope));
    if (exprs.star) {
      const ListPtr rest = iterate(runtime_, eval(*exprs.star, scope));
      args.positional.insert(args.positional.end(), rest->items.begin(), rest->items.end());
    }
    if (exprs.double_star) append_keywords(eval(*exprs.double_star, scope), args);
    return args;
  }

  static void append_keywords(const Value& rest, Args& args) {
    if (!rest.is_dict()) fail("'**' needs a dict, not a {}", rest.type_name());
    for (const auto& [key, value] : rest.dict()->entries()) {
      if (!key.is_string()) fail("'**' needs a dict with str keys");
      args.keyword.emplace_back(key.string().text(), value);
    }
  }

  const Dict& inputs_;
  Runtime& runtime_;
  MarkedString out_;
  // Macros keep the scope they were made in, which may hold the macro: cut when the rendering ends.
  std::vector<ScopePtr> captured_;
};

class Interpreter::Macro : public Callable {
 public:
  Macro(Interpreter& interpreter, const MacroDef& def, ScopePtr closure)
      : interpreter_(interpreter), def_(def), closure_(std::move(closure)) {}
  std::string_view type_name() const override { return "Macro"; }
  Value call(Runtime&, Args args) override { return interpreter_.call_macro(def_, closure_, std::move(args)); }

  bool attribute(std::string_view name, Value* value) override {
    if (name == "name") *value = Value::string(def_.name);
    return name == "name";
  }

 private:
  Interpreter& interpreter_;
  const MacroDef& def_;
  ScopePtr closure_;
};

Value Interpreter::make_macro(const MacroDef& def, const ScopePtr& scope) {
  if (captured_.empty() || captured_.back() != scope) captured_.push_back(scope);
  return ObjectPtr(std::make_shared<Macro>(*this, def, scope));
}

Value Interpreter::call_macro(const MacroDef& def, const ScopePtr& closure, Args args) {
  const DepthGuard guard(runtime_.call_depth, runtime_.caps().max_depth);
  const auto scope = std::make_shared<Scope>(closure);
  bind_special(def, args, scope);
  bind_parameters(def, args, scope);
  return capture([&] { run_block(def.body, scope); });
}

// Takes `caller`, and what no parameter takes, out of the arguments.
void Interpreter::bind_special(const MacroDef& def, Args& args, const ScopePtr& scope) {
  const auto is_parameter = [&](const std::string& name) {
    return std::find(def.parameters.begin(), def.parameters.end(), name) != def.parameters.end();
  };
  auto rest = std::make_shared<Dict>();
  Value caller = Value::undefined("no caller is defined");
  std::erase_if(args.keyword, [&](const auto& entry) {
    if (is_parameter(entry.first)) return false;
    if (entry.first == "caller" && def.uses_caller) {
      caller = entry.second;
    } else if (def.uses_kwargs) {
      rest->set(Value::string(entry.first), entry.second);
    } else {
      fail("macro '{}' has no parameter '{}'", def.name, entry.first);
    }
    return true;
  });
  std::vector<Value> surplus;
  if (args.positional.size() > def.parameters.size()) {
    if (!def.uses_varargs) fail("macro '{}' takes at most {} arguments", def.name, def.parameters.size());
    surplus.assign(args.positional.begin() + static_cast<ptrdiff_t>(def.parameters.size()), args.positional.end());
    args.positional.resize(def.parameters.size());
  }
  if (def.uses_caller && !is_parameter("caller")) scope->set("caller", std::move(caller));
  if (def.uses_kwargs) scope->set("kwargs", DictPtr(std::move(rest)));
  if (def.uses_varargs) scope->set("varargs", make_list(std::move(surplus), List::kTuple));
}

void Interpreter::bind_parameters(const MacroDef& def, Args& args, const ScopePtr& scope) {
  const size_t first_default = def.parameters.size() - def.defaults.size();
  for (size_t i = 0; i < def.parameters.size(); ++i) {
    const std::string& name = def.parameters[i];
    const auto given =
        std::find_if(args.keyword.begin(), args.keyword.end(), [&](const auto& e) { return e.first == name; });
    if (i < args.positional.size()) {
      if (given != args.keyword.end()) fail("macro '{}' got two values for '{}'", def.name, name);
      scope->set(name, std::move(args.positional[i]));
    } else if (given != args.keyword.end()) {
      scope->set(name, std::move(given->second));
    } else if (i >= first_default) {
      scope->set(name, eval(*def.defaults[i - first_default], scope));
    } else {
      scope->set(name, Value::undefined(fmt::format("parameter '{}' was not provided", name)));
    }
  }
}

}  // namespace

MarkedString render(const Block& template_body, const Dict& inputs, Runtime& runtime) {
  return Interpreter(inputs, runtime).run(template_body);
}

}  // namespace vortex::text::jinja
