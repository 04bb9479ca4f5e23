// Arguments: the command line as CLI11 reads it, with the settings table's flags beside each command's own.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/settings.h"
#include "cli/command.h"

namespace vortex::cli {

class Arguments {
 public:
  /// Adds every command of `commands` (which must outlive this) to the parser.
  explicit Arguments(const std::vector<std::unique_ptr<Command>>& commands);

  /// The command to run; null when help was asked for and printed. kUsage, with the nearest name, for what is unknown.
  Result<Command*> parse(int argc, char** argv);

  const CLI::App& app() const { return app_; }

  /// Flags over environment over --config FILE over defaults.
  Result<Settings> resolve_settings() const;

 private:
  CLI::App* group(const std::string& name);
  void add_setting(CLI::App* app, const SettingSpec& spec);
  Error refused(const CLI::ParseError& error);

  CLI::App app_;
  std::vector<std::pair<CLI::App*, Command*>> commands_;
  std::vector<std::pair<std::string, std::string>> flags_;  // in command-line order
  std::string config_path_;
};

}  // namespace vortex::cli
