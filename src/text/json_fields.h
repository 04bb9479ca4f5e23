// Reading the JSON of tokenizer files without exceptions: depth capped, types checked, errors with a path.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vortex::text {

/// Parses JSON that nests at most 64 deep.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view file);

/// A JSON value and where it stands ("tokenizer.json: model.vocab"). Borrowed: the document must outlive it.
class JsonField {
 public:
  JsonField(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }

  /// Member of an object; null if absent, or if this is no object.
  JsonField operator[](const char* key) const;

  /// Elements of an array (null counts as empty).
  Result<std::vector<JsonField>> elements() const;

  Result<std::string> string() const;
  Result<std::string> string_or(std::string fallback) const;  // for null
  Result<bool> bool_or(bool fallback) const;
  Result<int64_t> integer(int64_t low, int64_t high) const;

  Error damaged(std::string message) const;
  Error unsupported(std::string message) const;

 private:
  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace vortex::text
