#include "base/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/nearest_name.h"
#include "base/numbers.h"

namespace vortex {
namespace {

std::string with_dashes(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::optional<SettingMatch> match(std::string_view name) {
  for (const SettingSpec& spec : settings_table()) {
    if (spec.name == name) return SettingMatch{&spec, false};
    for (const SettingAlias& alias : spec.aliases) {
      if (alias.name == name) return SettingMatch{&spec, alias.negates};
    }
  }
  return std::nullopt;
}

std::vector<std::string_view> all_names() {
  std::vector<std::string_view> names;
  for (const SettingSpec& spec : settings_table()) {
    names.push_back(spec.name);
    for (const SettingAlias& alias : spec.aliases) names.push_back(alias.name);
  }
  return names;
}

std::optional<bool> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"1", "on", "true", "yes"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "off", "false", "no"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

// Bytes or tokens a suffix stands for: "k" 1000, "K", "Ki" and "KiB" 1024; 0 for anything else.
int64_t suffix_factor(std::string_view suffix) {
  if (suffix.empty()) return 1;
  const std::string_view rest = suffix.substr(1);
  if (!rest.empty() && rest != "i" && rest != "iB") return 0;
  constexpr std::string_view kDecimal = "kmgt", kBinary = "KMGT";
  int64_t factor = 1;
  if (const auto power = kBinary.find(suffix[0]); power != std::string_view::npos) {
    return int64_t{1} << (10 * (power + 1));
  }
  const auto power = kDecimal.find(suffix[0]);
  if (power == std::string_view::npos || !rest.empty()) return 0;
  for (std::size_t i = 0; i <= power; ++i) factor *= 1000;
  return factor;
}

std::optional<int64_t> parse_int(const SettingSpec& spec, std::string_view text) {
  int64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc()) return std::nullopt;
  const std::string_view suffix(end, static_cast<std::size_t>(last - end));
  const int64_t factor = spec.is_size ? suffix_factor(suffix) : static_cast<int64_t>(suffix.empty());
  if (factor == 0) return std::nullopt;
  const auto product = checked_mul(value, factor);
  if (!product || *product < static_cast<int64_t>(spec.min) || *product > static_cast<int64_t>(spec.max)) {
    return std::nullopt;
  }
  return product;
}

std::optional<double> parse_float(const SettingSpec& spec, std::string_view text) {
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last || !std::isfinite(value)) return std::nullopt;
  if (value < spec.min || value > spec.max) return std::nullopt;
  return value;
}

Error bad_value(const SettingSpec& spec, std::string_view text) {
  const std::string shown = spec.is_secret ? "***" : std::string(text.substr(0, 80));
  std::string hint = fmt::format("allowed: {}", setting_allowed(spec));
  const std::string near = nearest_name_hint(text, spec.choices);
  if (!near.empty()) hint += "; " + near;
  return {ErrorCode::kConfiguration, "", fmt::format("{} cannot be '{}'", spec.name, shown), hint};
}

Error placed(Error error, SettingSource source, std::string_view where, std::string_view name) {
  const bool flag = source == SettingSource::kFlag;
  error.code = flag ? ErrorCode::kUsage : ErrorCode::kConfiguration;
  error.where = where.empty() ? fmt::format("{}{}", flag ? "--" : "", name) : std::string(where);
  return error;
}

std::size_t index_of(const SettingSpec& spec) { return static_cast<std::size_t>(&spec - settings_table().data()); }

}  // namespace

Result<SettingMatch> find_setting(std::string_view name) {
  const std::string dashed = with_dashes(name);
  if (const auto found = match(dashed)) return *found;
  if (dashed.starts_with("no-")) {
    const auto found = match(std::string_view(dashed).substr(3));
    if (found && found->spec->type == SettingType::kBool) return SettingMatch{found->spec, !found->negated};
  }
  const std::vector<std::string_view> names = all_names();
  return Error{ErrorCode::kNotFound, "", fmt::format("unknown setting '{}'", name.substr(0, 80)),
               nearest_name_hint(dashed, names)};
}

