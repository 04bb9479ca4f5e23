// The caller's JSON as values of the template language, with what came from strangers marked.
#pragma once

#include <nlohmann/json.hpp>

#include "text/jinja/value.h"

namespace vortex::text::jinja {

/// `inputs` must be an object; a Fault when it is not, nests too deep, or holds integers beyond 64 bits.
Dict import_inputs(const nlohmann::ordered_json& inputs);

}  // namespace vortex::text::jinja
