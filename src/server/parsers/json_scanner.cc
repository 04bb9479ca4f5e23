#include "server/parsers/json_scanner.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace vortex::server {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

bool is_word_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || c == 'E' || c == '-' || c == '+' || c == '.';
}

}  // namespace

JsonScanner::Event JsonScanner::go(State state, Event event) {
  state_ = state;
  return event;
}

JsonScanner::Event JsonScanner::next(char c) {
  switch (state_) {
    case State::kText:
      return text(c);
    case State::kEscape:
      return escape(c);
    case State::kHex:
      return hex(c);
    case State::kWord:
      return word(c);
    default:
      break;
  }
  if (is_space(c)) return Event::kNone;
  switch (state_) {
    case State::kObject:
      return c == '{' ? open(c) : Event::kBad;
    case State::kFirstKey:
      return key(c, true);
    case State::kKey:
      return key(c, false);
    case State::kColon:
      return c == ':' ? go(State::kValue) : Event::kBad;
    case State::kValue:
      return begin_value(c);
    default:
      return after_value(c);
  }
}

JsonScanner::Event JsonScanner::open(char c) {
  if (open_.size() >= kMaxDepth) return Event::kBad;
  open_ += c;
  in_list_start_ = c == '[';
  return go(c == '{' ? State::kFirstKey : State::kValue);
}

JsonScanner::Event JsonScanner::close(char c) {
  if (open_.back() != (c == '}' ? '{' : '[')) return Event::kBad;
  open_.pop_back();
  if (open_.empty()) return Event::kEnd;
  return go(State::kAfterValue, open_.size() == 1 ? Event::kValueEnd : Event::kNone);
}

JsonScanner::Event JsonScanner::key(char c, bool may_close) {
  if (c == '}' && may_close) return close(c);
  if (c != '"') return Event::kBad;
  in_key_ = true;
  return go(State::kText, open_.size() == 1 ? Event::kKeyBegin : Event::kNone);
}

JsonScanner::Event JsonScanner::begin_value(char c) {
  const bool list_start = std::exchange(in_list_start_, false);
  if (c == ']' && list_start) return close(c);
  const Event event = open_.size() == 1 ? Event::kValue : Event::kNone;
  if (c == '{' || c == '[') return open(c) == Event::kBad ? Event::kBad : event;
  if (c == '"') {
    in_key_ = false;
    return go(State::kText, event);
  }
  if (!is_word_character(c)) return Event::kBad;
  word_ = c;
  return go(State::kWord, event);
}

JsonScanner::Event JsonScanner::text(char c) {
  if (static_cast<unsigned char>(c) < 0x20) return Event::kBad;
  if (c == '\\') return go(State::kEscape);
  if (c != '"') return Event::kNone;
  const bool outermost = open_.size() == 1;
  if (in_key_) return go(State::kColon, outermost ? Event::kKey : Event::kNone);
  return go(State::kAfterValue, outermost ? Event::kValueEnd : Event::kNone);
}

JsonScanner::Event JsonScanner::escape(char c) {
  hex_left_ = 4;
  if (c == 'u') return go(State::kHex);
  return std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos ? Event::kBad : go(State::kText);
}

JsonScanner::Event JsonScanner::hex(char c) {
  if (!is_hex(c)) return Event::kBad;
  return --hex_left_ == 0 ? go(State::kText) : Event::kNone;
}

JsonScanner::Event JsonScanner::word(char c) {
  constexpr size_t kMaxWord = 512;
  if (is_word_character(c)) {
    word_ += c;
    return word_.size() > kMaxWord ? Event::kBad : Event::kNone;
  }
  if (!nlohmann::json::accept(word_)) return Event::kBad;
  state_ = State::kAfterValue;
  return is_space(c) ? Event::kNone : after_value(c);
}

JsonScanner::Event JsonScanner::after_value(char c) {
  if (c == '}' || c == ']') return close(c);
  if (c != ',') return Event::kBad;
  return go(open_.back() == '{' ? State::kKey : State::kValue);
}

}  // namespace vortex::server
