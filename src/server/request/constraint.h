// What an answer must match: response_format, structured_outputs and their older spellings.
#pragma once

#include <optional>

#include "grammar/grammar.h"
#include "server/request/fields.h"

namespace vortex::server {

/// Nothing when any text will do. 400 naming the field; one kind at a time.
ApiResult<std::optional<grammar::GrammarSource>> read_constraint(const Fields& fields);

}  // namespace vortex::server
