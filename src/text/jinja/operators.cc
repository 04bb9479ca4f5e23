#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/fault.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_format.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

void require_defined(const Value& value) {
  if (value.is_undefined()) fail("{}", value.why_undefined());
}

[[noreturn]] void overflow() { fail("an integer does not fit 64 bits"); }

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == -1) return a == INT64_MIN ? (overflow(), 0) : -a;
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double float_modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return result;
}

Value integer_arithmetic(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  const bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) fail("division by zero");
  bool overflows = false;
  switch (op) {
    case Operator::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      return static_cast<double>(a) / static_cast<double>(b);
    case Operator::kFloorDivide:
      return floor_divide(a, b);
    case Operator::kModulo:
      return floor_modulo(a, b);
    default:
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      return integer_power(a, b);
  }
  if (overflows) overflow();
  return result;
}

Value float_arithmetic(Operator op, double a, double b) {
  const bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) fail("division by zero");
  switch (op) {
    case Operator::kAdd:
      return a + b;
    case Operator::kSubtract:
      return a - b;
    case Operator::kMultiply:
      return a * b;
    case Operator::kDivide:
      return a / b;
    case Operator::kFloorDivide:
      return std::floor(a / b);
    case Operator::kModulo:
      return float_modulo(a, b);
    default:
      return std::pow(a, b);
  }
}

Value join_strings(Runtime& runtime, const MarkedString& a, const MarkedString& b) {
  runtime.check_size(a.size() + b.size());
  const bool markup = a.markup || b.markup;
  MarkedString result;
  result.append(markup && !a.markup ? escape_html(runtime, a) : a);
  result.append(markup && !b.markup ? escape_html(runtime, b) : b);
  result.markup = markup;
  return result;
}

Value join_lists(Runtime& runtime, const List& a, const List& b) {
  runtime.charge(static_cast<int64_t>((a.items.size() + b.items.size()) / 8));
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return make_list(std::move(items), a.kind);
}

Value repeat_string(Runtime& runtime, const MarkedString& string, int64_t count) {
  MarkedString result;
  if (string.empty() || count <= 0) return result;
  const size_t most = runtime.caps().max_output / string.size();
  runtime.check_size(static_cast<uint64_t>(count) > most ? runtime.caps().max_output + 1
                                                         : string.size() * static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) result.append(string);
  result.markup = string.markup;
  return result;
}

Value repeat_list(Runtime& runtime, const List& list, int64_t count) {
  std::vector<Value> items;
  for (int64_t i = 0; i < count && !list.items.empty(); ++i) {
    runtime.charge(static_cast<int64_t>(list.items.size() / 8 + 1));
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return make_list(std::move(items), list.kind);
}

bool is_plain_sequence(const Value& value) { return value.is_list() && value.list()->kind <= List::kTuple; }

Value multiply_sequence(Runtime& runtime, const Value& sequence, int64_t count) {
  return sequence.is_string() ? repeat_string(runtime, sequence.string(), count)
                              : repeat_list(runtime, *sequence.list(), count);
}

struct Span {
  int64_t start, stop, step;
};

// Python's slice.indices().
Span resolve_slice(int64_t size, const Value& start, const Value& stop, const Value& step) {
  const auto open = [](const Value& bound) { return bound.is_none(); };
  const int64_t by = open(step) ? 1 : to_integer(step, "step");
  if (by == 0) fail("the step of a slice cannot be zero");
  const int64_t low = by < 0 ? -1 : 0;
  const int64_t high = by < 0 ? size - 1 : size;
  const auto clamp = [&](const Value& bound, int64_t fallback) {
    if (open(bound)) return fallback;
    int64_t at = to_integer(bound, "slice");
    if (at < 0) at = std::max<int64_t>(at, -size - 1) + size;
    return std::clamp(at, low, high);
  };
  return {clamp(start, by < 0 ? high : low), clamp(stop, by < 0 ? low : high), std::clamp(by, -size - 1, size + 1)};
}

template <class Take>
void walk(const Span& span, Take take) {
  for (int64_t i = span.start; span.step < 0 ? i > span.stop : i < span.stop; i += span.step)
    take(static_cast<size_t>(i));
}

Value slice_string(Runtime& runtime, const MarkedString& string, const Value& start, const Value& stop,
                   const Value& step) {
  const std::string& text = string.text();
  const Span span = resolve_slice(static_cast<int64_t>(length_of(text)), start, stop, step);
  runtime.check_size(text.size());
  MarkedString result;
  if (span.step == 1 && span.start < span.stop) {
    result = string.slice(byte_offset(text, static_cast<size_t>(span.start)),
                          byte_offset(text, static_cast<size_t>(span.stop)));
  } else if (span.step != 1) {
    std::vector<size_t> offsets;
    for_each_character(text, [&](char32_t, size_t begin, size_t) { offsets.push_back(begin); });
    offsets.push_back(text.size());
    walk(span, [&](size_t i) { result.append(string, offsets[i], offsets[i + 1]); });
  }
  result.markup = string.markup;
  return result;
}

Value slice_list(Runtime& runtime, const List& list, const Value& start, const Value& stop, const Value& step) {
  runtime.charge(static_cast<int64_t>(list.items.size() / 8));
  const Span span = resolve_slice(static_cast<int64_t>(list.items.size()), start, stop, step);
  std::vector<Value> items;
  walk(span, [&](size_t i) { items.push_back(list.items[i]); });
  return make_list(std::move(items), list.kind);
}

Value character_at(Runtime& runtime, const MarkedString& string, int64_t index) {
  const std::string& text = string.text();
  runtime.charge_bytes(text.size());
  const auto size = static_cast<int64_t>(length_of(text));
  if (index < -size || index >= size) return Value::undefined("a string has no such index");
  const size_t begin = byte_offset(text, static_cast<size_t>(index < 0 ? index + size : index));
  return string.slice(begin, begin + utf8_unit(text, begin).size);
}

Value element_at(const List& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.items.size());
  if (index < -size || index >= size)
    return Value::undefined(fmt::format("a list of {} has no element {}", size, index));
  return list.items[static_cast<size_t>(index < 0 ? index + size : index)];
}

