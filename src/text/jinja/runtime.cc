#include "text/jinja/runtime.h"

#include <algorithm>

#include "text/jinja/fault.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

[[noreturn]] void exhausted(std::string message, std::string hint) {
  throw Fault{ErrorCode::kResourceExhausted, std::move(message), std::move(hint), 0};
}

std::vector<Value> characters(const MarkedString& string) {
  std::vector<Value> items;
  for_each_character(string.text(),
                     [&](char32_t, size_t begin, size_t size) { items.push_back(string.slice(begin, begin + size)); });
  return items;
}

std::vector<Value> keys_of(const Dict& dict) {
  std::vector<Value> keys;
  keys.reserve(dict.size());
  for (const auto& [key, value] : dict.entries()) keys.push_back(key);
  return keys;
}

}  // namespace

Runtime::~Runtime() {
  for (const auto& space : namespaces_) space->clear();
}

void Runtime::charge(int64_t steps) {
  steps_ += std::max<int64_t>(steps, 0);
  if (steps_ > caps_.max_steps) {
    exhausted(fmt::format("the chat template ran for more than {} steps", caps_.max_steps),
              "shorten the conversation or raise the cap on steps");
  }
}

void Runtime::charge_bytes(size_t bytes) { charge(static_cast<int64_t>(bytes / 256)); }

void Runtime::check_size(size_t bytes) {
  if (bytes > caps_.max_output) {
    exhausted(fmt::format("the chat template made a text of more than {} bytes", caps_.max_output),
              "shorten the conversation or raise the cap on output");
  }
  charge_bytes(bytes);
}

std::time_t Runtime::now() const { return caps_.now != nullptr ? caps_.now() : std::time(nullptr); }

std::shared_ptr<Namespace> Runtime::make_namespace() {
  namespaces_.push_back(std::make_shared<Namespace>());
  return namespaces_.back();
}

DepthGuard::DepthGuard(int& depth, int limit) : depth_(depth) {
  if (depth >= limit) {
    exhausted(fmt::format("the chat template nests more than {} levels deep", limit), "remove the recursion");
  }
  ++depth;
}

BoundArgs::BoundArgs(std::string_view function, Args args, std::initializer_list<std::string_view> names)
    : function_(function), names_(names), values_(names.size()) {
  if (args.positional.size() > names_.size()) {
    fail("{}() takes at most {} arguments, {} given", function_, names_.size(), args.positional.size());
  }
  std::move(args.positional.begin(), args.positional.end(), values_.begin());
  for (auto& [name, value] : args.keyword) {
    const auto at = std::find(names_.begin(), names_.end(), name);
    if (at == names_.end()) fail("{}() has no argument '{}'", function_, name);
    auto& slot = values_[static_cast<size_t>(at - names_.begin())];
    if (slot.has_value()) fail("{}() got two values for '{}'", function_, name);
    slot = std::move(value);
  }
}

const Value& BoundArgs::required(size_t i) const {
  if (!has(i)) fail("{}() needs the argument '{}'", function_, names_[i]);
  return *values_[i];
}

int64_t BoundArgs::integer(size_t i, int64_t fallback) const {
  return has(i) ? to_integer(*values_[i], names_[i]) : fallback;
}

bool Namespace::attribute(std::string_view name, Value* value) {
  const Value* found = values_.find(name);
  if (found != nullptr) *value = *found;
  return found != nullptr;
}

Value make_function(Function::Body body) { return ObjectPtr(std::make_shared<Function>(std::move(body))); }

Value call_value(Runtime& runtime, const Value& callee, Args args) {
  if (callee.is_undefined()) fail("{}", callee.why_undefined());
  if (!callee.is_object() || !callee.object()->is_callable()) fail("a {} cannot be called", callee.type_name());
  return static_cast<Callable&>(*callee.object()).call(runtime, std::move(args));
}

ListPtr iterate(Runtime& runtime, const Value& value) {
  static const ListPtr kEmpty = std::make_shared<const List>();
  if (value.is_undefined()) return kEmpty;
  if (value.is_list()) {
    if (value.list()->kind != List::kGenerator) return value.list();
    return std::exchange(value.list()->consumed, true) ? kEmpty : value.list();
  }
  if (value.is_string()) {
    runtime.charge(static_cast<int64_t>(value.string().size() / 8));
    return make_list(characters(value.string()));
  }
  if (value.is_dict()) {
    runtime.charge(static_cast<int64_t>(value.dict()->size() / 8));
    return make_list(keys_of(*value.dict()));
  }
  fail("a {} cannot be iterated", value.type_name());
}

int64_t to_integer(const Value& value, std::string_view what) {
  if (value.is_undefined()) fail("{}", value.why_undefined());
  if (!value.is_integral()) fail("'{}' must be an integer, not a {}", what, value.type_name());
  return value.integer();
}

}  // namespace vortex::text::jinja
