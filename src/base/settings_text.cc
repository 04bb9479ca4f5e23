// What is derived from the table as text: names, --help, docs/settings.md.
#include <fmt/core.h>

#include <algorithm>

#include "base/settings.h"

namespace vortex {
namespace {

std::string with_underscores(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

std::string number(const SettingSpec& spec, double value) {
  return spec.type == SettingType::kInt ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{}", value);
}

std::string joined_choices(const SettingSpec& spec) {
  std::string out;
  for (std::size_t i = 0; i < spec.choices.size(); ++i) {
    if (i > 0) out += i + 1 == spec.choices.size() ? " or " : ", ";
    out += spec.choices[i];
  }
  return out;
}

std::string all_flags(const SettingSpec& spec) {
  std::string out = setting_flag(spec);
  if (spec.type == SettingType::kBool) out += fmt::format(", --no-{}", spec.name);
  for (const SettingAlias& alias : spec.aliases) out += fmt::format(", --{}", alias.name);
  return out;
}

std::string default_or_dash(const SettingSpec& spec) {
  return spec.default_text.empty() ? "-" : std::string(spec.default_text);
}

}  // namespace

std::string setting_flag(const SettingSpec& spec) { return fmt::format("--{}", spec.name); }

std::string setting_variable(const SettingSpec& spec) {
  std::string out = "VORTEX_" + with_underscores(spec.name);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string setting_file_key(const SettingSpec& spec) { return with_underscores(spec.name); }

std::string setting_allowed(const SettingSpec& spec) {
  switch (spec.type) {
    case SettingType::kBool:
      return "true or false, on or off, 1 or 0";
    case SettingType::kString:
      return "text";
    case SettingType::kChoice:
      return joined_choices(spec);
    case SettingType::kInt:
    case SettingType::kFloat:
      break;
  }
  std::string out = fmt::format("{} to {}", number(spec, spec.min), number(spec, spec.max));
  if (!spec.automatic.empty()) out += fmt::format(", or {}", spec.automatic);
  return out;
}

std::string settings_help(unsigned commands) {
  std::string out;
  std::string_view group;
  for (const SettingSpec& spec : settings_table()) {
    if ((spec.commands & commands) == 0) continue;
    if (spec.group != group) out += fmt::format("{}{}:\n", out.empty() ? "" : "\n", spec.group);
    group = spec.group;
    out += fmt::format("  {}\n      {} [{}; default {}]\n", all_flags(spec), spec.help, setting_allowed(spec),
                       default_or_dash(spec));
  }
  return out;
}

std::string settings_markdown() {
  std::string out;
  std::string_view group;
  for (const SettingSpec& spec : settings_table()) {
    if (spec.group != group) {
      out += fmt::format("\n## {}\n| flag | variable | key in a file | values | default | meaning |\n", spec.group);
      out += "|---|---|---|---|---|---|\n";
    }
    group = spec.group;
    out += fmt::format("| `{}` | `{}` | `{}` | {} | {} | {} |\n", all_flags(spec), setting_variable(spec),
                       setting_file_key(spec), setting_allowed(spec), default_or_dash(spec), spec.help);
  }
  return out;
}

std::string_view setting_source_name(SettingSource source) {
  switch (source) {
    case SettingSource::kDefault:
      return "default";
    case SettingSource::kFile:
      return "file";
    case SettingSource::kEnvironment:
      return "environment";
    case SettingSource::kFlag:
      return "flag";
  }
  return "default";
}

}  // namespace vortex
