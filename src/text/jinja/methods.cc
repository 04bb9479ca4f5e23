#include "text/jinja/methods.h"

#include <algorithm>
#include <optional>
#include <span>

#include "text/jinja/fault.h"
#include "text/jinja/operators.h"
#include "text/jinja/python_format.h"
#include "text/jinja/string_ops.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

using Method = Value (*)(Runtime&, const Value& self, Args);

struct Entry {
  std::string_view name;
  Method method;  // null: the sandbox forbids it, or we lack it
};

const MarkedString& string_argument(const Value& value, std::string_view function) {
  if (!value.is_string()) fail("{}() needs a str, not a {}", function, value.type_name());
  return value.string();
}

std::optional<std::string_view> optional_string(const BoundArgs& bound, size_t i, std::string_view function) {
  if (!bound.has(i) || bound.required(i).is_none()) return std::nullopt;
  return string_argument(bound.required(i), function).text();
}

template <bool left, bool right>
Value strip_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("strip", std::move(args), {"chars"});
  runtime.charge_bytes(self.string().size());
  return strip(self.string(), optional_string(bound, 0, "strip"), left, right);
}

template <bool from_right>
Value split_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("split", std::move(args), {"sep", "maxsplit"});
  return make_list(split(runtime, self.string(), optional_string(bound, 0, "split"), bound.integer(1, -1), from_right));
}

Value splitlines_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("splitlines", std::move(args), {"keepends"});
  std::vector<Value> items;
  for (MarkedString& line : split_lines(runtime, self.string(), bound.flag(0, false)))
    items.emplace_back(std::move(line));
  return make_list(std::move(items));
}

// The part of the text between code points `start` and `stop`.
std::string_view window(const std::string& text, const BoundArgs& bound, size_t* begin) {
  const auto size = static_cast<int64_t>(length_of(text));
  const auto resolve = [&](size_t i, int64_t fallback) {
    int64_t at = bound.has(i) && !bound.required(i).is_none() ? bound.integer(i, 0) : fallback;
    if (at < 0) at = std::max<int64_t>(0, std::max(at, -size) + size);
    return at;
  };
  const int64_t start = resolve(1, 0);
  const int64_t stop = std::min(resolve(2, size), size);
  *begin = byte_offset(text, static_cast<size_t>(std::min(start, size)));
  if (start > stop) return {};
  return std::string_view(text).substr(*begin, byte_offset(text, static_cast<size_t>(stop)) - *begin);
}

template <bool at_end>
bool matches(std::string_view text, const Value& affix) {
  const std::string& wanted = string_argument(affix, "startswith").text();
  return at_end ? text.ends_with(wanted) : text.starts_with(wanted);
}

template <bool at_end>
Value affix_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound(at_end ? "endswith" : "startswith", std::move(args), {"affix", "start", "end"});
  runtime.charge_bytes(self.string().size());
  size_t begin = 0;
  const std::string_view text = window(self.string().text(), bound, &begin);
  const Value& affix = bound.required(0);
  if (!affix.is_list() || affix.list()->kind != List::kTuple) return matches<at_end>(text, affix);
  const auto& items = affix.list()->items;
  return std::any_of(items.begin(), items.end(), [&](const Value& item) { return matches<at_end>(text, item); });
}

template <bool from_right, bool must_exist>
Value find_in_string(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("find", std::move(args), {"sub", "start", "end"});
  const std::string& text = self.string().text();
  runtime.charge_bytes(text.size());
  size_t begin = 0;
  const std::string_view part = window(text, bound, &begin);
  const std::string& wanted = string_argument(bound.required(0), "find").text();
  const size_t at = from_right ? part.rfind(wanted) : part.find(wanted);
  if (at != std::string_view::npos)
    return static_cast<int64_t>(length_of(std::string_view(text).substr(0, begin + at)));
  if (must_exist) fail("the substring is not found");
  return int64_t{-1};
}

