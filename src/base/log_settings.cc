#include "base/log_settings.h"

#include <string>

#include "base/log.h"

namespace vortex {

void configure_log_from(const Settings& settings) {
  const std::string& level = settings.get_string("log-level");
  const LogLevel threshold = level == "debug"  ? LogLevel::kDebug
                             : level == "info" ? LogLevel::kInfo
                             : level == "warn" ? LogLevel::kWarn
                                               : LogLevel::kError;
  configure_log(threshold, settings.get_string("log-format") == "json" ? LogFormat::kJson : LogFormat::kText);
}

}  // namespace vortex
