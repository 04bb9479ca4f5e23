// Global functions: range, namespace, dict, raise_exception, strftime_now, joiner, cycler.
#include <algorithm>
#include <ctime>
#include <map>

#include "text/jinja/builtins.h"
#include "text/jinja/fault.h"
#include "text/jinja/printing.h"

namespace vortex::text::jinja {
namespace {

// jinja2's sandbox refuses longer ranges.
constexpr int64_t kMaxRange = 100'000;

Value make_range(Runtime& runtime, Args args) {
  const bool has_stop = args.positional.size() > 1;
  const BoundArgs bound("range", std::move(args), {"start", "stop", "step"});
  const int64_t first = to_integer(bound.required(0), "start");
  const int64_t start = has_stop ? first : 0;
  const int64_t stop = has_stop ? bound.integer(1, 0) : first;
  const int64_t step = bound.integer(2, 1);
  if (step == 0) fail("range() needs a step other than zero");
  std::vector<Value> items;
  for (__int128 i = start; step > 0 ? i < stop : i > stop; i += step) {
    if (items.size() >= kMaxRange) fail("range() gives at most {} numbers", kMaxRange);
    items.emplace_back(static_cast<int64_t>(i));
  }
  runtime.charge(static_cast<int64_t>(items.size() / 8));
  return make_list(std::move(items), List::kRange);
}

// dict() and namespace(): pairs or a dict, then keywords.
template <class Target>
void fill(Runtime& runtime, Args args, Target& target) {
  if (args.positional.size() > 1) fail("dict() takes at most one positional argument");
  if (!args.positional.empty() && args.positional[0].is_dict()) {
    for (const auto& [key, value] : args.positional[0].dict()->entries()) target.set(key, value);
  } else if (!args.positional.empty()) {
    for (const ListPtr list = iterate(runtime, args.positional[0]); const Value& pair : list->items) {
      const ListPtr items = iterate(runtime, pair);
      if (items->items.size() != 2) fail("dict() needs pairs");
      target.set(items->items[0], items->items[1]);
    }
  }
  for (auto& [name, value] : args.keyword) target.set(Value::string(name), std::move(value));
}

Value make_dict(Runtime& runtime, Args args) {
  auto dict = std::make_shared<Dict>();
  fill(runtime, std::move(args), *dict);
  runtime.charge(static_cast<int64_t>(dict->size() / 8));
  return DictPtr(std::move(dict));
}

Value make_namespace(Runtime& runtime, Args args) {
  const auto space = runtime.make_namespace();
  fill(runtime, std::move(args), *space);
  return ObjectPtr(space);
}

Value raise_exception(Runtime& runtime, Args args) {
  const BoundArgs bound("raise_exception", std::move(args), {"message"});
  throw Fault{ErrorCode::kInvalidArgument, to_text(runtime, bound.required(0)).text(), "", 0};
}

Value strftime_now(Runtime& runtime, Args args) {
  const BoundArgs bound("strftime_now", std::move(args), {"format"});
  const Value& format = bound.required(0);
  if (!format.is_string()) fail("strftime_now() needs a str");
  if (format.string().empty()) return MarkedString();
  const std::time_t now = runtime.now();
  std::tm local = {};
  localtime_r(&now, &local);
  char buffer[512];
  const size_t size = std::strftime(buffer, sizeof(buffer), format.string().text().c_str(), &local);
  if (size == 0) fail("strftime_now() made more than {} bytes", sizeof(buffer));
  MarkedString text;
  text.append_as(std::string_view(buffer, size), !format.string().marks().empty());
  return text;
}

Value make_joiner(Runtime&, Args args) {
  const BoundArgs bound("joiner", std::move(args), {"sep"});
  return make_function([separator = bound.get(0, Value::string(", ")), used = false](Runtime&, Args) mutable {
    return std::exchange(used, true) ? separator : Value(MarkedString());
  });
}

class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::make_shared<State>(State{std::move(items), 0})) {}
  std::string_view type_name() const override { return "Cycler"; }

  bool attribute(std::string_view name, Value* value) override {
    const auto state = items_;
    if (name == "current") {
      *value = state->items[state->at];
    } else if (name == "next") {
      *value = make_function([state](Runtime&, Args) {
        const size_t at = state->at;
        state->at = (at + 1) % state->items.size();
        return state->items[at];
      });
    } else if (name == "reset") {
      *value = make_function([state](Runtime&, Args) {
        state->at = 0;
        return Value(None{});
      });
    } else {
      return false;
    }
    return true;
  }

 private:
  struct State {
    std::vector<Value> items;
    size_t at;
  };
  std::shared_ptr<State> items_;
};

Value make_cycler(Runtime&, Args args) {
  if (args.positional.empty() || !args.keyword.empty()) fail("cycler() needs items to cycle through");
  return ObjectPtr(std::make_shared<Cycler>(std::move(args.positional)));
}

}  // namespace

const Value* find_global(std::string_view name) {
  static const std::map<std::string, Value, std::less<>> kGlobals = {
      {"range", make_function(make_range)},          {"dict", make_function(make_dict)},
      {"namespace", make_function(make_namespace)},  {"raise_exception", make_function(raise_exception)},
      {"strftime_now", make_function(strftime_now)}, {"joiner", make_function(make_joiner)},
      {"cycler", make_function(make_cycler)},
  };
  const auto found = kGlobals.find(name);
  return found == kGlobals.end() ? nullptr : &found->second;
}

}  // namespace vortex::text::jinja
