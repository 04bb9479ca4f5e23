#include "text/jinja/python_format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "text/jinja/fault.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

constexpr int kMaxWidth = 10'000;

/// [[fill]align][sign][#][0][width][,][.precision][type]
struct Spec {
  std::string fill = std::string(1, ' ');
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool thousands = false;
  int width = 0;
  int precision = -1;
  char type = '\0';
};

class SpecReader {
 public:
  explicit SpecReader(std::string_view text) : text_(text) {}

  Spec read() {
    read_alignment();
    if (at_any("+- ")) spec_.sign = take();
    if (accept('#')) spec_.alternate = true;
    if (accept('0') && spec_.align == '\0') {
      spec_.fill = std::string(1, '0');
      spec_.align = '=';
    }
    spec_.width = read_number();
    spec_.thousands = accept(',');
    if (accept('.')) spec_.precision = read_number();
    if (pos_ < text_.size()) spec_.type = take();
    if (pos_ != text_.size()) fail("the format '{}' is not supported", text_);
    return spec_;
  }

  int read_number() {
    int number = 0;
    while (pos_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[pos_])) != 0) {
      number = number * 10 + (take() - '0');
      if (number > kMaxWidth) fail("a width of a format is above {}", kMaxWidth);
    }
    return number;
  }

 private:
  bool at_any(std::string_view set, size_t ahead = 0) const {
    return pos_ + ahead < text_.size() && set.find(text_[pos_ + ahead]) != std::string_view::npos;
  }
  bool accept(char c) {
    const bool found = pos_ < text_.size() && text_[pos_] == c;
    pos_ += found;
    return found;
  }
  char take() { return text_[pos_++]; }

  void read_alignment() {
    const size_t fill = text_.empty() ? 0 : utf8_unit(text_, 0).size;
    if (fill > 0 && at_any("<>=^", fill)) {
      spec_.fill = text_.substr(0, fill);
      pos_ = fill;
    }
    if (at_any("<>=^")) spec_.align = take();
  }

  std::string_view text_;
  size_t pos_ = 0;
  Spec spec_;
};

MarkedString pad(Runtime& runtime, const MarkedString& text, const Spec& spec, char default_align) {
  const auto width = static_cast<size_t>(spec.width);
  const size_t size = length_of(text.text());
  if (size >= width) return text;
  const size_t missing = width - size;
  const char align = spec.align == '\0' ? default_align : spec.align;
  const size_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  runtime.check_size(text.size() + missing * spec.fill.size());
  MarkedString result;
  for (size_t i = 0; i < left; ++i) result.append(spec.fill);
  result.append(text);
  for (size_t i = left; i < missing; ++i) result.append(spec.fill);
  return result;
}

std::string with_thousands(const std::string& digits) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string result;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result.append(digits, whole);
}

std::string integer_digits(uint64_t magnitude, const Spec& spec) {
  switch (spec.type) {
    case 'x':
      return spec.alternate ? fmt::format("{:#x}", magnitude) : fmt::format("{:x}", magnitude);
    case 'X':
      return spec.alternate ? fmt::format("{:#X}", magnitude) : fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{}{:o}", spec.alternate ? "0o" : "", magnitude);
    case 'b':
      return spec.alternate ? fmt::format("{:#b}", magnitude) : fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string float_digits(double magnitude, const Spec& spec) {
  if (!std::isfinite(magnitude)) return std::isnan(magnitude) ? "nan" : "inf";
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  switch (spec.type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", magnitude, precision);
    case 'e':
      return fmt::format("{:.{}e}", magnitude, precision);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, precision);
    case 'g':
      return fmt::format("{:.{}g}", magnitude, precision);
    case 'G':
      return fmt::format("{:.{}G}", magnitude, precision);
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100, precision);
    case '\0':
      if (spec.precision < 0) return float_text(magnitude);
      [[fallthrough]];
    default:
      fail("the format of a float is not supported");
  }
}

