// ConfigFields: reads named numbers with bounds from config.json or GGUF metadata alike. The first fault stays and is
// asked for once at the end, so a reader is a plain list of fields.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace vortex {

/// A list, an object: something no scalar field can be.
struct NotScalar {};
/// monostate: the field is absent (or null).
using FieldValue = std::variant<std::monostate, bool, int64_t, double, std::string, NotScalar>;

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
  /// The same, but absence is an error too; 1 is returned then.
  int required_integer(std::string_view key, int lowest, int highest);
  double required_number(std::string_view key, double lowest, double highest);

  FieldValue raw(std::string_view key) const { return source_(key); }
  void fail(Error error);
  const std::string& where() const { return where_; }
  /// The key as errors spell it.
  std::string full_name(std::string_view key) const { return prefix_ + std::string(key); }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  void fail_type(std::string_view key, std::string_view wanted);
  void fail_missing(std::string_view key);

  Source source_;
  std::string where_;
  std::string prefix_;
  std::optional<Error> error_;
};

}  // namespace vortex
