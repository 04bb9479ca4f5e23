// The log as the settings say.
#pragma once

#include "base/settings.h"

namespace vortex {

/// Obeys the settings log-level and log-format.
void configure_log_from(const Settings& settings);

}  // namespace vortex