Value count_in_string(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("count", std::move(args), {"sub", "start", "end"});
  runtime.charge_bytes(self.string().size());
  size_t begin = 0;
  const std::string_view text = window(self.string().text(), bound, &begin);
  const std::string& wanted = string_argument(bound.required(0), "count").text();
  if (wanted.empty()) return static_cast<int64_t>(length_of(text) + 1);
  int64_t count = 0;
  for (size_t at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + wanted.size())) ++count;
  return count;
}

Value replace_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("replace", std::move(args), {"old", "new", "count"});
  const MarkedString& old = string_argument(bound.required(0), "replace");
  return replace(runtime, self.string(), old.text(), string_argument(bound.required(1), "replace"),
                 bound.integer(2, -1));
}

template <MarkedString (*operation)(Runtime&, const MarkedString&)>
Value plain_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("method", std::move(args), {});
  return operation(runtime, self.string());
}

Value join_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("join", std::move(args), {"iterable"});
  const ListPtr list = iterate(runtime, bound.required(0));
  for (const Value& item : list->items) string_argument(item, "join");
  return join(runtime, self.string(), list->items);
}

Value format_method(Runtime& runtime, const Value& self, Args args) {
  return brace_format(runtime, self.string(), args);
}

template <bool (*predicate)(char32_t)>
Value all_characters(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("method", std::move(args), {});
  runtime.charge_bytes(self.string().size());
  bool all = !self.string().empty();
  for_each_character(self.string().text(), [&](char32_t c, size_t, size_t) { all = all && predicate(c); });
  return all;
}

bool is_alphanumeric(char32_t c) { return is_letter(c) || is_decimal(c); }

template <bool (*wanted)(char32_t), bool (*unwanted)(char32_t)>
Value cased(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("method", std::move(args), {});
  runtime.charge_bytes(self.string().size());
  bool any = false;
  bool wrong = false;
  for_each_character(self.string().text(), [&](char32_t c, size_t, size_t) {
    any = any || wanted(c);
    wrong = wrong || unwanted(c);
  });
  return any && !wrong;
}

template <bool from_right>
Value partition_method(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("partition", std::move(args), {"sep"});
  const MarkedString& separator = string_argument(bound.required(0), "partition");
  std::vector<Value> parts = split(runtime, self.string(), separator.text(), 1, from_right);
  if (parts.size() == 2) {
    parts.insert(parts.begin() + 1, Value(separator));
  } else {
    parts.insert(from_right ? parts.begin() : parts.end(), 2, Value(MarkedString()));
  }
  return make_list(std::move(parts), List::kTuple);
}

template <bool at_end>
Value remove_affix(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("removeprefix", std::move(args), {"affix"});
  const MarkedString& string = self.string();
  runtime.charge_bytes(string.size());
  const size_t size = string_argument(bound.required(0), "removeprefix").size();
  if (!matches<at_end>(string.text(), bound.required(0))) return string;
  return at_end ? string.slice(0, string.size() - size) : string.slice(size, string.size());
}

Value list_count(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("count", std::move(args), {"value"});
  const auto& items = self.list()->items;
  runtime.charge(static_cast<int64_t>(items.size() / 8));
  return static_cast<int64_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& item) { return equal(item, bound.required(0)); }));
}

Value list_index(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("index", std::move(args), {"value"});
  const auto& items = self.list()->items;
  runtime.charge(static_cast<int64_t>(items.size() / 8));
  const auto at =
      std::find_if(items.begin(), items.end(), [&](const Value& item) { return equal(item, bound.required(0)); });
  if (at == items.end()) fail("the value is not in the list");
  return static_cast<int64_t>(at - items.begin());
}

Value copy_method(Runtime&, const Value& self, Args) { return self; }

template <List::Kind kind>
Value dict_view(Runtime& runtime, const Value& self, Args args) {
  const BoundArgs bound("items", std::move(args), {});
  runtime.charge(static_cast<int64_t>(self.dict()->size() / 8));
  std::vector<Value> items;
  items.reserve(self.dict()->size());
  for (const auto& [key, value] : self.dict()->entries()) {
    if constexpr (kind == List::kItems) {
      items.push_back(make_list({key, value}, List::kTuple));
    } else {
      items.push_back(kind == List::kKeys ? key : value);
    }
  }
  return make_list(std::move(items), kind);
}

