// Numbers between two bounds, digit by digit.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "grammar/rules.h"

namespace vortex::grammar {

/// A number as its digits: exact where a double is not.
struct Decimal {
  bool negative = false;  // never for zero
  std::string whole = "0";
  std::string fraction;  // without zeros at its end

  static Decimal of(int64_t value);
  /// The shortest digits that stand for a JSON number. kInvalidArgument when there are more than
  /// JsonText::kMaxDigits before the point or kMaxFraction after it.
  static Result<Decimal> of(const nlohmann::ordered_json& number, std::string_view where);
};

/// -1, 0 or 1.
int compare(const Decimal& a, const Decimal& b);

struct Bound {
  Decimal value;
  bool exclusive = false;
};

struct NumberRange {
  std::optional<Bound> low, high;
  bool integer = false;
};

/// JSON numbers of the range without an exponent; negative zero is not among them. Nothing for an empty range.
ExprId number_range(RuleSet& rules, NumberRange range);

}  // namespace vortex::grammar
