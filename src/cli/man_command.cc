// man: the manual page, written from the command tree and the settings table.
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/outline.h"

namespace vortex::cli {
namespace {

/// Text as troff wants it: hyphens that can be copied, no request at the start of a line.
std::string troff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out.starts_with(".") || out.starts_with("'") ? "\\&" + out : out;
}

std::string option_entry(const OptionOutline& option) {
  return fmt::format(".TP\n.B {}{}\n{}\n", troff(fmt::format("{}", fmt::join(option.names, ", "))),
                     option.takes_value ? " \\fIVALUE\\fR" : "", troff(option.help));
}

std::string command_section(const CommandOutline& command) {
  std::string out = fmt::format(".SS vortex {}\n{}\n", troff(command.path), troff(command.summary));
  if (!command.arguments.empty()) {
    out += fmt::format(".PP\nArguments: {}\n", troff(fmt::format("{}", fmt::join(command.arguments, " "))));
  }
  for (const OptionOutline& option : command.options) {
    if (option.group.empty()) out += option_entry(option);
  }
  return out;
}

std::string setting_entry(const SettingSpec& spec) {
  std::string out = fmt::format(".TP\n.B {}\n{}\n", troff(setting_flag(spec)), troff(spec.help));
  out += fmt::format("Value: {}.\n", troff(setting_allowed(spec)));
  if (!spec.default_text.empty()) out += fmt::format("Default: {}.\n", troff(spec.default_text));
  return out + fmt::format("Variable: {}.\n", troff(setting_variable(spec)));
}

std::string settings_section() {
  std::string out =
      ".SH SETTINGS\nA flag wins over its variable, that over a key of \\-\\-config FILE (the flag's name "
      "with underscores), that over the default.\n";
  std::string_view group;
  for (const SettingSpec& spec : settings_table()) {
    if (spec.group != group) out += fmt::format(".SS {}\n", troff(group = spec.group));
    out += setting_entry(spec);
  }
  return out;
}

constexpr std::string_view kHead = R"(.TH VORTEX 1 "" "vortex )" VORTEX_VERSION R"(" "User Commands"
.SH NAME
vortex \- serves language models with programmable sparse attention
.SH SYNOPSIS
.B vortex
.I COMMAND
[\fIARGUMENTS\fR] [\fIOPTIONS\fR]
.SH DESCRIPTION
Runs and serves language models on the CPU. A flow, a small program, chooses which pages of the context each step reads.
Data goes to standard output, log and progress to standard error.
.SH COMMANDS
)";

constexpr std::string_view kTail = R"(.SH EXIT STATUS
0 done, 1 failed while running, 2 wrong command line, 78 wrong configuration, 130 interrupted.
.SH FILES
.TP
.I ~/.cache/vortex
Code compiled for flows from files, and models that vortex fetched.
.TP
.I ~/.cache/huggingface
Models of the Hugging Face hub (HF_HOME).
)";

class ManCommand final : public Command {
 public:
  std::string_view name() const override { return "man"; }
  std::string_view summary() const override { return "Print the manual page, as troff"; }
  void add_options(CLI::App&) override {}

  Status run(const Settings&) override {
    std::string out(kHead);
    for (const CommandOutline& command : make_outline()) {
      if (!command.path.empty() && command.subcommands.empty()) out += command_section(command);
    }
    fmt::print("{}{}{}", out, settings_section(), kTail);
    return {};
  }
};

}  // namespace

std::unique_ptr<Command> make_man_command() { return std::make_unique<ManCommand>(); }

}  // namespace vortex::cli
