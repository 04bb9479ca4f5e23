#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "text/jinja/fault.h"
#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace vortex::text::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

// jinja2 reads every line ending as \n and drops the one that ends the source.
std::string normalized(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    const bool is_cr = source[i] == '\r';
    text += is_cr ? '\n' : source[i];
    if (is_cr && i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(normalized(source)) {}

  std::vector<Token> run() {
    while (pos_ < text_.size()) read_data();
    push(Token::kEof, "");
    return std::move(tokens_);
  }

 private:
  bool starts_with(std::string_view prefix) const { return std::string_view(text_).substr(pos_).starts_with(prefix); }

  bool accept(std::string_view prefix) {
    if (!starts_with(prefix)) return false;
    advance(prefix.size());
    return true;
  }

  bool accept_signed(char sign, std::string_view end) {
    if (pos_ >= text_.size() || text_[pos_] != sign || !std::string_view(text_).substr(pos_ + 1).starts_with(end)) {
      return false;
    }
    advance(1 + end.size());
    return true;
  }

  void advance(size_t count) {
    line_ += static_cast<int>(std::count(text_.begin() + pos_, text_.begin() + pos_ + count, '\n'));
    pos_ += count;
  }

  void skip_whitespace() { advance(leading_space(std::string_view(text_).substr(pos_))); }

  void push(Token::Type type, std::string text) { tokens_.push_back({type, std::move(text), line_}); }

  void push_data(std::string_view text, int line) {
    if (!text.empty()) tokens_.push_back({Token::kData, std::string(text), line});
  }

  size_t find_tag() const {
    for (size_t at = text_.find('{', pos_); at != std::string::npos; at = text_.find('{', at + 1)) {
      const char next = at + 1 < text_.size() ? text_[at + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return at;
    }
    return std::string::npos;
  }

  // Cuts the whitespace before a tag that its sign, or lstrip_blocks, takes away.
  std::string_view before_tag(std::string_view data, char sign, bool is_variable) const {
    if (sign == '-') return data.substr(0, data.size() - trailing_space(data));
    if (sign == '+' || is_variable) return data;
    const size_t newline = data.rfind('\n');
    const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (line_begin == 0 && !line_starting_) return data;
    const bool blank = leading_space(data.substr(line_begin)) == data.size() - line_begin;
    return blank ? data.substr(0, line_begin) : data;
  }

  char sign_at(size_t at) const {
    const char c = at < text_.size() ? text_[at] : '\0';
    return c == '-' || c == '+' ? c : '\0';
  }

  void read_data() {
    const size_t tag = find_tag();
    const std::string_view rest = std::string_view(text_).substr(pos_);
    if (tag == std::string::npos) {
      push_data(rest, line_);
      advance(rest.size());
      return;
    }
    const char kind = text_[tag + 1];
    const char sign = sign_at(tag + 2);
    push_data(before_tag(rest.substr(0, tag - pos_), sign, kind == '{'), line_);
    advance(tag - pos_ + (sign != '\0' ? 3 : 2));
    if (kind == '#') return skip_comment();
    if (kind == '%' && read_raw()) return;
    push(kind == '{' ? Token::kVariableBegin : Token::kBlockBegin, "");
    read_tag(kind == '{');
  }

  // The end of a tag: `+` keeps what follows, `-` drops the whitespace, a block else drops one newline.
  bool accept_end(std::string_view end, bool trims_newline) {
    const size_t begin = pos_;
    if (accept_signed('-', end)) {
      skip_whitespace();
    } else if (trims_newline && accept_signed('+', end)) {
    } else if (accept(end)) {
      if (trims_newline) accept("\n");
    } else {
      return false;
    }
    line_starting_ = pos_ > begin && text_[pos_ - 1] == '\n';
    return true;
  }

  void skip_comment() {
    const int line = line_;
    while (!accept_end("#}", true)) {
      if (pos_ >= text_.size()) fail_at(line, "a comment is not closed");
      advance(1);
    }
  }

  bool read_raw() {
    const size_t begin = pos_;
    const int line = line_;
    skip_whitespace();
    if (accept("raw")) {
      skip_whitespace();
      if (accept("-%}")) {
        skip_whitespace();
        return read_raw_body(line);
      }
      if (accept("%}")) return read_raw_body(line);
    }
    pos_ = begin;
    line_ = line;
    return false;
  }

  bool read_raw_body(int line) {
    const size_t begin = pos_;
    line_starting_ = text_[pos_ - 1] == '\n';
    for (size_t tag = text_.find("{%", pos_); tag != std::string::npos; tag = text_.find("{%", tag + 1)) {
      const char sign = sign_at(tag + 2);
      const int body_line = line_;
      advance(tag + (sign != '\0' ? 3 : 2) - pos_);
      skip_whitespace();
      if (!accept("endraw")) continue;
      skip_whitespace();
      if (!accept_end("%}", true)) continue;
      push_data(before_tag(std::string_view(text_).substr(begin, tag - begin), sign, false), body_line);
      return true;
    }
    fail_at(line, "a raw block is not closed");
  }

  void read_tag(bool is_variable) {
    const int line = line_;
    const size_t open_brackets = brackets_.size();
    while (true) {
      skip_whitespace();
      if (pos_ >= text_.size()) fail_at(line, "a tag is not closed");
      if (brackets_.size() == open_brackets) {
        const int end_line = line_;
        if (accept_end(is_variable ? "}}" : "%}", !is_variable)) {
          tokens_.push_back({is_variable ? Token::kVariableEnd : Token::kBlockEnd, "", end_line});
          return;
        }
      }
      read_token();
    }
  }

  void read_token() {
    const char c = text_[pos_];
    if (is_digit(c)) return read_number();
    if (is_name_start(c)) return read_name();
    if (c == '\'' || c == '"') return read_string();
    read_operator();
  }

  void read_name() {
    size_t end = pos_;
    while (end < text_.size() && is_name_part(text_[end])) ++end;
    push(Token::kName, text_.substr(pos_, end - pos_));
    advance(end - pos_);
  }

  size_t skip_digits(size_t at) const {
    while (at < text_.size() &&
           (is_digit(text_[at]) || (text_[at] == '_' && at + 1 < text_.size() && is_digit(text_[at + 1]))))
      ++at;
    return at;
  }

  size_t exponent_end(size_t at) const {
    if (at >= text_.size() || (text_[at] != 'e' && text_[at] != 'E')) return at;
    size_t digits = at + 1;
    if (digits < text_.size() && (text_[digits] == '+' || text_[digits] == '-')) ++digits;
    return digits < text_.size() && is_digit(text_[digits]) ? skip_digits(digits) : at;
  }

  void read_number() {
    size_t end = skip_digits(pos_);
    const size_t integer_end = end;
    const bool after_dot = pos_ > 0 && text_[pos_ - 1] == '.';
    if (!after_dot) {
      if (end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) end = skip_digits(end + 1);
      end = exponent_end(end);
    }
    std::string digits = text_.substr(pos_, end - pos_);
    std::erase(digits, '_');
    push(end > integer_end ? Token::kFloat : Token::kInteger, std::move(digits));
    advance(end - pos_);
  }

  void read_string() {
    const int line = line_;
    const char quote = text_[pos_];
    advance(1);
    std::string value;
    while (pos_ < text_.size() && text_[pos_] != quote) {
      if (text_[pos_] == '\\') {
        read_escape(value);
      } else {
        value += text_[pos_];
        advance(1);
      }
    }
    if (pos_ >= text_.size()) fail_at(line, "a string is not closed");
    advance(1);
    tokens_.push_back({Token::kString, std::move(value), line});
  }

  void read_escape(std::string& value) {
    static constexpr std::string_view kNames = "\\'\"abfnrtv";
    static constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    advance(1);
    if (pos_ >= text_.size()) return;
    const char c = text_[pos_];
    if (c >= '0' && c <= '7') return read_octal(value);
    advance(1);
    if (c == 'x') return read_hex(2, value);
    if (c == 'u') return read_hex(4, value);
    if (c == 'U') return read_hex(8, value);
    const size_t at = kNames.find(c);
    if (at != std::string_view::npos) {
      value += kValues[at];
    } else if (c != '\n') {
      value += '\\';
      value += c;
    }
  }

  void read_octal(std::string& value) {
    char32_t code = 0;
    for (int i = 0; i < 3 && pos_ < text_.size() && text_[pos_] >= '0' && text_[pos_] <= '7'; ++i) {
      code = code * 8 + static_cast<char32_t>(text_[pos_] - '0');
      advance(1);
    }
    append_utf8(code, value);
  }

  void read_hex(int digits, std::string& value) {
    char32_t code = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = pos_ < text_.size() ? hex_value(text_[pos_]) : -1;
      if (digit < 0) fail_at(line_, "an escape in a string needs {} hexadecimal digits", digits);
      code = code * 16 + static_cast<char32_t>(digit);
      advance(1);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail_at(line_, "an escape in a string is no character");
    append_utf8(code, value);
  }

  void read_operator() {
    static constexpr std::array<std::string_view, 25> kOperators = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "*",
                                                                    "/",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                                    ">",  "<",  "=",  ".",  ":",  "|",  ","};
    for (const std::string_view symbol : kOperators) {
      if (!starts_with(symbol)) continue;
      track_bracket(symbol[0]);
      push(Token::kOperator, std::string(symbol));
      advance(symbol.size());
      return;
    }
    fail_at(line_, "unexpected character '{}'", text_.substr(pos_, utf8_unit(text_, pos_).size));
  }

  void track_bracket(char c) {
    static constexpr std::string_view kOpen = "([{";
    static constexpr std::string_view kClose = ")]}";
    if (kOpen.find(c) != std::string_view::npos) brackets_.push_back(kClose[kOpen.find(c)]);
    if (kClose.find(c) == std::string_view::npos) return;
    if (brackets_.empty() || brackets_.back() != c) fail_at(line_, "unexpected '{}'", c);
    brackets_.pop_back();
  }

  std::string text_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::string brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace vortex::text::jinja
