#include "cli/outline.h"

#include <utility>

#include "base/settings.h"
#include "cli/arguments.h"

namespace vortex::cli {
namespace {

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  return names;
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  if (option.get_lnames().empty()) return {};
  const auto setting = find_setting(option.get_lnames().front());
  if (!setting.ok()) return {};
  return {setting->spec->choices.begin(), setting->spec->choices.end()};
}

CommandOutline command_of(const CLI::App& app, std::string path) {
  CommandOutline out{std::move(path), app.get_description(), {}, {}, {}};
  for (const CLI::Option* option : app.get_options({})) {
    if (option->nonpositional()) {
      const bool own = option->get_group() == "Options";
      out.options.push_back({names_of(*option), option->get_description(), own ? "" : option->get_group(),
                             option->get_items_expected_max() > 0, choices_of(*option)});
    } else {
      const std::string name = option->get_name(true);
      out.arguments.push_back(option->get_required() ? name : "[" + name + "]");
    }
  }
  for (const CLI::App* sub : app.get_subcommands({})) out.subcommands.push_back(sub->get_name());
  return out;
}

void add(const CLI::App& app, const std::string& path, std::vector<CommandOutline>& out) {
  out.push_back(command_of(app, path));
  for (const CLI::App* sub : app.get_subcommands({})) {
    add(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
  }
}

}  // namespace

std::vector<CommandOutline> outline_of(const CLI::App& app) {
  std::vector<CommandOutline> out;
  add(app, "", out);
  return out;
}

std::vector<CommandOutline> make_outline() {
  const auto commands = make_commands();
  const Arguments arguments(commands);
  return outline_of(arguments.app());
}

}  // namespace vortex::cli
