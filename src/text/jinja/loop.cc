#include "text/jinja/loop.h"

#include "text/jinja/fault.h"

namespace vortex::text::jinja {

Value Loop::call(Runtime&, Args args) {
  const BoundArgs bound("loop", std::move(args), {"iterable"});
  return recurse(bound.required(0));
}

Value Loop::neighbour(int64_t index) const {
  if (index < 0 || index >= size()) return Value::undefined("there is no such item in the loop");
  return items_->items[static_cast<size_t>(index)];
}

Value Loop::cycle() const {
  return make_function([index = index_](Runtime&, Args args) {
    if (args.positional.empty()) fail("loop.cycle() needs items to cycle through");
    return args.positional[static_cast<size_t>(index) % args.positional.size()];
  });
}

Value Loop::changed() {
  return make_function([loop = weak_from_this()](Runtime&, Args args) {
    const ListPtr now = make_list(std::move(args.positional), List::kTuple);
    const auto self = loop.lock();
    if (!self || (self->last_seen_ && equal(self->last_seen_, now))) return Value(false);
    self->last_seen_ = now;
    return Value(true);
  });
}

bool Loop::attribute(std::string_view name, Value* value) {
  if (name == "index")
    *value = index_ + 1;
  else if (name == "index0")
    *value = index_;
  else if (name == "revindex")
    *value = size() - index_;
  else if (name == "revindex0")
    *value = size() - index_ - 1;
  else if (name == "first")
    *value = index_ == 0;
  else if (name == "last")
    *value = index_ + 1 == size();
  else if (name == "length")
    *value = size();
  else if (name == "depth")
    *value = depth_ + 1;
  else if (name == "depth0")
    *value = depth_;
  else if (name == "previtem")
    *value = neighbour(index_ - 1);
  else if (name == "nextitem")
    *value = neighbour(index_ + 1);
  else if (name == "cycle")
    *value = cycle();
  else if (name == "changed")
    *value = changed();
  else
    return false;
  return true;
}

}  // namespace vortex::text::jinja
