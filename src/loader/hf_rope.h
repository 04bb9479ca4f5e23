// The rotary embedding that config.json describes.
#pragma once

#include "loader/config_fields.h"
#include "loader/families/family.h"
#include "loader/model_config.h"

namespace vortex {

/// Reads rope_parameters, or the older rope_scaling with rope_theta beside it, into config->rope (whose pairing and
/// rotary_dim the family may have set already), and for families whose sliding layers rotate differently into
/// config->sliding_rope. kUnsupported: unknown types, and parameters by layer type in any other family.
Status read_hf_rope(ConfigFields& fields, const HfDefaults& defaults, ModelConfig* config);

}  // namespace vortex
