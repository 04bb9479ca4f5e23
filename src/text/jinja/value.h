// Values of the template language. They behave as the Python objects that jinja2 works on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/marked_string.h"

namespace vortex::text::jinja {

struct List;
class Dict;
class Object;
class Value;

using StringPtr = std::shared_ptr<const MarkedString>;
using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;

/// What a missing name or attribute gives: prints as nothing, false, but any use of its parts is a fault.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};

class Value {
 public:
  using Storage = std::variant<Undefined, None, bool, int64_t, double, StringPtr, ListPtr, DictPtr, ObjectPtr>;

  Value() = default;
  Value(None none) : storage_(none) {}                    // NOLINT: implicit by design, as are the next
  Value(bool value) : storage_(value) {}                  // NOLINT
  Value(int64_t value) : storage_(value) {}               // NOLINT
  Value(double value) : storage_(value) {}                // NOLINT
  Value(ListPtr value) : storage_(std::move(value)) {}    // NOLINT
  Value(DictPtr value) : storage_(std::move(value)) {}    // NOLINT
  Value(ObjectPtr value) : storage_(std::move(value)) {}  // NOLINT
  Value(MarkedString text) : storage_(std::make_shared<const MarkedString>(std::move(text))) {}  // NOLINT
  Value(const void*) = delete;  // a pointer must not turn into a bool
  static Value string(std::string trusted) { return MarkedString::trusted(std::move(trusted)); }
  static Value undefined(std::string why);

  bool is_undefined() const { return std::holds_alternative<Undefined>(storage_); }
  bool is_none() const { return std::holds_alternative<None>(storage_); }
  bool is_bool() const { return std::holds_alternative<bool>(storage_); }
  bool is_float() const { return std::holds_alternative<double>(storage_); }
  /// Integers and bools: both do arithmetic.
  bool is_integral() const { return is_bool() || std::holds_alternative<int64_t>(storage_); }
  bool is_number() const { return is_integral() || is_float(); }
  bool is_string() const { return std::holds_alternative<StringPtr>(storage_); }
  bool is_list() const { return std::holds_alternative<ListPtr>(storage_); }
  bool is_dict() const { return std::holds_alternative<DictPtr>(storage_); }
  bool is_object() const { return std::holds_alternative<ObjectPtr>(storage_); }

  bool boolean() const { return std::get<bool>(storage_); }
  int64_t integer() const { return is_bool() ? boolean() : std::get<int64_t>(storage_); }
  double number() const { return is_float() ? std::get<double>(storage_) : static_cast<double>(integer()); }
  const MarkedString& string() const { return *std::get<StringPtr>(storage_); }
  const ListPtr& list() const { return std::get<ListPtr>(storage_); }
  const DictPtr& dict() const { return std::get<DictPtr>(storage_); }
  const ObjectPtr& object() const { return std::get<ObjectPtr>(storage_); }

  /// Why the value is undefined ("'x' is undefined").
  std::string why_undefined() const;
  bool truthy() const;
  /// Python's name of the type, for messages.
  std::string_view type_name() const;
  /// Levels of containers below and including this one.
  int depth() const;

 private:
  Storage storage_;
};

/// A finite sequence. Views and generators differ from lists in what the tests and operators say of them.
struct List {
  enum Kind { kList, kTuple, kRange, kKeys, kValues, kItems, kGenerator };
  Kind kind = kList;
  std::vector<Value> items;
  int depth = 1;
  mutable bool consumed = false;  // a generator yields its items once
};

ListPtr make_list(std::vector<Value> items, List::Kind kind = List::kList);

/// Insertion-ordered map; keys are hashable values.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;
  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Value key, Value value);
  int depth() const { return depth_; }

 private:
  size_t position(const Value& key, size_t hash) const;

  std::vector<Entry> entries_;
  std::unordered_multimap<size_t, size_t> index_;
  int depth_ = 1;
};

/// Things with identity: functions, macros, namespaces, loops.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual bool is_callable() const { return false; }
  /// Attribute `name`, or nullptr-like undefined.
  virtual bool attribute(std::string_view, Value*) { return false; }
};

bool equal(const Value& a, const Value& b);
/// a < b; a fault when Python does not order the two.
bool less(const Value& a, const Value& b);
/// A fault for lists and dicts.
size_t hash_of(const Value& value);

}  // namespace vortex::text::jinja
