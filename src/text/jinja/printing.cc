#include "text/jinja/printing.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/fault.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

// Lays out shortest digits as float.__repr__ does: an exponent below 1e-4 and from 1e16 on.
std::string lay_out(const std::string& digits, int exponent) {
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string_view point = count > 1 ? "." : "";
    return fmt::format("{}{}{}e{}{:02}", digits[0], point, digits.substr(1), exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  if (exponent < 0) return fmt::format("0.{:0>{}}", digits, count - exponent - 1);
  if (count <= exponent + 1) return digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  const auto whole = static_cast<size_t>(exponent + 1);
  return fmt::format("{}.{}", digits.substr(0, whole), digits.substr(whole));
}

std::string_view named_escape(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\\':
      return "\\\\";
    default:
      return {};
  }
}

std::string repr_escape(char32_t c, char quote) {
  if (c == static_cast<char32_t>(quote)) return fmt::format("\\{}", quote);
  if (!named_escape(c).empty()) return std::string(named_escape(c));
  if (is_printable(c)) return {};
  const auto code = static_cast<uint32_t>(c);
  if (code < 0x100) return fmt::format("\\x{:02x}", code);
  return code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
}

std::string json_escape(char32_t c, bool ensure_ascii) {
  if (c == '"') return "\\\"";
  if (c == '\b') return "\\b";
  if (c == '\f') return "\\f";
  if (!named_escape(c).empty()) return std::string(named_escape(c));
  const auto code = static_cast<uint32_t>(c);
  if (code >= 0x20 && (!ensure_ascii || code < 0x7F || code == 0x7F)) return {};
  if (code < 0x10000) return fmt::format("\\u{:04x}", code);
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
}

// Copies a string with some characters replaced; an escape is as untrusted as what it stands for.
template <class Escape>
void append_escaped(Runtime& runtime, const MarkedString& string, Escape escape, MarkedString& out) {
  runtime.check_size(out.size() + string.size());
  size_t copied = 0;
  for_each_character(string.text(), [&](char32_t c, size_t begin, size_t size) {
    const std::string replacement = escape(c);
    if (replacement.empty()) return;
    out.append(string, copied, begin);
    out.append_as(replacement, string.is_untrusted(begin));
    copied = begin + size;
  });
  out.append(string, copied, string.size());
}

void append_string_repr(Runtime& runtime, const MarkedString& string, MarkedString& out) {
  const bool has_single = string.text().find('\'') != std::string::npos;
  const bool has_double = string.text().find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  if (string.markup) out.append("Markup(");
  out.append(std::string_view(&quote, 1));
  append_escaped(
      runtime, string, [quote](char32_t c) { return repr_escape(c, quote); }, out);
  out.append(std::string_view(&quote, 1));
  if (string.markup) out.append(")");
}

void append_items(Runtime& runtime, const std::vector<Value>& items, MarkedString& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(runtime, items[i], out);
  }
}

void append_range(const std::vector<Value>& items, MarkedString& out) {
  const int64_t start = items.empty() ? 0 : items.front().integer();
  const int64_t step = items.size() > 1 ? items[1].integer() - start : 1;
  const int64_t stop = items.empty() ? 0 : items.back().integer() + step;
  out.append(step == 1 ? fmt::format("range({}, {})", start, stop)
                       : fmt::format("range({}, {}, {})", start, stop, step));
}

void append_list_repr(Runtime& runtime, const List& list, MarkedString& out) {
  switch (list.kind) {
    case List::kRange:
      return append_range(list.items, out);
    case List::kGenerator:
      return out.append("<generator object>");
    case List::kKeys:
      out.append("dict_keys(");
      break;
    case List::kValues:
      out.append("dict_values(");
      break;
    case List::kItems:
      out.append("dict_items(");
      break;
    default:
      break;
  }
  const bool is_tuple = list.kind == List::kTuple;
  out.append(is_tuple ? "(" : "[");
  append_items(runtime, list.items, out);
  if (is_tuple && list.items.size() == 1) out.append(",");
  out.append(is_tuple ? ")" : "]");
  if (list.kind != List::kList && !is_tuple) out.append(")");
}

