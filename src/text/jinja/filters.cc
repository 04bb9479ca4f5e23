#include "text/jinja/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/fault.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/python_format.h"
#include "text/jinja/string_ops.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

void no_arguments(std::string_view name, Args args) { const BoundArgs bound(name, std::move(args), {}); }

Value default_filter(Runtime&, const Value& value, Args args) {
  const BoundArgs bound("default", std::move(args), {"default_value", "boolean"});
  const bool replaces = value.is_undefined() || (bound.flag(1, false) && !value.truthy());
  return replaces ? bound.get(0, MarkedString()) : value;
}

template <MarkedString (*operation)(Runtime&, const MarkedString&)>
Value text_filter(Runtime& runtime, const Value& value, Args args) {
  no_arguments("filter", std::move(args));
  return operation(runtime, to_text(runtime, value));
}

Value trim_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("trim", std::move(args), {"chars"});
  const MarkedString text = to_text(runtime, value);
  if (!bound.has(0) || bound.required(0).is_none()) return strip(text, std::nullopt, true, true);
  if (!bound.required(0).is_string()) fail("trim needs a str");
  return strip(text, bound.required(0).string().text(), true, true);
}

Value string_filter(Runtime& runtime, const Value& value, Args args) {
  no_arguments("string", std::move(args));
  return value.is_string() ? value : Value(to_text(runtime, value));
}

Value safe_filter(Runtime& runtime, const Value& value, Args args) {
  no_arguments("safe", std::move(args));
  MarkedString text = to_text(runtime, value);
  text.markup = true;
  return text;
}

Value escape_filter(Runtime& runtime, const Value& value, Args args) {
  no_arguments("escape", std::move(args));
  const bool escaped = value.is_string() && value.string().markup;
  return escaped ? value : Value(escape_html(runtime, to_text(runtime, value)));
}

Value replace_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("replace", std::move(args), {"old", "new", "count"});
  const MarkedString old = to_text(runtime, bound.required(0));
  const int64_t count = bound.has(2) && !bound.required(2).is_none() ? bound.integer(2, -1) : -1;
  return replace(runtime, to_text(runtime, value), old.text(), to_text(runtime, bound.required(1)), count);
}

MarkedString spaces(Runtime& runtime, int64_t count) {
  const auto size = static_cast<size_t>(std::max<int64_t>(count, 0));
  runtime.check_size(size);
  return MarkedString::trusted(std::string(size, ' '));
}

Value indent_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("indent", std::move(args), {"width", "first", "blank"});
  if (!value.is_string()) fail("indent needs a str, not a {}", value.type_name());
  const bool by_text = bound.has(0) && bound.required(0).is_string();
  const MarkedString by = by_text ? bound.required(0).string() : spaces(runtime, bound.integer(0, 4));
  return indent(runtime, value.string(), by, bound.flag(1, false), bound.flag(2, false));
}

Value center_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("center", std::move(args), {"width"});
  const MarkedString text = to_text(runtime, value);
  const int64_t missing = std::max<int64_t>(bound.integer(0, 80) - static_cast<int64_t>(length_of(text.text())), 0);
  // Python puts the odd space left when the width is odd.
  const int64_t left = missing / 2 + (missing & bound.integer(0, 80) & 1);
  MarkedString out = spaces(runtime, left);
  out.append(text);
  out.append(spaces(runtime, missing - left));
  return out;
}

Value truncate_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("truncate", std::move(args), {"length", "killwords", "end", "leeway"});
  const MarkedString text = to_text(runtime, value);
  const MarkedString end = to_text(runtime, bound.get(2, Value::string("...")));
  const int64_t limit = bound.integer(0, 255);
  const int64_t leeway = bound.integer(3, 5);
  const auto tail = static_cast<int64_t>(length_of(end.text()));
  if (limit < tail || leeway < 0 || limit > INT32_MAX || leeway > INT32_MAX)
    fail("truncate: impossible length or leeway");
  if (static_cast<int64_t>(length_of(text.text())) <= limit + leeway) return value;
  MarkedString kept = text.slice(0, byte_offset(text.text(), static_cast<size_t>(limit - tail)));
  const size_t space = bound.flag(1, false) ? std::string::npos : kept.text().rfind(' ');
  if (space != std::string::npos) kept = kept.slice(0, space);
  kept.append(end);
  return kept;
}

