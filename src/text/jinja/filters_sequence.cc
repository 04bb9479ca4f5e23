#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

#include "text/jinja/builtins.h"
#include "text/jinja/fault.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/string_ops.h"

namespace vortex::text::jinja {
namespace {

using Getter = std::function<Value(const Value&)>;

// One part of a dotted attribute path: an index or a key.
Value path_part(std::string_view part) {
  int64_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  const bool is_index = !part.empty() && part[0] != '-' && error == std::errc() && end == part.data() + part.size();
  return is_index ? Value(index) : Value::string(std::string(part));
}

std::vector<Value> path_parts(const Value& attribute) {
  if (attribute.is_none() || attribute.is_undefined()) return {};
  if (!attribute.is_string()) return {attribute};
  std::vector<Value> parts;
  std::string_view path = attribute.string().text();
  while (true) {
    const size_t dot = path.find('.');
    parts.push_back(path_part(path.substr(0, dot)));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

Value fold_case(Runtime& runtime, const Value& value) {
  return value.is_string() ? Value(lower(runtime, value.string())) : value;
}

/// Reads `attribute` of an item (the item itself for none), with a default, in lower case if so asked.
Getter make_getter(Runtime& runtime, const Value& attribute, bool ignores_case, Value fallback = None{}) {
  return [&runtime, parts = path_parts(attribute), ignores_case, fallback = std::move(fallback)](const Value& item) {
    Value value = item;
    for (const Value& part : parts) {
      value = get_item(runtime, value, part);
      if (value.is_undefined() && !fallback.is_none()) value = fallback;
    }
    return ignores_case ? fold_case(runtime, value) : value;
  };
}

int64_t sort_cost(size_t count) {
  int64_t cost = 1;
  for (size_t n = count; n > 1; n /= 2) ++cost;
  return cost * static_cast<int64_t>(count);
}

struct Keyed {
  Value key;
  Value item;
};

std::vector<Keyed> keyed(const std::vector<Value>& items, const Getter& getter) {
  std::vector<Keyed> result;
  result.reserve(items.size());
  for (const Value& item : items) result.push_back({getter(item), item});
  return result;
}

// sorted(): stable, also in reverse.
std::vector<Keyed> sorted(Runtime& runtime, std::vector<Keyed> items, bool reverse) {
  runtime.charge(sort_cost(items.size()));
  std::stable_sort(items.begin(), items.end(),
                   [&](const Keyed& a, const Keyed& b) { return reverse ? less(b.key, a.key) : less(a.key, b.key); });
  return items;
}

std::vector<Value> items_of(std::vector<Keyed> pairs) {
  std::vector<Value> items;
  items.reserve(pairs.size());
  for (Keyed& pair : pairs) items.push_back(std::move(pair.item));
  return items;
}

Value length_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("length", std::move(args), {});
  return length(runtime, value);
}

Value list_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("list", std::move(args), {});
  const ListPtr list = iterate(runtime, value);
  runtime.charge(static_cast<int64_t>(list->items.size() / 8));
  return make_list(list->items);
}

Value first_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("first", std::move(args), {});
  const ListPtr list = iterate(runtime, value);
  return list->items.empty() ? Value::undefined("the sequence is empty and has no first item") : list->items.front();
}

void require_reversible(const Value& value) {
  if (value.is_list() && value.list()->kind == List::kGenerator) fail("a generator cannot be read from its end");
}

Value last_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("last", std::move(args), {});
  require_reversible(value);
  const ListPtr list = iterate(runtime, value);
  return list->items.empty() ? Value::undefined("the sequence is empty and has no last item") : list->items.back();
}

Value reverse_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("reverse", std::move(args), {});
  if (value.is_string()) return reversed(runtime, value.string());
  const ListPtr list = iterate(runtime, value);
  runtime.charge(static_cast<int64_t>(list->items.size() / 8));
  return make_list({list->items.rbegin(), list->items.rend()}, List::kGenerator);
}

Value join_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("join", std::move(args), {"d", "attribute"});
  const Getter getter = make_getter(runtime, bound.get(1, None{}), false);
  std::vector<Value> texts;
  for (const ListPtr list = iterate(runtime, value); const Value& item : list->items)
    texts.emplace_back(to_text(runtime, getter(item)));
  return join(runtime, to_text(runtime, bound.get(0, MarkedString())), texts);
}

Value items_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("items", std::move(args), {});
  if (value.is_undefined()) return make_list({}, List::kGenerator);
  if (!value.is_dict()) fail("items needs a dict, not a {}", value.type_name());
  const Value view = call_value(runtime, get_attribute(runtime, value, "items"), {});
  return make_list(view.list()->items, List::kGenerator);
}

