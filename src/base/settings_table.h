// Parts of the table that settings_table() puts together.
#pragma once

#include <vector>

#include "base/settings.h"

namespace vortex {

/// What only `vortex serve` takes.
std::vector<SettingSpec> server_settings();

}  // namespace vortex