void append_dict_repr(Runtime& runtime, const Dict& dict, MarkedString& out) {
  out.append("{");
  std::string_view separator;
  for (const auto& [key, value] : dict.entries()) {
    out.append(separator);
    append_repr(runtime, key, out);
    out.append(": ");
    append_repr(runtime, value, out);
    separator = ", ";
  }
  out.append("}");
}

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style, MarkedString& out)
      : runtime_(runtime), style_(style), out_(out) {}

  void write(const Value& value) {
    runtime_.charge();
    if (value.is_string()) return write_string(value.string());
    if (value.is_list() && value.list()->kind <= List::kTuple) return write_list(value.list()->items);
    if (value.is_dict()) return write_dict(*value.dict());
    const std::string_view text = value.is_none()   ? "null"
                                  : value.is_bool() ? (value.boolean() ? "true" : "false")
                                                    : "";
    if (!text.empty()) return out_.append(text);
    if (value.is_float()) return out_.append(number_text(value.number()));
    if (value.is_integral()) return out_.append(fmt::format("{}", value.integer()));
    fail("a value of type {} cannot be written as JSON", value.type_name());
  }

 private:
  static std::string number_text(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return float_text(number);
  }

  void write_string(const MarkedString& string) {
    out_.append("\"");
    append_escaped(
        runtime_, string, [this](char32_t c) { return json_escape(c, style_.ensure_ascii); }, out_);
    out_.append("\"");
  }

  void new_line() {
    if (!style_.has_indent) return;
    runtime_.check_size(out_.size() + level_ * style_.indent.size());
    out_.append("\n");
    for (size_t i = 0; i < level_; ++i) out_.append(style_.indent);
  }

  template <class WriteItem>
  void write_items(std::string_view brackets, size_t count, WriteItem write_item) {
    out_.append(brackets.substr(0, 1));
    ++level_;
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line();
      write_item(i);
    }
    --level_;
    if (count > 0) new_line();
    out_.append(brackets.substr(1));
  }

  void write_list(const std::vector<Value>& items) {
    write_items("[]", items.size(), [&](size_t i) { write(items[i]); });
  }

  void write_key(const Value& key) {
    if (key.is_string()) return write_string(key.string());
    if (key.is_list() || key.is_object() || key.is_undefined()) {
      fail("a key of type {} cannot be written as JSON", key.type_name());
    }
    out_.append("\"");
    write(key);
    out_.append("\"");
  }

  void write_dict(const Dict& dict) {
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return less(a->first, b->first); });
    }
    write_items("{}", entries.size(), [&](size_t i) {
      write_key(entries[i]->first);
      out_.append(style_.key_separator);
      write(entries[i]->second);
    });
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  MarkedString& out_;
  size_t level_ = 0;
};

}  // namespace

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), std::abs(number), std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  std::string digits(text.substr(0, e));
  std::erase(digits, '.');
  const int magnitude = std::stoi(std::string(text.substr(e + 2)));
  return fmt::format("{}{}", std::signbit(number) ? "-" : "",
                     lay_out(digits, text[e + 1] == '-' ? -magnitude : magnitude));
}

MarkedString to_text(Runtime& runtime, const Value& value) {
  MarkedString out;
  append_text(runtime, value, out);
  return out;
}

void append_text(Runtime& runtime, const Value& value, MarkedString& out) {
  if (value.is_undefined()) return;
  if (!value.is_string()) return append_repr(runtime, value, out);
  runtime.check_size(out.size() + value.string().size());
  out.append(value.string());
}

void append_repr(Runtime& runtime, const Value& value, MarkedString& out) {
  runtime.charge();
  if (value.is_string()) return append_string_repr(runtime, value.string(), out);
  if (value.is_list()) return append_list_repr(runtime, *value.list(), out);
  if (value.is_dict()) return append_dict_repr(runtime, *value.dict(), out);
  if (value.is_none()) return out.append("None");
  if (value.is_bool()) return out.append(value.boolean() ? "True" : "False");
  if (value.is_float()) return out.append(float_text(value.number()));
  if (value.is_integral()) return out.append(fmt::format("{}", value.integer()));
  if (value.is_undefined()) return out.append("Undefined");
  out.append(fmt::format("<{}>", value.type_name()));
}

void append_json(Runtime& runtime, const Value& value, const JsonStyle& style, MarkedString& out) {
  JsonWriter(runtime, style, out).write(value);
}

}  // namespace vortex::text::jinja