MarkedString format_number(Runtime& runtime, const Value& value, const Spec& spec) {
  const bool as_float =
      value.is_float() || (spec.type != '\0' && std::string_view("fFeEgG%").find(spec.type) != std::string_view::npos);
  if (!as_float && spec.type != '\0' && std::string_view("dxXobn").find(spec.type) == std::string_view::npos) {
    fail("the format '{}' does not work on a {}", spec.type, value.type_name());
  }
  const bool negative = as_float ? std::signbit(value.number()) : value.integer() < 0;
  const uint64_t magnitude = as_float   ? 0
                             : negative ? -static_cast<uint64_t>(value.integer())
                                        : static_cast<uint64_t>(value.integer());
  std::string digits = as_float ? float_digits(std::abs(value.number()), spec) : integer_digits(magnitude, spec);
  if (spec.thousands) digits = with_thousands(digits);
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  if (spec.align != '=') return pad(runtime, MarkedString::trusted(sign + digits), spec, '>');
  Spec rest = spec;
  rest.width = std::max(0, spec.width - static_cast<int>(sign.size()));
  MarkedString result = MarkedString::trusted(sign);
  result.append(pad(runtime, MarkedString::trusted(digits), rest, '>'));
  return result;
}

MarkedString cut(const MarkedString& text, int precision) {
  return precision < 0 ? text : text.slice(0, byte_offset(text.text(), static_cast<size_t>(precision)));
}

MarkedString format_value(Runtime& runtime, const Value& value, const std::string& spec_text) {
  if (spec_text.empty()) return to_text(runtime, value);
  const Spec spec = SpecReader(spec_text).read();
  if (value.is_number() && !(value.is_bool() && spec.type == '\0')) return format_number(runtime, value, spec);
  if (!value.is_string() && !value.is_bool()) fail("a {} takes no format '{}'", value.type_name(), spec_text);
  if (spec.type != '\0' && spec.type != 's') fail("the format '{}' does not work on a str", spec.type);
  return pad(runtime, cut(to_text(runtime, value), spec.precision), spec, '<');
}

/// "...".format(...)
class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const MarkedString& format, const Args& args)
      : runtime_(runtime), format_(format), text_(format.text()), args_(args) {}

  MarkedString run() {
    while (pos_ < text_.size()) step();
    runtime_.check_size(out_.size());
    return std::move(out_);
  }

 private:
  void step() {
    const size_t brace = std::min(text_.find_first_of("{}", pos_), text_.size());
    out_.append(format_, pos_, brace);
    pos_ = brace + 1;
    if (brace == text_.size()) return;
    if (pos_ < text_.size() && text_[pos_] == text_[brace]) {
      out_.append(format_, brace, brace + 1);
      ++pos_;
      return;
    }
    if (text_[brace] == '}') fail("a '}}' in a format has no '{{'");
    field();
  }

  void field() {
    const size_t end = text_.find('}', pos_);
    if (end == std::string::npos) fail("a '{{' in a format has no '}}'");
    std::string field = text_.substr(pos_, end - pos_);
    if (field.find('{') != std::string::npos) fail("fields inside fields of a format are not supported");
    pos_ = end + 1;
    std::string spec;
    if (const size_t colon = field.find(':'); colon != std::string::npos) {
      spec = field.substr(colon + 1);
      field.resize(colon);
    }
    char conversion = '\0';
    if (field.size() >= 2 && field[field.size() - 2] == '!') {
      conversion = field.back();
      field.resize(field.size() - 2);
    }
    append_field(convert(resolve(field), conversion), spec);
  }

  void append_field(const Value& value, const std::string& spec) {
    out_.append(format_value(runtime_, value, spec));
    runtime_.check_size(out_.size());
  }

  Value convert(Value value, char conversion) {
    if (conversion == '\0') return value;
    if (conversion == 's') return to_text(runtime_, value);
    if (conversion != 'r') fail("the conversion '!{}' is not supported", conversion);
    MarkedString text;
    append_repr(runtime_, value, text);
    return text;
  }

  Value first(const std::string& name) {
    if (name.empty()) return positional(next_++);
    const bool is_index = std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (is_index) return positional(static_cast<size_t>(SpecReader(name).read_number()));
    for (const auto& [key, value] : args_.keyword) {
      if (key == name) return value;
    }
    fail("a format asks for the argument '{}', which is not given", name);
  }

  Value positional(size_t i) {
    if (i >= args_.positional.size()) fail("a format asks for {} arguments, {} given", i + 1, args_.positional.size());
    return args_.positional[i];
  }

  Value resolve(const std::string& path) {
    size_t pos = std::min(path.find_first_of(".["), path.size());
    Value value = first(path.substr(0, pos));
    while (pos < path.size()) {
      const bool is_item = path[pos] == '[';
      const size_t end = is_item ? path.find(']', pos) : std::min(path.find_first_of(".[", pos + 1), path.size());
      if (end == std::string::npos) fail("a '[' in a format has no ']'");
      const std::string name = path.substr(pos + 1, end - pos - 1);
      value = is_item ? item(value, name) : get_attribute(runtime_, value, name);
      pos = is_item ? end + 1 : end;
    }
    return value;
  }

  Value item(const Value& value, const std::string& name) {
    const bool is_index = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) != 0;
    return get_item(runtime_, value, is_index ? Value(int64_t{SpecReader(name).read_number()}) : Value::string(name));
  }

  Runtime& runtime_;
  const MarkedString& format_;
  const std::string& text_;
  const Args& args_;
  size_t pos_ = 0;
  size_t next_ = 0;
  MarkedString out_;
};

