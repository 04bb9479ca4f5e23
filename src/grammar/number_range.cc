#include "grammar/number_range.h"

#include <algorithm>
#include <cstdlib>

#include "grammar/errors.h"
#include "grammar/json_text.h"

namespace vortex::grammar {
namespace {

constexpr size_t kMaxDigits = JsonText::kMaxDigits;
constexpr size_t kMaxFraction = JsonText::kMaxFraction;

int sign(int value) { return (value > 0) - (value < 0); }

int compare_magnitudes(const Decimal& a, const Decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
  const int whole = sign(a.whole.compare(b.whole));
  return whole != 0 ? whole : sign(a.fraction.compare(b.fraction));
}

bool is_zero(const Decimal& d) { return d.whole == "0" && d.fraction.empty(); }

Decimal negated(Decimal d) {
  d.negative = !d.negative && !is_zero(d);
  return d;
}

int64_t whole_of(const Decimal& d) {
  const int64_t magnitude = std::strtoll(d.whole.c_str(), nullptr, 10);
  return d.negative ? -magnitude : magnitude;
}

// The next whole number inside the bound.
Bound whole_bound(const Bound& bound, int inwards) {
  const int64_t value = whole_of(bound.value);
  if (bound.value.fraction.empty()) return {Decimal::of(bound.exclusive ? value + inwards : value)};
  const bool truncated_inwards = bound.value.negative == (inwards > 0);
  return {Decimal::of(truncated_inwards ? value : value + inwards)};
}

// Numbers from `low` to `high`, neither negative. Reads digit by digit; while the digits so far are those of a bound
// (it is "tight"), that bound limits the next one.
class Digits {
 public:
  Digits(RuleSet& rules, Bound low, std::optional<Bound> high, bool integer)
      : rules_(rules), low_(std::move(low)), high_(std::move(high)), integer_(integer) {}

  ExprId run() {
    std::vector<ExprId> ways;
    const size_t longest = high_ ? high_->value.whole.size() : kMaxDigits;
    for (size_t length = low_.value.whole.size(); length <= longest; ++length) {
      const Tight tight = {length == low_.value.whole.size(), high_ && length == longest};
      ways.push_back(whole(0, length, tight));
    }
    return rules_.choice(std::move(ways));
  }

 private:
  struct Tight {
    bool low = false, high = false;
  };

  static char digit_at(const std::string& digits, size_t pos) { return pos < digits.size() ? digits[pos] : '0'; }

  // One digit from `lowest` to `highest`, and what may follow it: digits that keep a bound tight apart from others.
  template <class Next>
  ExprId digit(char lowest, char highest, Tight tight, Next next) {
    std::vector<ExprId> ways;
    const auto add = [&](char first, char last, Tight after) {
      if (first > last) return;
      const CharClass chars = {{static_cast<char32_t>(first), static_cast<char32_t>(last)}};
      ways.push_back(rules_.sequence({rules_.char_class(chars), next(after)}));
    };
    if (tight.low && tight.high && lowest == highest) {
      add(lowest, highest, tight);
      return rules_.choice(std::move(ways));
    }
    if (lowest > highest) return rules_.choice({});
    if (tight.low) add(lowest, lowest, {true, false});
    if (tight.high) add(highest, highest, {false, true});
    add(static_cast<char>(lowest + (tight.low ? 1 : 0)), static_cast<char>(highest - (tight.high ? 1 : 0)), {});
    return rules_.choice(std::move(ways));
  }

  ExprId whole(size_t pos, size_t length, Tight tight) {
    if (pos == length) return end_of_whole(tight);
    const char least = pos == 0 && length > 1 ? '1' : '0';
    const char lowest = tight.low ? low_.value.whole[pos] : least;
    const char highest = tight.high ? high_->value.whole[pos] : '9';
    if (!tight.low && !tight.high && pos > 0) {
      const auto left = static_cast<int64_t>(length - pos);
      return rules_.sequence({rules_.repeat(any_digit(), left, left), end_of_whole(tight)});
    }
    return digit(lowest, highest, tight, [&](Tight after) { return whole(pos + 1, length, after); });
  }

  ExprId end_of_whole(Tight tight) {
    if (integer_) return rules_.empty();
    std::vector<ExprId> ways = {rules_.sequence({rules_.bytes("."), fraction(0, tight)})};
    if (in_range(0, tight)) ways.push_back(rules_.empty());
    return rules_.choice(std::move(ways));
  }

