#include "cli/arguments.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <iostream>

#include "base/nearest_name.h"
#include "cli/config_file.h"
#include "loader/json.h"

namespace vortex::cli {
namespace {

/// "--max-model-len,--context-length" as CLI11 wants the names of one option.
std::string flag_names(const SettingSpec& spec) {
  std::string names = setting_flag(spec);
  for (const SettingAlias& alias : spec.aliases)
    if (!alias.negates) names += fmt::format(",--{}", alias.name);
  return names;
}

std::string flag_help(const SettingSpec& spec) {
  return fmt::format("{} [{}] ({})", spec.help, spec.default_text, setting_variable(spec));
}

/// "bench latency" of `vortex bench latency`; "" for the program itself.
std::string command_path(const CLI::App* app) {
  if (app->get_parent() == nullptr) return "";
  const std::string above = command_path(app->get_parent());
  return above.empty() ? app->get_name() : above + " " + app->get_name();
}

std::string help_hint(const CLI::App* app) {
  const std::string path = command_path(app);
  return fmt::format("see vortex {}--help", path.empty() ? "" : path + " ");
}

Error unexpected(const CLI::App* app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app->get_options({}))
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  for (const CLI::App* sub : app->get_subcommands({})) names.push_back(sub->get_name());
  const std::string nearest = nearest_name(word.substr(0, word.find('=')), names);
  return {ErrorCode::kUsage, command_path(app), fmt::format("'{}' is not known", word),
          nearest.empty() ? help_hint(app) : fmt::format("did you mean '{}'?", nearest)};
}

std::string as_text(const nlohmann::json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

Status apply_config(const std::string& path, Settings* settings) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_config_file(path));
  const auto object = parse_json(text, path);
  if (!object.ok()) return Error{ErrorCode::kConfiguration, path, object.error().message, ""};
  if (!object->is_object())
    return Error{ErrorCode::kConfiguration, path, "not a JSON object", "write {\"threads\": 2}"};
  for (const auto& [key, value] : object->items())
    VORTEX_RETURN_IF_ERROR(settings->set(key, as_text(value), SettingSource::kFile, path));
  return {};
}

}  // namespace

Arguments::Arguments(const std::vector<std::unique_ptr<Command>>& commands)
    : app_("Vortex: language models with programmable sparse attention.", "vortex") {
  app_.require_subcommand(0, 1);
  app_.set_version_flag("--version", "vortex " VORTEX_VERSION);
  for (const auto& command : commands) {
    const std::string name(command->name());
    const size_t space = name.find(' ');
    CLI::App* parent = space == std::string::npos ? &app_ : group(name.substr(0, space));
    const std::string leaf = space == std::string::npos ? name : name.substr(space + 1);
    CLI::App* sub = parent->add_subcommand(leaf, std::string(command->summary()));
    sub->allow_extras();  // so that the error for a wrong name can be ours
    command->add_options(*sub);
    if (command->settings() != 0) sub->add_option("--config", config_path_, "JSON file of settings")->group("Settings");
    for (const SettingSpec& spec : settings_table())
      if (spec.commands & command->settings()) add_setting(sub, spec);
    commands_.emplace_back(sub, command.get());
  }
}

CLI::App* Arguments::group(const std::string& name) {
  for (CLI::App* existing : app_.get_subcommands([&](const CLI::App* sub) { return sub->get_name() == name; }))
    return existing;
  CLI::App* created = app_.add_subcommand(name, name + " commands");
  created->require_subcommand(1);
  return created;
}

void Arguments::add_setting(CLI::App* app, const SettingSpec& spec) {
  const std::string name(spec.name);
  CLI::Option* option = nullptr;
  if (spec.type == SettingType::kBool) {
    option = app->add_flag_callback(
        flag_names(spec), [this, name] { flags_.emplace_back(name, "true"); }, flag_help(spec));
    std::string off = "--no-" + name;
    for (const SettingAlias& alias : spec.aliases)
      if (alias.negates) off += fmt::format(",--{}", alias.name);
    app->add_flag_callback(
           off, [this, name] { flags_.emplace_back(name, "false"); }, "The opposite.")
        ->group(std::string(spec.group));
  } else {
    option = app->add_option_function<std::string>(
        flag_names(spec), [this, name](const std::string& text) { flags_.emplace_back(name, text); }, flag_help(spec));
  }
  option->group(std::string(spec.group));
}

/// vLLM's spelling of --tensor-parallel-size, which is no short option in ours.
std::vector<const char*> with_long_tp(int argc, char** argv) {
  std::vector<const char*> arguments(argv, argv + argc);
  for (const char*& argument : arguments)
    if (std::string_view(argument) == "-tp") argument = "--tp";
  return arguments;
}

Result<Command*> Arguments::parse(int argc, char** argv) {
  try {
    app_.parse(argc, with_long_tp(argc, argv).data());
  } catch (const CLI::Success& help) {
    app_.exit(help, std::cout, std::cerr);
    return nullptr;
  } catch (const CLI::ParseError& error) {
    return refused(error);
  }
  for (const auto& [sub, command] : commands_) {
    if (!sub->parsed()) continue;
    if (!sub->remaining().empty()) return unexpected(sub, sub->remaining().front());
    return command;
  }
  std::cout << app_.help();
  return nullptr;
}

/// A word that nobody takes is the likelier slip than what CLI11 missed for want of it.
Error Arguments::refused(const CLI::ParseError& error) {
  const CLI::App* deepest = &app_;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  if (!deepest->remaining().empty()) return unexpected(deepest, deepest->remaining().front());
  return {ErrorCode::kUsage, command_path(deepest), error.what(), help_hint(deepest)};
}

Result<Settings> Arguments::resolve_settings() const {
  Settings settings;
  if (!config_path_.empty()) VORTEX_RETURN_IF_ERROR(apply_config(config_path_, &settings));
  VORTEX_RETURN_IF_ERROR(settings.read_environment([](const char* name) { return std::getenv(name); }));
  for (const auto& [name, text] : flags_) VORTEX_RETURN_IF_ERROR(settings.set(name, text, SettingSource::kFlag));
  return settings;
}

}  // namespace vortex::cli