/// "..." % ...
class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const MarkedString& format, const Value& values)
      : runtime_(runtime), format_(format), text_(format.text()), values_(values) {}

  MarkedString run() {
    while (pos_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', pos_), text_.size());
      out_.append(format_, pos_, percent);
      pos_ = percent + 1;
      if (percent < text_.size()) directive();
    }
    const bool is_tuple = values_.is_list() && values_.list()->kind == List::kTuple;
    const bool all_used = values_.is_dict() || (is_tuple ? used_ == values_.list()->items.size() : used_ == 1);
    if (!all_used && !(values_.is_list() && !is_tuple && used_ == 0))
      fail("not all arguments of a '%' format are used");
    runtime_.check_size(out_.size());
    return std::move(out_);
  }

 private:
  char peek() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }

  void directive() {
    if (peek() == '%') {
      out_.append("%");
      ++pos_;
      return;
    }
    std::string name;
    if (peek() == '(') name = read_name();
    std::string flags;
    while (peek() != '\0' && std::string_view("-+ 0#123456789.").find(peek()) != std::string_view::npos)
      flags += text_[pos_++];
    if (pos_ >= text_.size()) fail("a '%' format ends too early");
    const char type = text_[pos_++];
    append_value(name.empty() ? next_value() : named_value(name), flags, type);
    runtime_.check_size(out_.size());
  }

  std::string read_name() {
    const size_t end = text_.find(')', pos_);
    if (end == std::string::npos) fail("a '%(' in a format has no ')'");
    std::string name = text_.substr(pos_ + 1, end - pos_ - 1);
    pos_ = end + 1;
    return name;
  }

  Value next_value() {
    const bool is_tuple = values_.is_list() && values_.list()->kind == List::kTuple;
    const size_t count = is_tuple ? values_.list()->items.size() : 1;
    if (used_ >= count) fail("not enough arguments for a '%' format");
    return is_tuple ? values_.list()->items[used_++] : (++used_, values_);
  }

  Value named_value(const std::string& name) {
    const Value* value = values_.is_dict() ? values_.dict()->find(name) : nullptr;
    if (value == nullptr) fail("a '%' format asks for '{}', which is not given", name);
    return *value;
  }

  static Spec read_flags(std::string flags) {
    const bool left = std::erase(flags, '-') > 0;
    Spec spec = SpecReader(flags).read();
    if (spec.align == '\0') spec.align = '>';
    if (left) {
      spec.align = '<';
      spec.fill = std::string(1, ' ');
    }
    return spec;
  }

  void append_value(const Value& value, const std::string& flags, char type) {
    Spec spec = read_flags(flags);
    if (type == 's' || type == 'r') {
      MarkedString text;
      type == 's' ? append_text(runtime_, value, text) : append_repr(runtime_, value, text);
      return out_.append(pad(runtime_, cut(text, spec.precision), spec, '>'));
    }
    if (std::string_view("diuxXofFeEgG").find(type) == std::string_view::npos) fail("'%{}' is not supported", type);
    if (!value.is_number()) fail("'%{}' needs a number, not a {}", type, value.type_name());
    const bool whole = type == 'd' || type == 'i' || type == 'u';
    if (whole && value.is_float() && !(std::abs(value.number()) < 9e18)) fail("a float does not fit 64 bits");
    spec.type = whole ? 'd' : type;
    out_.append(
        format_number(runtime_, whole && value.is_float() ? Value(static_cast<int64_t>(value.number())) : value, spec));
  }

  Runtime& runtime_;
  const MarkedString& format_;
  const std::string& text_;
  const Value& values_;
  size_t pos_ = 0;
  size_t used_ = 0;
  MarkedString out_;
};

}  // namespace

Value percent_format(Runtime& runtime, const MarkedString& format, const Value& values) {
  return PercentFormatter(runtime, format, values).run();
}

Value brace_format(Runtime& runtime, const MarkedString& format, const Args& args) {
  return BraceFormatter(runtime, format, args).run();
}

}  // namespace vortex::text::jinja
