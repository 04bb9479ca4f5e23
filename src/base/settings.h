// One table of settings. Command-line flags, VORTEX_* variables, config-file keys, --help and
// docs/settings.md all derive from it; base knows neither JSON nor a command-line library.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"

namespace vortex {

enum class SettingType { kBool, kInt, kFloat, kString, kChoice };

/// Commands as a set of bits.
enum Command : unsigned {
  kRunCommand = 1,
  kChatCommand = 2,
  kServeCommand = 4,
  kBenchCommand = 8,
  kEvalCommand = 16,
  kEngineCommands = 31,
};

/// Another spelling. `negates`: the alias of a bool that turns it off.
struct SettingAlias {
  std::string_view name;
  bool negates = false;
};

struct SettingSpec {
  std::string_view name;  // "max-model-len": flag --max-model-len, variable VORTEX_MAX_MODEL_LEN
  SettingType type = SettingType::kString;
  std::string_view default_text;
  std::string_view help;   // one sentence
  std::string_view group;  // heading in --help
  unsigned commands = kEngineCommands;
  std::vector<SettingAlias> aliases = {};
  double min = 0, max = 0;                     // kInt, kFloat: both ends allowed
  std::vector<std::string_view> choices = {};  // kChoice
  std::string_view automatic = {};             // a word taken beside numbers: "the engine decides"
  bool is_size = false;                        // kInt: takes 4K, 2GiB (k m g t: 1000; K M G T Ki..: 1024)
  bool is_secret = false;                      // value never shown
};

/// In the order of --help.
std::span<const SettingSpec> settings_table();

/// A name as it was written, resolved: `negated` for --no-NAME and for aliases that negate.
struct SettingMatch {
  const SettingSpec* spec = nullptr;
  bool negated = false;
};

/// Finds a name or alias; '_' and '-' are one. Error (kNotFound) with the nearest name.
Result<SettingMatch> find_setting(std::string_view name);

std::string setting_flag(const SettingSpec& spec);      // --max-model-len
std::string setting_variable(const SettingSpec& spec);  // VORTEX_MAX_MODEL_LEN
std::string setting_file_key(const SettingSpec& spec);  // max_model_len
/// What a value may be: "1 to 1024, or auto"; "cpu, cuda or auto".
std::string setting_allowed(const SettingSpec& spec);
/// The flags with defaults, grouped, for the commands in `commands`.
std::string settings_help(unsigned commands);
/// The same as one Markdown table a group.
std::string settings_markdown();

/// Later ones win.
enum class SettingSource { kDefault, kFile, kEnvironment, kFlag };
std::string_view setting_source_name(SettingSource source);

/// The resolved values. Each starts at its default; a value of a weaker source never replaces one of a
/// stronger, and of two from the same source the later holds.
class Settings {
 public:
  Settings();

  /// Sets `name` (name, alias or no-NAME) from text. `where` is the place to show in an error; empty: the
  /// flag. Errors: kUsage for flags, kConfiguration otherwise; they name key, value and what is allowed.
  Status set(std::string_view name, std::string_view text, SettingSource source, std::string_view where = "");

  /// Takes every known VORTEX_* variable that is set and not empty. `lookup` is getenv, or a test's own.
  Status read_environment(FunctionRef<const char*(const char* variable)> lookup);

  /// Getters by name and type; an unknown name or another type is a bug. Ints and floats that are
  /// "automatic" are nullopt; get_int and get_float are for settings that have a number always.
  bool get_bool(std::string_view name) const;
  int64_t get_int(std::string_view name) const;
  std::optional<int64_t> get_optional_int(std::string_view name) const;
  double get_float(std::string_view name) const;
  /// kString and kChoice.
  const std::string& get_string(std::string_view name) const;

  SettingSource source(std::string_view name) const;
  /// The value for reports; "***" for a secret that is set.
  std::string shown(std::string_view name) const;

 private:
  using Value = std::variant<std::monostate, bool, int64_t, double, std::string>;
  struct Entry {
    Value value;
    SettingSource source = SettingSource::kDefault;
  };

  const Entry& entry(std::string_view name, SettingType type) const;
  static Result<Value> parse(const SettingSpec& spec, std::string_view text);

  std::vector<Entry> entries_;  // as settings_table()
};

}  // namespace vortex