Value dictsort_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("dictsort", std::move(args), {"case_sensitive", "by", "reverse"});
  if (value.is_undefined()) fail("{}", value.why_undefined());
  if (!value.is_dict()) fail("dictsort needs a dict, not a {}", value.type_name());
  const Value by = bound.get(1, Value::string("key"));
  const bool by_value = equal(by, Value::string("value"));
  if (!by_value && !equal(by, Value::string("key"))) fail("dictsort sorts by 'key' or by 'value'");
  const Value view = call_value(runtime, get_attribute(runtime, value, "items"), {});
  const Getter getter = make_getter(runtime, int64_t{by_value}, !bound.flag(0, false));
  return make_list(items_of(sorted(runtime, keyed(view.list()->items, getter), bound.flag(2, false))));
}

// Several attributes, separated by commas, sort one after the other.
Getter make_sort_getter(Runtime& runtime, const Value& attribute, bool ignores_case) {
  const bool many = attribute.is_string() && attribute.string().text().find(',') != std::string::npos;
  if (!many) return make_getter(runtime, attribute, ignores_case);
  std::vector<Getter> getters;
  for (const Value& name : split(runtime, attribute.string(), ",", -1, false)) {
    getters.push_back(make_getter(runtime, name, ignores_case));
  }
  return [getters = std::move(getters)](const Value& item) {
    std::vector<Value> keys;
    for (const Getter& getter : getters) keys.push_back(getter(item));
    return Value(make_list(std::move(keys)));
  };
}

Value sort_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("sort", std::move(args), {"reverse", "case_sensitive", "attribute"});
  const Getter getter = make_sort_getter(runtime, bound.get(2, None{}), !bound.flag(1, false));
  return make_list(items_of(sorted(runtime, keyed(iterate(runtime, value)->items, getter), bound.flag(0, false))));
}

Value unique_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("unique", std::move(args), {"case_sensitive", "attribute"});
  const Getter getter = make_getter(runtime, bound.get(1, None{}), !bound.flag(0, false));
  Dict seen;
  std::vector<Value> items;
  for (const ListPtr list = iterate(runtime, value); const Value& item : list->items) {
    runtime.charge();
    const Value key = getter(item);
    if (seen.find(key) != nullptr) continue;
    seen.set(key, None{});
    items.push_back(item);
  }
  return make_list(std::move(items), List::kGenerator);
}

template <bool wants_greater>
Value extreme_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("min", std::move(args), {"case_sensitive", "attribute"});
  const Getter getter = make_getter(runtime, bound.get(1, None{}), !bound.flag(0, false));
  std::optional<Keyed> best;
  for (const ListPtr list = iterate(runtime, value); const Value& item : list->items) {
    runtime.charge();
    const Value key = getter(item);
    if (!best || (wants_greater ? less(best->key, key) : less(key, best->key))) best = Keyed{key, item};
  }
  return best ? best->item : Value::undefined("the sequence is empty and has no extreme item");
}

Value sum_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("sum", std::move(args), {"attribute", "start"});
  const Getter getter = make_getter(runtime, bound.get(0, None{}), false);
  Value total = bound.get(1, int64_t{0});
  if (total.is_string()) fail("sum does not add strings");
  for (const ListPtr list = iterate(runtime, value); const Value& item : list->items) {
    runtime.charge();
    total = arithmetic(runtime, Operator::kAdd, total, getter(item));
  }
  return total;
}

// --- map, select, reject

std::optional<Value> take_keyword(Args& args, std::string_view name) {
  const auto at =
      std::find_if(args.keyword.begin(), args.keyword.end(), [&](const auto& entry) { return entry.first == name; });
  if (at == args.keyword.end()) return std::nullopt;
  Value value = std::move(at->second);
  args.keyword.erase(at);
  return value;
}

std::string take_name(Args& args, std::string_view what) {
  if (args.positional.empty() || !args.positional[0].is_string()) fail("{}", what);
  std::string name = args.positional[0].string().text();
  args.positional.erase(args.positional.begin());
  return name;
}

Getter make_mapper(Runtime& runtime, Args args) {
  std::optional<Value> attribute = args.positional.empty() ? take_keyword(args, "attribute") : std::nullopt;
  if (attribute) {
    const Value fallback = take_keyword(args, "default").value_or(None{});
    if (!args.keyword.empty()) fail("map has no argument '{}'", args.keyword[0].first);
    return make_getter(runtime, *attribute, false, fallback);
  }
  std::string name = take_name(args, "map needs the name of a filter");
  return [&runtime, name, args](const Value& item) { return apply_filter(runtime, name, item, args); };
}

Value map_filter(Runtime& runtime, const Value& value, Args args) {
  std::vector<Value> items;
  if (value.truthy()) {
    const Getter mapper = make_mapper(runtime, std::move(args));
    for (const ListPtr list = iterate(runtime, value); const Value& item : list->items) items.push_back(mapper(item));
  }
  return make_list(std::move(items), List::kGenerator);
}

