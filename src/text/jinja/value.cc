#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "text/jinja/fault.h"

namespace vortex::text::jinja {
namespace {

// Bounds the recursion of printing, comparing and destroying values.
constexpr int kMaxValueDepth = 128;

int nested_depth(int depth) {
  if (depth >= kMaxValueDepth) {
    throw Fault{ErrorCode::kResourceExhausted,
                fmt::format("lists and dicts are nested more than {} deep", kMaxValueDepth), "flatten the data", 0};
  }
  return depth + 1;
}

bool equal_lists(const List& a, const List& b) {
  return a.kind == b.kind && std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
}

bool equal_dicts(const Dict& a, const Dict& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const Dict::Entry& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(entry.second, *other);
  });
}

bool equal_numbers(const Value& a, const Value& b) {
  return a.is_integral() && b.is_integral() ? a.integer() == b.integer() : a.number() == b.number();
}

bool less_lists(const List& a, const List& b) {
  const size_t common = std::min(a.items.size(), b.items.size());
  for (size_t i = 0; i < common; ++i) {
    if (!equal(a.items[i], b.items[i])) return less(a.items[i], b.items[i]);
  }
  return a.items.size() < b.items.size();
}

size_t hash_number(const Value& value) {
  const double number = value.number();
  if (value.is_float() && number == std::floor(number) && std::abs(number) < 9e18) {
    return std::hash<int64_t>()(static_cast<int64_t>(number));
  }
  return value.is_float() ? std::hash<double>()(number) : std::hash<int64_t>()(value.integer());
}

size_t hash_tuple(const List& list) {
  size_t hash = list.items.size();
  for (const Value& item : list.items) hash = hash * 1000003 + hash_of(item);
  return hash;
}

std::string_view list_type_name(List::Kind kind) {
  static constexpr std::string_view kNames[] = {"list",        "tuple",      "range",    "dict_keys",
                                                "dict_values", "dict_items", "generator"};
  return kNames[kind];
}

}  // namespace

Value Value::undefined(std::string why) {
  Value value;
  value.storage_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return value;
}

std::string Value::why_undefined() const {
  const Undefined& undefined = std::get<Undefined>(storage_);
  return undefined.why ? *undefined.why : "the value is undefined";
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  if (is_string()) return !string().empty();
  if (is_list()) return list()->kind == List::kGenerator || !list()->items.empty();
  if (is_dict()) return dict()->size() > 0;
  return true;
}

std::string_view Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_integral()) return "int";
  if (is_float()) return "float";
  if (is_string()) return "str";
  if (is_list()) return list_type_name(list()->kind);
  if (is_dict()) return "dict";
  return object()->type_name();
}

int Value::depth() const {
  if (is_list()) return list()->depth;
  if (is_dict()) return dict()->depth();
  return 0;
}

ListPtr make_list(std::vector<Value> items, List::Kind kind) {
  auto list = std::make_shared<List>();
  list->kind = kind;
  for (const Value& item : items) list->depth = std::max(list->depth, nested_depth(item.depth()));
  list->items = std::move(items);
  return list;
}

size_t Dict::position(const Value& key, size_t hash) const {
  const auto [begin, end] = index_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (equal(entries_[it->second].first, key)) return it->second;
  }
  return entries_.size();
}

const Value* Dict::find(const Value& key) const {
  const size_t at = position(key, hash_of(key));
  return at == entries_.size() ? nullptr : &entries_[at].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto [begin, end] = index_.equal_range(std::hash<std::string_view>()(key));
  for (auto it = begin; it != end; ++it) {
    const Entry& entry = entries_[it->second];
    if (entry.first.is_string() && entry.first.string().text() == key) return &entry.second;
  }
  return nullptr;
}

void Dict::set(Value key, Value value) {
  depth_ = std::max({depth_, nested_depth(key.depth()), nested_depth(value.depth())});
  const size_t hash = hash_of(key);
  const size_t at = position(key, hash);
  if (at < entries_.size()) {
    entries_[at].second = std::move(value);
    return;
  }
  index_.emplace(hash, at);
  entries_.emplace_back(std::move(key), std::move(value));
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.is_string() && b.is_string()) return a.string().text() == b.string().text();
  if (a.is_list() && b.is_list()) return a.list() == b.list() || equal_lists(*a.list(), *b.list());
  if (a.is_dict() && b.is_dict()) return a.dict() == b.dict() || equal_dicts(*a.dict(), *b.dict());
  if (a.is_object() && b.is_object()) return a.object() == b.object();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return a.integer() < b.integer();
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (a.is_string() && b.is_string()) return a.string().text() < b.string().text();
  const bool sequences = a.is_list() && b.is_list() && a.list()->kind == b.list()->kind;
  if (sequences && a.list()->kind <= List::kTuple) return less_lists(*a.list(), *b.list());
  if (a.is_undefined()) fail("{}", a.why_undefined());
  if (b.is_undefined()) fail("{}", b.why_undefined());
  fail("'{}' and '{}' have no order", a.type_name(), b.type_name());
}

size_t hash_of(const Value& value) {
  if (value.is_string()) return std::hash<std::string_view>()(value.string().text());
  if (value.is_number()) return hash_number(value);
  if (value.is_none() || value.is_undefined()) return value.is_none() ? 1 : 2;
  if (value.is_object()) return std::hash<Object*>()(value.object().get());
  if (value.is_list() && value.list()->kind != List::kList) return hash_tuple(*value.list());
  fail("a {} cannot be a key of a dict", value.type_name());
}

}  // namespace vortex::text::jinja
