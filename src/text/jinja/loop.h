// The `loop` variable of a for block.
#pragma once

#include <functional>

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

class Loop : public Callable, public std::enable_shared_from_this<Loop> {
 public:
  Loop(ListPtr items, int64_t depth) : items_(std::move(items)), depth_(depth) {}

  std::string_view type_name() const override { return "LoopContext"; }
  bool is_callable() const override { return recurse != nullptr; }
  Value call(Runtime& runtime, Args args) override;
  bool attribute(std::string_view name, Value* value) override;

  /// To the next item; false after the last.
  bool advance() { return ++index_ < size(); }
  void end() { recurse = nullptr; }  // it refers to the scope that may hold the loop
  const Value& current() const { return items_->items[static_cast<size_t>(index_)]; }
  int64_t depth() const { return depth_; }

  /// Renders the loop over other items; set for recursive loops.
  std::function<Value(const Value&)> recurse;

 private:
  int64_t size() const { return static_cast<int64_t>(items_->items.size()); }
  Value neighbour(int64_t index) const;
  Value cycle() const;
  Value changed();

  ListPtr items_;
  int64_t depth_;
  int64_t index_ = -1;
  ListPtr last_seen_;  // by loop.changed
};

}  // namespace vortex::text::jinja
