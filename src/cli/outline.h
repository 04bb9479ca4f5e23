// Outline: the command tree as data, for what is written from it: shell completions and the manual page.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace vortex::cli {

struct OptionOutline {
  std::vector<std::string> names;  // "--threads", "-t"
  std::string help;
  std::string group;  // heading; empty for a command's own
  bool takes_value = false;
  std::vector<std::string> choices;  // of the value, when it is one of a few
};

struct CommandOutline {
  std::string path;  // "bench latency"; empty: the program
  std::string summary;
  std::vector<std::string> arguments;  // positional, as help shows them
  std::vector<OptionOutline> options;
  std::vector<std::string> subcommands;  // names
};

/// The program first, then each command and group in the order of --help.
std::vector<CommandOutline> outline_of(const CLI::App& app);

/// Of all commands of this build.
std::vector<CommandOutline> make_outline();

}  // namespace vortex::cli
