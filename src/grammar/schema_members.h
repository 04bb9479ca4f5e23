// Objects and arrays of a schema: what they hold, and how their parts stand in a row.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/json_text.h"
#include "grammar/rules.h"
#include "grammar/schema_keywords.h"

namespace vortex::grammar {

/// Borrows the schema's parts.
struct ObjectShape {
  struct Member {
    std::string name;
    const Schema* schema = nullptr;
    bool required = false;
  };
  std::vector<Member> members;    // in their order: properties, then what is only required
  const Schema* other = nullptr;  // of members with other names; null: there are none
};

/// Without additionalProperties, an object with properties has no others, and one without has any.
Result<ObjectShape> object_shape(const Schema& schema, std::string_view path);

struct ArrayShape {
  std::vector<const Schema*> first;  // of the items at the beginning, one each
  const Schema* rest = nullptr;      // of all others; null: there are none
  int64_t min = 0, max = kUnbounded;
};

/// Without items, an array with prefixItems ends with them, and one without holds anything.
Result<ArrayShape> array_shape(const Schema& schema, std::string_view path);

struct Member {
  ExprId text = 0;
  bool required = false;
};

/// The members in their order, those that are not required there or not, then any number of `other`.
ExprId member_list(RuleSet& rules, JsonText& json, const std::vector<Member>& members, std::optional<ExprId> other);

/// From `min` to `max` items: those of `first` one by one, then of `rest`.
ExprId item_list(RuleSet& rules, JsonText& json, const std::vector<ExprId>& first, std::optional<ExprId> rest,
                 int64_t min, int64_t max);

}  // namespace vortex::grammar
