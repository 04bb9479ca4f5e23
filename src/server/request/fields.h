// Fields: what a request may hold. One table an endpoint says name, type, range and whether the server honours it;
// the checks, the `unsupported_parameter` answers and /openapi.json all come from it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/request/json_text.h"

namespace vortex::server {

/// Types of a JSON value, as bits. An integer may be written 3 or 3.0.
enum JsonType : unsigned {
  kBool = 1,
  kInteger = 2,
  kNumber = 4,
  kString = 8,
  kArray = 16,
  kObject = 32,
  kAnyType = 63,
};

enum class Support {
  kWorks,
  kNoEffect,  // taken, checked, and without effect here
  kOnly,      // taken where its value is one of `accepted`; 400 unsupported_parameter otherwise
  kRefused,   // 400 unsupported_parameter unless it is null
};

struct FieldRange {
  double low, high;  // both allowed
};

struct FieldSpec {
  static constexpr size_t kNoLimit = SIZE_MAX;

  std::string_view name;
  unsigned types = kAnyType;
  std::string_view doc;  // one sentence
  Support support = Support::kWorks;
  std::optional<FieldRange> range = {};         // of numbers
  unsigned items = kAnyType;                    // types of an array's items
  size_t min_size = 0, max_size = kNoLimit;     // bytes of a string, items of an array, keys of an object
  std::vector<std::string_view> choices = {};   // strings that are allowed; empty: any
  std::vector<std::string_view> accepted = {};  // of kOnly, as JSON texts
  std::string_view default_text = {};           // as JSON, or words
  bool required = false;
  std::string_view schema = {};  // JSON schema of the value for /openapi.json, where the columns above say too little
};

/// One endpoint's table.
struct Schema {
  std::string_view name;  // "CreateChatCompletionRequest"
  std::vector<FieldSpec> fields;

  const FieldSpec* find(std::string_view field) const;
};

/// A body that its schema accepts. Getters of a name outside the schema are a bug.
class Fields {
 public:
  /// Every field is checked; null counts as absent. 400 naming the field. A name that the schema does not have is
  /// counted, or refused with 400 `unknown_parameter` where `strict`.
  static ApiResult<Fields> check(const Schema& schema, Json body, bool strict);

  /// Present and not null.
  bool has(std::string_view name) const;
  /// The value; null when absent.
  const Json& operator[](std::string_view name) const;
  bool flag(std::string_view name, bool fallback) const;
  int64_t integer(std::string_view name, int64_t fallback) const;
  double number(std::string_view name, double fallback) const;
  std::string text(std::string_view name, std::string_view fallback = {}) const;
  /// A string or a list of strings.
  std::vector<std::string> strings(std::string_view name) const;
  std::vector<int64_t> integers(std::string_view name) const;

  int unknown() const { return unknown_; }

 private:
  Fields(const Schema& schema, Json body) : schema_(&schema), body_(std::move(body)) {}

  const Schema* schema_;
  Json body_;
  int unknown_ = 0;
};

/// The types a value has, as bits: 3 is an integer and a number; 3.5 a number.
unsigned json_types(const Json& value);
/// A number that JSON wrote as an integer of 64 bits, or an integral one of at most 2^53.
std::optional<int64_t> as_integer(const Json& value);
/// "a boolean", "a string or an array".
std::string type_words(unsigned types);

}  // namespace vortex::server