Value wordcount_filter(Runtime& runtime, const Value& value, Args args) {
  no_arguments("wordcount", std::move(args));
  const MarkedString text = to_text(runtime, value);
  int64_t count = 0;
  bool in_word = false;
  for_each_character(text.text(), [&](char32_t c, size_t, size_t) {
    const bool part = is_letter(c) || is_decimal(c) || c == '_';
    count += part && !in_word;
    in_word = part;
  });
  return count;
}

Value format_filter(Runtime& runtime, const Value& value, Args args) {
  if (!args.positional.empty() && !args.keyword.empty()) fail("format takes positional or named arguments, not both");
  if (args.keyword.empty()) {
    return percent_format(runtime, to_text(runtime, value), make_list(std::move(args.positional), List::kTuple));
  }
  auto dict = std::make_shared<Dict>();
  for (auto& [name, argument] : args.keyword) dict->set(Value::string(name), std::move(argument));
  return percent_format(runtime, to_text(runtime, value), DictPtr(std::move(dict)));
}

// --- numbers

// What Python's int() and float() accept: white space around, single underscores between digits.
std::string number_text(const MarkedString& string) {
  std::string text = strip(string, std::nullopt, true, true).text();
  if (text.starts_with('+') && !text.starts_with("+-")) text.erase(0, 1);
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '_' && std::isalnum(static_cast<unsigned char>(text[i - 1])) &&
        std::isalnum(static_cast<unsigned char>(text[i + 1]))) {
      text.erase(i, 1);
    }
  }
  return text;
}

std::optional<double> parse_float(const MarkedString& string) {
  const std::string text = number_text(string);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || end != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) return text[0] == '-' ? -HUGE_VAL : HUGE_VAL;
  return number;
}

std::optional<int64_t> parse_integer(const MarkedString& string, int base) {
  std::string text = number_text(string);
  const bool prefixed = base == 16 && (text.starts_with("0x") || text.starts_with("0X"));
  if (prefixed) text.erase(0, 2);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error == std::errc::result_out_of_range) fail("an integer does not fit 64 bits");
  if (text.empty() || end != text.data() + text.size() || error != std::errc()) return std::nullopt;
  return number;
}

std::optional<int64_t> truncated(double number) {
  if (std::isnan(number) || std::isinf(number)) return std::nullopt;
  if (std::abs(number) >= 9.2e18) fail("an integer does not fit 64 bits");
  return static_cast<int64_t>(number);
}

Value int_filter(Runtime&, const Value& value, Args args) {
  const BoundArgs bound("int", std::move(args), {"default", "base"});
  if (value.is_undefined()) fail("{}", value.why_undefined());
  const int64_t base = bound.integer(1, 10);
  if (base < 2 || base > 36) fail("int: the base must lie between 2 and 36");
  if (value.is_integral()) return value.integer();
  std::optional<int64_t> number;
  if (value.is_float()) number = truncated(value.number());
  if (value.is_string()) number = parse_integer(value.string(), static_cast<int>(base));
  if (!number && value.is_string()) {
    const std::optional<double> wide = parse_float(value.string());
    if (wide) number = truncated(*wide);
  }
  return number ? Value(*number) : bound.get(0, int64_t{0});
}

Value float_filter(Runtime&, const Value& value, Args args) {
  const BoundArgs bound("float", std::move(args), {"default"});
  if (value.is_undefined()) fail("{}", value.why_undefined());
  if (value.is_number()) return value.number();
  const std::optional<double> number = value.is_string() ? parse_float(value.string()) : std::nullopt;
  return number ? Value(*number) : bound.get(0, 0.0);
}

Value abs_filter(Runtime&, const Value& value, Args args) {
  no_arguments("abs", std::move(args));
  if (value.is_undefined()) fail("{}", value.why_undefined());
  if (!value.is_number()) fail("abs needs a number, not a {}", value.type_name());
  if (value.is_float()) return std::abs(value.number());
  return value.integer() < 0 ? negate(value) : Value(value.integer());
}

