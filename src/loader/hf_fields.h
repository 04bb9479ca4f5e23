// config.json as ConfigFields.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "loader/config_fields.h"

namespace vortex {

/// The fields of a JSON object, which must outlive the result; "a.b" is the field b of its object a.
ConfigFields hf_fields(const nlohmann::json& object, const std::string& where);

}  // namespace vortex
