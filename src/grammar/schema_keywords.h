// Which keywords of JSON Schema are known, and how.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"

namespace vortex::grammar {

using Schema = nlohmann::ordered_json;

/// Describes only; no text is allowed or refused because of it.
bool is_annotation(std::string_view keyword);

/// kInvalidArgument for keywords that are not supported, naming the first.
Status check_keywords(const Schema& schema, std::string_view path);

/// The member, or null.
const Schema* find(const Schema& schema, const char* keyword);

/// A member that counts something: absent gives `fallback`. kInvalidArgument unless it is a whole number from 0.
Result<int64_t> count_of(const Schema& schema, const char* keyword, int64_t fallback, std::string_view path);

}  // namespace vortex::grammar
