#include "loader/config_fields.h"

#include <algorithm>
#include <cmath>

#include "loader/errors.h"

namespace vortex {

void ConfigFields::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

void ConfigFields::fail_type(std::string_view key, std::string_view wanted) {
  fail(Error{ErrorCode::kDataLoss, where_, fmt::format("{} is no {}", full_name(key), wanted), {}});
}

void ConfigFields::fail_missing(std::string_view key) {
  fail(Error{ErrorCode::kDataLoss, where_, fmt::format("{} is missing", full_name(key)), {}});
}

void ConfigFields::fail_bounds(std::string_view key, double value, double lowest, double highest) {
  fail(Error{ErrorCode::kDataLoss,
             where_,
             fmt::format("{} is {}, possible are {} to {}", full_name(key), value, lowest, highest),
             {}});
}

std::optional<double> ConfigFields::number(std::string_view key, double lowest, double highest) {
  const FieldValue value = raw(key);
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  double number = 0;
  if (const auto* whole = std::get_if<int64_t>(&value)) {
    number = static_cast<double>(*whole);
  } else if (const auto* real = std::get_if<double>(&value)) {
    number = *real;
  } else {
    fail_type(key, "number");
    return std::nullopt;
  }
  if (number >= lowest && number <= highest) return number;
  fail_bounds(key, number, lowest, highest);
  return std::nullopt;
}

std::optional<int> ConfigFields::integer(std::string_view key, int lowest, int highest) {
  const auto value = number(key, lowest, highest);
  if (!value) return std::nullopt;
  const int whole = static_cast<int>(*value);
  if (whole == *value) return whole;
  fail_type(key, "whole number");
  return std::nullopt;
}

std::optional<bool> ConfigFields::boolean(std::string_view key) {
  const FieldValue value = raw(key);
  if (const auto* held = std::get_if<bool>(&value)) return *held;
  if (!std::holds_alternative<std::monostate>(value)) fail_type(key, "boolean");
  return std::nullopt;
}

std::optional<std::string> ConfigFields::text(std::string_view key) {
  FieldValue value = raw(key);
  if (auto* held = std::get_if<std::string>(&value)) return std::move(*held);
  if (!std::holds_alternative<std::monostate>(value)) fail_type(key, "text");
  return std::nullopt;
}

std::optional<std::vector<std::string>> ConfigFields::texts(std::string_view key) {
  FieldValue value = raw(key);
  if (auto* held = std::get_if<std::vector<std::string>>(&value)) return std::move(*held);
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  const auto* numbers = std::get_if<std::vector<int64_t>>(&value);
  if (numbers && numbers->empty()) return std::vector<std::string>();
  fail_type(key, "list of texts");
  return std::nullopt;
}

std::optional<std::vector<int>> ConfigFields::integers(std::string_view key, int lowest, int highest) {
  const FieldValue value = raw(key);
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  const auto* held = std::get_if<std::vector<int64_t>>(&value);
  if (!held) {
    fail_type(key, "list of whole numbers");
    return std::nullopt;
  }
  std::vector<int> out;
  for (int64_t number : *held) {
    if (number < lowest || number > highest) fail_bounds(key, static_cast<double>(number), lowest, highest);
    out.push_back(static_cast<int>(std::clamp<int64_t>(number, lowest, highest)));
  }
  return out;
}

void ConfigFields::expect_text(std::string_view key, std::string_view only) {
  const auto value = text(key);
  if (!value || *value == only) return;
  fail(unsupported(where_, fmt::format("unknown {} {}", full_name(key), quote_name(*value)),
                   fmt::format("supported: {}", only)));
}

void ConfigFields::expect_number(std::string_view key, double only) {
  const auto value = number(key, -INFINITY, INFINITY);
  if (!value || *value == only) return;
  fail(unsupported(where_, fmt::format("{} is {}, only {} is run", full_name(key), *value, only)));
}

void ConfigFields::expect_boolean(std::string_view key, bool only) {
  const auto value = boolean(key);
  if (!value || *value == only) return;
  fail(unsupported(where_, fmt::format("{} is {}, only {} is run", full_name(key), *value, only)));
}

ConfigFields ConfigFields::within(std::string_view key) const {
  const std::string path = std::string(key) + ".";
  return ConfigFields([source = source_, path](std::string_view name) { return source(path + std::string(name)); },
                      where_, prefix_ + path);
}

int ConfigFields::required_integer(std::string_view key, int lowest, int highest) {
  const auto value = integer(key, lowest, highest);
  if (!value) fail_missing(key);
  return value.value_or(1);
}

double ConfigFields::required_number(std::string_view key, double lowest, double highest) {
  const auto value = number(key, lowest, highest);
  if (!value) fail_missing(key);
  return value.value_or(1.0);
}

}  // namespace vortex
