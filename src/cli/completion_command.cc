// completion: scripts for shells, written from the command tree.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/command.h"
#include "cli/outline.h"

namespace vortex::cli {
namespace {

using Outline = std::vector<CommandOutline>;

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// Between single quotes, in any shell: without single quotes and line ends.
std::string in_quotes(const std::string& text) { return "'" + replaced(replaced(text, "'", "’"), "\n", " ") + "'"; }

std::string flags_of(const CommandOutline& command) {
  std::string out;
  for (const OptionOutline& option : command.options) {
    for (const std::string& name : option.names) out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

/// Values of options with a few choices, the same in all commands.
std::map<std::string, std::string> choices_by_flag(const Outline& outline) {
  std::map<std::string, std::string> out;
  for (const CommandOutline& command : outline) {
    for (const OptionOutline& option : command.options) {
      if (option.choices.empty()) continue;
      for (const std::string& name : option.names) out[name] = fmt::format("{}", fmt::join(option.choices, " "));
    }
  }
  return out;
}

/// The pattern of a `case` that knows every command by its path.
std::string all_paths(const Outline& outline) {
  std::vector<std::string> paths;
  for (const CommandOutline& command : outline) {
    if (!command.path.empty()) paths.push_back(fmt::format("\"{}\"", command.path));
  }
  return fmt::format("{}", fmt::join(paths, " | "));
}

std::string bash_script(const Outline& outline) {
  std::string out = R"(# bash completion of vortex: vortex completion bash > /etc/bash_completion.d/vortex
_vortex() {
  local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command="" words="" path i
  for ((i = 1; i < COMP_CWORD; i++)); do
    path="${command:+$command }${COMP_WORDS[i]}"
    case $path in
      )" + all_paths(outline) +
                    R"() command=$path ;;
    esac
  done
  case $previous in
)";
  for (const auto& [flag, choices] : choices_by_flag(outline)) {
    out += fmt::format("    {}) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\"); return ;;\n", flag, choices);
  }
  out += "  esac\n  case $command in\n";
  for (const CommandOutline& command : outline) {
    const std::string names = fmt::format("{}", fmt::join(command.subcommands, " "));
    out += fmt::format("    \"{}\") words='{}{}{}' ;;\n", command.path, names, names.empty() ? "" : " ",
                       flags_of(command));
  }
  return out + R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _vortex vortex
)";
}

std::string zsh_script(const Outline& outline) {
  std::string out = R"(#compdef vortex
# zsh completion of vortex: vortex completion zsh > "${fpath[1]}/_vortex"
_vortex() {
  local command="" path_ word
  local -a items
  for word in ${words[2,CURRENT-1]}; do
    path_="${command:+$command }$word"
    case $path_ in
      ()" + replaced(all_paths(outline), " | ", "|") +
                    R"() command=$path_ ;;
    esac
  done
  case ${words[CURRENT-1]} in
)";
  for (const auto& [flag, choices] : choices_by_flag(outline)) {
    out += fmt::format("    ({}) compadd {}; return ;;\n", flag, choices);
  }
  out += "  esac\n  case $command in\n";
  for (const CommandOutline& command : outline) {
    out += fmt::format("    (\"{}\") items=(", command.path);
    for (const std::string& name : command.subcommands) out += " " + in_quotes(name);
    for (const OptionOutline& option : command.options) {
      for (const std::string& name : option.names)
        out += " " + in_quotes(name + ":" + replaced(option.help, ":", "\\:"));
    }
    out += ") ;;\n";
  }
  return out + R"(  esac
  _describe vortex items
  [[ $PREFIX == -* || -z $command ]] || _files
}
compdef _vortex vortex
)";
}

/// True where the words of a command were given, and none of its sub-commands.
std::string fish_condition(const CommandOutline& command) {
  std::string out;
  for (size_t begin = 0; begin < command.path.size();) {
    const size_t end = std::min(command.path.find(' ', begin), command.path.size());
    out += fmt::format("{}__fish_seen_subcommand_from {}", out.empty() ? "" : "; and ",
                       command.path.substr(begin, end - begin));
    begin = end + 1;
  }
  if (command.path.empty()) return "__fish_use_subcommand";
  if (command.subcommands.empty()) return out;
  return fmt::format("{}; and not __fish_seen_subcommand_from {}", out, fmt::join(command.subcommands, " "));
}

std::string fish_option(const CommandOutline& command, const OptionOutline& option) {
  std::string out = fmt::format("complete -c vortex -n {}", in_quotes(fish_condition(command)));
  for (const std::string& name : option.names) {
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (option.takes_value) out += " -r";
  if (!option.choices.empty())
    out += fmt::format(" -f -a {}", in_quotes(fmt::format("{}", fmt::join(option.choices, " "))));
  return out + " -d " + in_quotes(replaced(option.help, "\\", "\\\\")) + "\n";
}

std::string fish_script(const Outline& outline) {
  std::string out = "# fish completion of vortex: vortex completion fish > ~/.config/fish/completions/vortex.fish\n";
  std::map<std::string, std::string> summaries;
  for (const CommandOutline& command : outline) summaries[command.path] = command.summary;
  for (const CommandOutline& command : outline) {
    for (const std::string& name : command.subcommands) {
      const std::string path = command.path.empty() ? name : command.path + " " + name;
      out += fmt::format("complete -c vortex -f -n {} -a {} -d {}\n", in_quotes(fish_condition(command)), name,
                         in_quotes(summaries[path]));
    }
    for (const OptionOutline& option : command.options) out += fish_option(command, option);
  }
  return out;
}

class CompletionCommand final : public Command {
 public:
  std::string_view name() const override { return "completion"; }
  std::string_view summary() const override { return "Print the completion script of a shell"; }
  void add_options(CLI::App& app) override {
    app.add_option("shell", shell_, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }

  Status run(const Settings&) override {
    const Outline outline = make_outline();
    const std::string script = shell_ == "bash"  ? bash_script(outline)
                               : shell_ == "zsh" ? zsh_script(outline)
                                                 : fish_script(outline);
    fmt::print("{}", script);
    return {};
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> make_completion_command() { return std::make_unique<CompletionCommand>(); }

}  // namespace vortex::cli
