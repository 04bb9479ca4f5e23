// ConfigFields: reads named numbers with bounds from config.json or GGUF metadata alike. The first fault stays and is
// asked for once at the end, so a reader is a plain list of fields.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace vortex {

/// An object: the names of its fields.
struct FieldObject {
  std::vector<std::string> names;
};
/// A list of anything but whole numbers or texts.
struct OtherList {};
/// monostate: the field is absent (or null). An empty list is one of numbers.
using FieldValue = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>,
                                std::vector<std::string>, FieldObject, OtherList>;

class ConfigFields {
 public:
  using Source = std::function<FieldValue(std::string_view key)>;

  /// `prefix` is put before a key when it is asked for in GGUF ("llama.") and named in errors ("rope_scaling.").
  ConfigFields(Source source, std::string where, std::string prefix)
      : source_(std::move(source)), where_(std::move(where)), prefix_(std::move(prefix)) {}

  /// Nothing when absent. A wrong type or a value outside [lowest, highest] is the error; so is NaN.
  std::optional<int> integer(std::string_view key, int lowest, int highest);
  std::optional<double> number(std::string_view key, double lowest, double highest);
  std::optional<bool> boolean(std::string_view key);
  std::optional<std::string> text(std::string_view key);
  std::optional<std::vector<std::string>> texts(std::string_view key);
  /// Each within [lowest, highest].
  std::optional<std::vector<int>> integers(std::string_view key, int lowest, int highest);
  /// The same, but absence is an error too; 1 is returned then.
  int required_integer(std::string_view key, int lowest, int highest);
  double required_number(std::string_view key, double lowest, double highest);

  /// kUnsupported, naming the value, unless the field is absent or holds the only value that is run.
  void expect_text(std::string_view key, std::string_view only);
  void expect_number(std::string_view key, double only);
  void expect_boolean(std::string_view key, bool only);

  FieldValue raw(std::string_view key) const { return source_(key); }
  bool has(std::string_view key) const { return !std::holds_alternative<std::monostate>(raw(key)); }
  /// The fields of the object `key`, with a fault of their own.
  ConfigFields within(std::string_view key) const;
  void fail(Error error);
  const std::string& where() const { return where_; }
  /// The key as errors spell it.
  std::string full_name(std::string_view key) const { return prefix_ + std::string(key); }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  void fail_type(std::string_view key, std::string_view wanted);
  void fail_missing(std::string_view key);
  void fail_bounds(std::string_view key, double value, double lowest, double highest);

  Source source_;
  std::string where_;
  std::string prefix_;
  std::optional<Error> error_;
};

}  // namespace vortex