Value dict_get(Runtime&, const Value& self, Args args) {
  const BoundArgs bound("get", std::move(args), {"key", "default"});
  const Value* found = self.dict()->find(bound.required(0));
  return found != nullptr ? *found : bound.get(1, None{});
}

constexpr Entry kStringMethods[] = {
    {"strip", strip_method<true, true>},
    {"lstrip", strip_method<true, false>},
    {"rstrip", strip_method<false, true>},
    {"split", split_method<false>},
    {"rsplit", split_method<true>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<false>},
    {"endswith", affix_method<true>},
    {"find", find_in_string<false, false>},
    {"rfind", find_in_string<true, false>},
    {"index", find_in_string<false, true>},
    {"rindex", find_in_string<true, true>},
    {"count", count_in_string},
    {"replace", replace_method},
    {"upper", plain_method<upper>},
    {"lower", plain_method<lower>},
    {"casefold", plain_method<lower>},
    {"swapcase", plain_method<swap_case>},
    {"capitalize", plain_method<capitalize>},
    {"title", plain_method<title>},
    {"join", join_method},
    {"format", format_method},
    {"isspace", all_characters<is_space>},
    {"isalpha", all_characters<is_letter>},
    {"isdigit", all_characters<is_decimal>},
    {"isdecimal", all_characters<is_decimal>},
    {"isnumeric", all_characters<is_decimal>},
    {"isalnum", all_characters<is_alphanumeric>},
    {"isupper", cased<is_upper, is_lower>},
    {"islower", cased<is_lower, is_upper>},
    {"partition", partition_method<false>},
    {"rpartition", partition_method<true>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"center", nullptr},
    {"encode", nullptr},
    {"expandtabs", nullptr},
    {"format_map", nullptr},
    {"isascii", nullptr},
    {"isidentifier", nullptr},
    {"isprintable", nullptr},
    {"istitle", nullptr},
    {"ljust", nullptr},
    {"maketrans", nullptr},
    {"rjust", nullptr},
    {"translate", nullptr},
    {"zfill", nullptr},
};

constexpr Entry kListMethods[] = {
    {"count", list_count}, {"index", list_index}, {"copy", copy_method}, {"append", nullptr},
    {"clear", nullptr},    {"extend", nullptr},   {"insert", nullptr},   {"pop", nullptr},
    {"remove", nullptr},   {"reverse", nullptr},  {"sort", nullptr},
};

constexpr Entry kTupleMethods[] = {{"count", list_count}, {"index", list_index}};

constexpr Entry kDictMethods[] = {
    {"items", dict_view<List::kItems>},
    {"keys", dict_view<List::kKeys>},
    {"values", dict_view<List::kValues>},
    {"get", dict_get},
    {"copy", copy_method},
    {"clear", nullptr},
    {"fromkeys", nullptr},
    {"pop", nullptr},
    {"popitem", nullptr},
    {"setdefault", nullptr},
    {"update", nullptr},
};

std::span<const Entry> methods_of(const Value& value) {
  if (value.is_string()) return kStringMethods;
  if (value.is_dict()) return kDictMethods;
  if (value.is_list() && value.list()->kind == List::kList) return kListMethods;
  if (value.is_list() && value.list()->kind <= List::kRange) return kTupleMethods;
  return {};
}

}  // namespace

bool find_method(const Value& value, std::string_view name, Value* method) {
  const std::span<const Entry> methods = methods_of(value);
  const auto entry = std::find_if(methods.begin(), methods.end(), [&](const Entry& e) { return e.name == name; });
  if (entry == methods.end()) return false;
  if (entry->method == nullptr) {
    *method =
        Value::undefined(fmt::format("the method '{}' of a {} is not allowed in a template", name, value.type_name()));
  } else {
    *method = make_function([value, body = entry->method](Runtime& runtime, Args args) {
      runtime.charge();
      return body(runtime, value, std::move(args));
    });
  }
  return true;
}

}  // namespace vortex::text::jinja