Settings::Settings() {
  for (const SettingSpec& spec : settings_table()) {
    auto value = parse(spec, spec.default_text);
    VORTEX_CHECK(value.ok(), "default of {}", spec.name);
    entries_.push_back({std::move(value).value(), SettingSource::kDefault});
  }
}

Result<Settings::Value> Settings::parse(const SettingSpec& spec, std::string_view text) {
  if (!spec.automatic.empty() && text == spec.automatic) return Value{};
  switch (spec.type) {
    case SettingType::kBool:
      if (const auto value = parse_bool(text)) return Value{*value};
      break;
    case SettingType::kInt:
      if (const auto value = parse_int(spec, text)) return Value{*value};
      break;
    case SettingType::kFloat:
      if (const auto value = parse_float(spec, text)) return Value{*value};
      break;
    case SettingType::kChoice:
      if (std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) break;
      return Value{std::string(text)};
    case SettingType::kString:
      return Value{std::string(text)};
  }
  return bad_value(spec, text);
}

Status Settings::set(std::string_view name, std::string_view text, SettingSource source, std::string_view where) {
  const auto found = find_setting(name);
  if (!found.ok()) return placed(found.error(), source, where, name);
  auto parsed = parse(*found->spec, text);
  if (!parsed.ok()) return placed(parsed.error(), source, where, name);
  Entry& entry = entries_[index_of(*found->spec)];
  if (source < entry.source) return {};
  entry.value = std::move(parsed).value();
  if (found->negated) entry.value = !std::get<bool>(entry.value);
  entry.source = source;
  return {};
}

Status Settings::read_environment(FunctionRef<const char*(const char*)> lookup) {
  for (const SettingSpec& spec : settings_table()) {
    const std::string variable = setting_variable(spec);
    const char* const text = lookup(variable.c_str());
    if (text == nullptr || *text == '\0') continue;
    VORTEX_RETURN_IF_ERROR(set(spec.name, text, SettingSource::kEnvironment, variable));
  }
  return {};
}

const Settings::Entry& Settings::entry(std::string_view name, SettingType type) const {
  const auto found = match(name);
  VORTEX_CHECK(found && found->spec->name == name && found->spec->type == type, "setting {} of another type", name);
  return entries_[index_of(*found->spec)];
}

bool Settings::get_bool(std::string_view name) const { return std::get<bool>(entry(name, SettingType::kBool).value); }

std::optional<int64_t> Settings::get_optional_int(std::string_view name) const {
  const Value& value = entry(name, SettingType::kInt).value;
  if (std::holds_alternative<std::monostate>(value)) return std::nullopt;
  return std::get<int64_t>(value);
}

int64_t Settings::get_int(std::string_view name) const {
  const auto value = get_optional_int(name);
  VORTEX_CHECK(value.has_value(), "setting {} is automatic", name);
  return *value;
}

double Settings::get_float(std::string_view name) const {
  return std::get<double>(entry(name, SettingType::kFloat).value);
}

const std::string& Settings::get_string(std::string_view name) const {
  const auto found = match(name);
  VORTEX_CHECK(found && found->spec->type != SettingType::kBool, "setting {} is no string", name);
  return std::get<std::string>(entry(name, found->spec->type).value);
}

SettingSource Settings::source(std::string_view name) const {
  const auto found = match(name);
  VORTEX_CHECK(found, "no setting {}", name);
  return entries_[index_of(*found->spec)].source;
}

std::string Settings::shown(std::string_view name) const {
  const auto found = match(name);
  VORTEX_CHECK(found, "no setting {}", name);
  const Value& value = entries_[index_of(*found->spec)].value;
  if (const auto* text = std::get_if<std::string>(&value)) {
    return found->spec->is_secret && !text->empty() ? "***" : *text;
  }
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
  return std::string(found->spec->automatic);
}

}  // namespace vortex