template <bool by_attribute, bool wanted>
Value select_filter(Runtime& runtime, const Value& value, Args args) {
  std::vector<Value> items;
  if (!value.truthy()) return make_list({}, List::kGenerator);
  Getter getter = make_getter(runtime, None{}, false);
  if (by_attribute) {
    if (args.positional.empty()) fail("selectattr needs the name of an attribute");
    getter = make_getter(runtime, args.positional[0], false);
    args.positional.erase(args.positional.begin());
  }
  const std::string test = args.positional.empty() ? "" : take_name(args, "select needs the name of a test");
  for (const ListPtr list = iterate(runtime, value); const Value& item : list->items) {
    runtime.charge();
    const Value subject = getter(item);
    const bool right = test.empty() ? subject.truthy() : apply_test(runtime, test, subject, args);
    if (right == wanted) items.push_back(item);
  }
  return make_list(std::move(items), List::kGenerator);
}

// --- grouping

Value batch_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("batch", std::move(args), {"linecount", "fill_with"});
  const int64_t size = to_integer(bound.required(0), "linecount");
  if (size < 1) fail("batch needs a positive size");
  const Value filler = bound.get(1, None{});
  std::vector<Value> batches;
  std::vector<Value> current;
  for (const ListPtr list = iterate(runtime, value); const Value& item : list->items) {
    if (static_cast<int64_t>(current.size()) == size) batches.emplace_back(make_list(std::exchange(current, {})));
    current.push_back(item);
  }
  if (current.empty()) return make_list(std::move(batches), List::kGenerator);
  while (!filler.is_none() && static_cast<int64_t>(current.size()) < size) {
    runtime.charge();
    current.push_back(filler);
  }
  batches.emplace_back(make_list(std::move(current)));
  return make_list(std::move(batches), List::kGenerator);
}

Value slice_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("slice", std::move(args), {"slices", "fill_with"});
  const int64_t slices = to_integer(bound.required(0), "slices");
  if (slices < 1) fail("slice needs a positive count");
  const Value filler = bound.get(1, None{});
  const ListPtr list = iterate(runtime, value);
  const auto size = static_cast<int64_t>(list->items.size());
  std::vector<Value> result;
  int64_t begin = 0;
  for (int64_t i = 0; i < slices; ++i) {
    runtime.charge();
    const bool longer = i < size % slices;
    const int64_t end = begin + size / slices + longer;
    std::vector<Value> part(list->items.begin() + begin, list->items.begin() + end);
    if (!filler.is_none() && !longer) part.push_back(filler);
    result.emplace_back(make_list(std::move(part)));
    begin = end;
  }
  return make_list(std::move(result), List::kGenerator);
}

Value groupby_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("groupby", std::move(args), {"attribute", "default", "case_sensitive"});
  const bool ignores_case = !bound.flag(2, false);
  const Getter getter = make_getter(runtime, bound.required(0), ignores_case, bound.get(1, None{}));
  const Getter label = make_getter(runtime, bound.required(0), false, bound.get(1, None{}));
  const std::vector<Keyed> pairs = sorted(runtime, keyed(iterate(runtime, value)->items, getter), false);
  std::vector<Value> groups;
  for (size_t begin = 0, end = 0; begin < pairs.size(); begin = end) {
    std::vector<Value> items;
    while (end < pairs.size() && equal(pairs[end].key, pairs[begin].key)) items.push_back(pairs[end++].item);
    const Value name = label(items[0]);
    groups.emplace_back(make_list({name, make_list(std::move(items))}, List::kTuple));
  }
  return make_list(std::move(groups));
}

Value attr_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("attr", std::move(args), {"name"});
  if (value.is_undefined()) fail("{}", value.why_undefined());
  const MarkedString name = to_text(runtime, bound.required(0));
  const bool is_item = value.is_dict() && value.dict()->find(name.text()) != nullptr;
  return is_item ? Value::undefined("attr reads attributes, not items") : get_attribute(runtime, value, name.text());
}

constexpr FilterEntry kFilters[] = {
    {"length", length_filter},
    {"count", length_filter},
    {"list", list_filter},
    {"first", first_filter},
    {"last", last_filter},
    {"reverse", reverse_filter},
    {"join", join_filter},
    {"items", items_filter},
    {"dictsort", dictsort_filter},
    {"sort", sort_filter},
    {"unique", unique_filter},
    {"min", extreme_filter<false>},
    {"max", extreme_filter<true>},
    {"sum", sum_filter},
    {"map", map_filter},
    {"select", select_filter<false, true>},
    {"reject", select_filter<false, false>},
    {"selectattr", select_filter<true, true>},
    {"rejectattr", select_filter<true, false>},
    {"batch", batch_filter},
    {"slice", slice_filter},
    {"groupby", groupby_filter},
    {"attr", attr_filter},
};

}  // namespace

std::span<const FilterEntry> sequence_filters() { return kFilters; }

}  // namespace vortex::text::jinja
