// What every part of a running template shares: its budget, its clock, and the calling convention.
#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/jinja/value.h"

namespace vortex::text::jinja {

class Namespace;

/// Counts the work done. Every loop over data charges what it touches, so that no template can outrun its caps.
class Runtime {
 public:
  explicit Runtime(const RenderCaps& caps) : caps_(caps) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  void charge(int64_t steps = 1);
  void charge_bytes(size_t bytes);
  /// A fault when a string of `bytes` would pass the output cap; charges them too.
  void check_size(size_t bytes);
  std::time_t now() const;
  const RenderCaps& caps() const { return caps_; }
  /// Namespaces may refer to each other in circles; the runtime cuts them when it ends.
  std::shared_ptr<Namespace> make_namespace();

  int line = 0;        // of the template, now running
  int call_depth = 0;  // macros and callers
  int eval_depth = 0;  // nested statements and expressions

 private:
  const RenderCaps& caps_;
  int64_t steps_ = 0;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

/// Raises a depth counter for the time of a scope; a fault beyond the limit.
class DepthGuard {
 public:
  DepthGuard(int& depth, int limit);
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;

 private:
  int& depth_;
};

/// Arguments of a call.
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

/// Arguments laid out by parameter name, as Python binds them. A fault on unknown, doubled or surplus ones.
class BoundArgs {
 public:
  BoundArgs(std::string_view function, Args args, std::initializer_list<std::string_view> names);
  bool has(size_t i) const { return values_[i].has_value(); }
  const Value& required(size_t i) const;
  Value get(size_t i, Value fallback) const { return has(i) ? *values_[i] : std::move(fallback); }
  bool flag(size_t i, bool fallback) const { return has(i) ? values_[i]->truthy() : fallback; }
  int64_t integer(size_t i, int64_t fallback) const;

 private:
  std::string function_;
  std::vector<std::string_view> names_;
  std::vector<std::optional<Value>> values_;
};

class Callable : public Object {
 public:
  bool is_callable() const override { return true; }
  std::string_view type_name() const override { return "function"; }
  virtual Value call(Runtime& runtime, Args args) = 0;
};

/// A callable made of a C++ function.
class Function : public Callable {
 public:
  using Body = std::function<Value(Runtime&, Args)>;
  explicit Function(Body body) : body_(std::move(body)) {}
  Value call(Runtime& runtime, Args args) override { return body_(runtime, std::move(args)); }

 private:
  Body body_;
};

/// namespace(...): the one thing a template may change in place.
class Namespace : public Object {
 public:
  std::string_view type_name() const override { return "Namespace"; }
  bool attribute(std::string_view name, Value* value) override;
  void set(const Value& name, Value value) { values_.set(name, std::move(value)); }
  void clear() { values_ = Dict(); }

 private:
  Dict values_;
};

Value make_function(Function::Body body);
Value call_value(Runtime& runtime, const Value& callee, Args args);

/// The items of anything that can be iterated (characters of a string, keys of a dict); else a fault.
ListPtr iterate(Runtime& runtime, const Value& value);
/// Integer argument; a fault that names `what` otherwise.
int64_t to_integer(const Value& value, std::string_view what);

}  // namespace vortex::text::jinja