bool is_indexable(const Value& value) { return value.is_list() && value.list()->kind <= List::kRange; }

Value missing(const Value& value, std::string_view name) {
  return Value::undefined(fmt::format("a {} has no attribute '{}'", value.type_name(), name));
}

}  // namespace

Value arithmetic(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  require_defined(a);
  if (op == Operator::kModulo && a.is_string()) return percent_format(runtime, a.string(), b);
  require_defined(b);
  if (a.is_integral() && b.is_integral()) return integer_arithmetic(op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return float_arithmetic(op, a.number(), b.number());
  if (op == Operator::kAdd && a.is_string() && b.is_string()) return join_strings(runtime, a.string(), b.string());
  const bool same_lists = is_plain_sequence(a) && is_plain_sequence(b) && a.list()->kind == b.list()->kind;
  if (op == Operator::kAdd && same_lists) return join_lists(runtime, *a.list(), *b.list());
  if (op == Operator::kMultiply) {
    if ((a.is_string() || is_plain_sequence(a)) && b.is_integral()) return multiply_sequence(runtime, a, b.integer());
    if ((b.is_string() || is_plain_sequence(b)) && a.is_integral()) return multiply_sequence(runtime, b, a.integer());
  }
  static constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  fail("'{}' does not work on {} and {}", kSymbols[static_cast<size_t>(op)], a.type_name(), b.type_name());
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) fail("'in' looks for a string in a string, not for a {}", item.type_name());
    runtime.charge_bytes(container.string().size());
    return container.string().text().find(item.string().text()) != std::string::npos;
  }
  if (container.is_dict()) return container.dict()->find(item) != nullptr;
  const ListPtr list = iterate(runtime, container);
  runtime.charge(static_cast<int64_t>(list->items.size() / 8));
  return std::any_of(list->items.begin(), list->items.end(), [&](const Value& other) { return equal(other, item); });
}

bool compare(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return equal(a, b);
    case Operator::kNotEqual:
      return !equal(a, b);
    case Operator::kLess:
      return less(a, b);
    case Operator::kGreater:
      return less(b, a);
    case Operator::kLessEqual:
      return less(a, b) || equal(a, b);
    case Operator::kGreaterEqual:
      return less(b, a) || equal(a, b);
    case Operator::kIn:
      return contains(runtime, b, a);
    default:
      return !contains(runtime, b, a);
  }
}

Value negate(const Value& value) {
  require_defined(value);
  if (value.is_float()) return -value.number();
  if (!value.is_integral()) fail("'-' does not work on {}", value.type_name());
  return integer_arithmetic(Operator::kSubtract, 0, value.integer());
}

Value get_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  require_defined(value);
  runtime.charge();
  Value result;
  if (value.is_object() && value.object()->attribute(name, &result)) return result;
  if (find_method(value, name, &result)) return result;
  const Value* item = value.is_dict() ? value.dict()->find(name) : nullptr;
  return item != nullptr ? *item : missing(value, name);
}

Value get_item(Runtime& runtime, const Value& value, const Value& key) {
  require_defined(value);
  runtime.charge();
  if (value.is_dict()) {
    const bool hashable = !key.is_dict() && !(key.is_list() && key.list()->kind == List::kList);
    const Value* item = hashable ? value.dict()->find(key) : nullptr;
    if (item != nullptr) return *item;
  }
  if (key.is_integral() && is_indexable(value)) return element_at(*value.list(), key.integer());
  if (key.is_integral() && value.is_string()) return character_at(runtime, value.string(), key.integer());
  if (!key.is_string()) return Value::undefined(fmt::format("a {} has no such item", value.type_name()));
  Value result;
  if (value.is_object() && value.object()->attribute(key.string().text(), &result)) return result;
  return find_method(value, key.string().text(), &result) ? result : missing(value, key.string().text());
}

Value get_slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop, const Value& step) {
  require_defined(value);
  if (value.is_string()) return slice_string(runtime, value.string(), start, stop, step);
  if (is_indexable(value)) return slice_list(runtime, *value.list(), start, stop, step);
  return Value::undefined(fmt::format("a {} cannot be sliced", value.type_name()));
}

int64_t length(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_dict()) return static_cast<int64_t>(value.dict()->size());
  if (value.is_list() && value.list()->kind != List::kGenerator)
    return static_cast<int64_t>(value.list()->items.size());
  if (!value.is_string()) fail("a {} has no length", value.type_name());
  runtime.charge_bytes(value.string().size());
  return static_cast<int64_t>(length_of(value.string().text()));
}

MarkedString escape_html(Runtime& runtime, const MarkedString& text) {
  static constexpr std::string_view kSpecial = "&<>'\"";
  static constexpr std::string_view kEscapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  runtime.charge_bytes(text.size());
  MarkedString result;
  size_t copied = 0;
  const std::string& bytes = text.text();
  for (size_t at = bytes.find_first_of(kSpecial); at != std::string::npos; at = bytes.find_first_of(kSpecial, at + 1)) {
    result.append(text, copied, at);
    result.append_as(kEscapes[kSpecial.find(bytes[at])], text.is_untrusted(at));
    copied = at + 1;
  }
  runtime.check_size(result.size());
  result.append(text, copied, text.size());
  result.markup = true;
  return result;
}

}  // namespace vortex::text::jinja