  ExprId fraction(size_t pos, Tight tight) {
    if (tight.low && !low_.exclusive && pos >= low_.value.fraction.size()) tight.low = false;
    const auto left = static_cast<int64_t>(kMaxFraction - pos);
    if (!tight.low && !tight.high) return rules_.repeat(any_digit(), pos == 0 ? 1 : 0, left);
    std::vector<ExprId> ways;
    if (pos > 0 && in_range(pos, tight)) ways.push_back(rules_.empty());
    if (left > 0) {
      const char lowest = tight.low ? digit_at(low_.value.fraction, pos) : '0';
      const char highest = tight.high ? digit_at(high_->value.fraction, pos) : '9';
      ways.push_back(digit(lowest, highest, tight, [&](Tight after) { return fraction(pos + 1, after); }));
    }
    return rules_.choice(std::move(ways));
  }

  // The number may end after `pos` digits behind the point.
  bool in_range(size_t pos, Tight tight) const {
    const bool below = tight.low && (pos < low_.value.fraction.size() || low_.exclusive);
    const bool above = tight.high && pos >= high_->value.fraction.size() && high_->exclusive;
    return !below && !above;
  }

  ExprId any_digit() { return rules_.char_class({{'0', '9'}}); }

  RuleSet& rules_;
  Bound low_;
  std::optional<Bound> high_;
  bool integer_;
};

ExprId magnitudes(RuleSet& rules, const Bound& low, const std::optional<Bound>& high, bool integer) {
  if (high) {
    const int order = compare(low.value, high->value);
    if (order > 0 || (order == 0 && (low.exclusive || high->exclusive))) return rules.choice({});
  }
  return Digits(rules, low, high, integer).run();
}

// Writes out the exponent.
Result<Decimal> parse_decimal(std::string text, std::string_view where) {
  Decimal out;
  if (text[0] == '-') {
    out.negative = true;
    text.erase(0, 1);
  }
  int exponent = 0;
  if (const size_t e = text.find('e'); e != std::string::npos) {
    exponent = std::atoi(text.c_str() + e + 1);
    text.resize(e);
  }
  size_t point = text.find('.');
  if (point == std::string::npos) point = text.size();
  std::string digits = text.substr(0, point) + (point < text.size() ? text.substr(point + 1) : "");
  const int whole_size = static_cast<int>(point) + exponent;
  if (std::abs(exponent) <= 40) {
    if (whole_size < 0) digits.insert(0, static_cast<size_t>(-whole_size), '0');
    const auto split = static_cast<size_t>(std::max(whole_size, 0));
    if (digits.size() < split) digits.resize(split, '0');
    out.whole = digits.substr(0, split);
    out.fraction = digits.substr(split);
    out.whole.erase(0, std::min(out.whole.find_first_not_of('0'), out.whole.size()));
    out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
    if (out.whole.empty()) out.whole = "0";
    out.negative = out.negative && !is_zero(out);
  }
  if (std::abs(exponent) > 40 || out.whole.size() > kMaxDigits || out.fraction.size() > kMaxFraction) {
    return refused(where,
                   fmt::format("has more than {} digits before the point, or {} after it", kMaxDigits, kMaxFraction));
  }
  return out;
}

}  // namespace

Decimal Decimal::of(int64_t value) {
  const std::string text = fmt::format("{}", value);
  return {value < 0, text.substr(value < 0 ? 1 : 0), ""};
}

Result<Decimal> Decimal::of(const nlohmann::ordered_json& number, std::string_view where) {
  if (!number.is_number()) return refused(where, "is not a number");
  return parse_decimal(number.is_number_float() ? fmt::format("{}", number.get<double>()) : number.dump(), where);
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  return a.negative ? -compare_magnitudes(a, b) : compare_magnitudes(a, b);
}

ExprId number_range(RuleSet& rules, NumberRange range) {
  if (range.integer && range.low) range.low = whole_bound(*range.low, +1);
  if (range.integer && range.high) range.high = whole_bound(*range.high, -1);
  std::vector<ExprId> ways;
  if (!range.high || !range.high->value.negative) {
    const bool from_zero = !range.low || range.low->value.negative;
    ways.push_back(magnitudes(rules, from_zero ? Bound{} : *range.low, range.high, range.integer));
  }
  if (!range.low || range.low->value.negative) {
    const bool to_zero = !range.high || !range.high->value.negative;
    const Bound least = to_zero ? Bound{{}, true} : Bound{negated(range.high->value), range.high->exclusive};
    std::optional<Bound> most;
    if (range.low) most = Bound{negated(range.low->value), range.low->exclusive};
    const Bound whole_least = range.integer && to_zero ? Bound{Decimal::of(1)} : least;
    ways.push_back(rules.sequence({rules.bytes("-"), magnitudes(rules, whole_least, most, range.integer)}));
  }
  return rules.choice(std::move(ways));
}

}  // namespace vortex::grammar