// Correctly rounded decimal places, ties to even, as Python's round().
double round_to(double number, int64_t places) {
  if (!std::isfinite(number) || places > 300) return number;
  if (places >= 0) {
    const std::string text = fmt::format("{:.{}f}", number, places);
    double rounded = 0;
    std::from_chars(text.data(), text.data() + text.size(), rounded);
    return rounded;
  }
  const double scale = std::pow(10.0, static_cast<double>(-places));
  return std::isinf(scale) ? 0.0 : std::nearbyint(number / scale) * scale;
}

Value round_filter(Runtime&, const Value& value, Args args) {
  const BoundArgs bound("round", std::move(args), {"precision", "method"});
  if (value.is_undefined()) fail("{}", value.why_undefined());
  if (!value.is_number()) fail("round needs a number, not a {}", value.type_name());
  const int64_t places = bound.integer(0, 0);
  const Value method = bound.get(1, Value::string("common"));
  const std::string name = method.is_string() ? method.string().text() : "";
  if (name == "common") {
    if (value.is_integral() && places >= 0) return value.integer();
    const double rounded = round_to(value.number(), places);
    return value.is_integral() ? Value(truncated(rounded).value_or(0)) : Value(rounded);
  }
  if (name != "ceil" && name != "floor") fail("round: the method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(places));
  return (name == "ceil" ? std::ceil(value.number() * scale) : std::floor(value.number() * scale)) / scale;
}

// --- JSON

// json.dumps takes a number of spaces or the text of one level.
void set_indent(Runtime& runtime, const Value& indent, JsonStyle& style) {
  if (indent.is_none()) return;
  style.has_indent = true;
  style.indent = indent.is_string() ? indent.string() : spaces(runtime, to_integer(indent, "indent"));
}

Value tojson_filter(Runtime& runtime, const Value& value, Args args) {
  const BoundArgs bound("tojson", std::move(args), {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.flag(0, false);
  style.sort_keys = bound.flag(3, false);
  set_indent(runtime, bound.get(1, None{}), style);
  style.item_separator = MarkedString::trusted(style.has_indent ? "," : ", ");
  style.key_separator = MarkedString::trusted(": ");
  const Value separators = bound.get(2, None{});
  if (!separators.is_none()) {
    const ListPtr pair = iterate(runtime, separators);
    if (pair->items.size() != 2 || !pair->items[0].is_string() || !pair->items[1].is_string()) {
      fail("tojson: separators must be two strings");
    }
    style.item_separator = pair->items[0].string();
    style.key_separator = pair->items[1].string();
  }
  MarkedString out;
  append_json(runtime, value, style, out);
  runtime.check_size(out.size());
  return out;
}

constexpr FilterEntry kFilters[] = {
    {"default", default_filter},
    {"d", default_filter},
    {"trim", trim_filter},
    {"string", string_filter},
    {"safe", safe_filter},
    {"escape", escape_filter},
    {"e", escape_filter},
    {"upper", text_filter<upper>},
    {"lower", text_filter<lower>},
    {"capitalize", text_filter<capitalize>},
    {"title", text_filter<title_words>},
    {"replace", replace_filter},
    {"indent", indent_filter},
    {"center", center_filter},
    {"truncate", truncate_filter},
    {"wordcount", wordcount_filter},
    {"format", format_filter},
    {"int", int_filter},
    {"float", float_filter},
    {"abs", abs_filter},
    {"round", round_filter},
    {"tojson", tojson_filter},
};

const FilterEntry* find_filter(std::string_view name) {
  for (const auto table : {scalar_filters(), sequence_filters()}) {
    const auto entry = std::find_if(table.begin(), table.end(), [&](const FilterEntry& e) { return e.name == name; });
    if (entry != table.end()) return &*entry;
  }
  return nullptr;
}

}  // namespace

std::span<const FilterEntry> scalar_filters() { return kFilters; }

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }

Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, Args args) {
  runtime.charge();
  const FilterEntry* entry = find_filter(name);
  if (entry == nullptr) fail("there is no filter '{}'", name);
  return entry->filter(runtime, value, std::move(args));
}

}  // namespace vortex::text::jinja
