#include "base/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace vortex {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view name, std::string_view text, SettingSource source = SettingSource::kFlag,
                     std::string_view where = "") {
  Settings settings;
  const Status status = settings.set(name, text, source, where);
  return status.ok() ? "" : status.error().to_string();
}

TEST(Settings, StartAtTheirDefaults) {
  const Settings settings;
  EXPECT_EQ(settings.get_string("device"), "auto");
  EXPECT_EQ(settings.get_int("port"), 30000);
  EXPECT_EQ(settings.get_optional_int("threads"), std::nullopt);
  EXPECT_TRUE(settings.get_bool("enable-prefix-caching"));
  EXPECT_DOUBLE_EQ(settings.get_float("gpu-memory-utilization"), 0.9);
  EXPECT_EQ(settings.source("port"), SettingSource::kDefault);
}

TEST(Settings, TheStrongerSourceHoldsInWhateverOrderTheyCome) {
  Settings settings;
  ASSERT_TRUE(settings.set("seed", "3", SettingSource::kFlag).ok());
  ASSERT_TRUE(settings.set("seed", "1", SettingSource::kFile).ok());
  ASSERT_TRUE(settings.set("seed", "2", SettingSource::kEnvironment).ok());
  EXPECT_EQ(settings.get_int("seed"), 3);
  EXPECT_EQ(settings.source("seed"), SettingSource::kFlag);
  ASSERT_TRUE(settings.set("seed", "4", SettingSource::kFlag).ok());
  EXPECT_EQ(settings.get_int("seed"), 4);
}

TEST(Settings, AliasesAndUnderscoresNameTheSameSetting) {
  Settings settings;
  ASSERT_TRUE(settings.set("context-length", "4096", SettingSource::kFlag).ok());
  EXPECT_EQ(settings.get_optional_int("max-model-len"), 4096);
  ASSERT_TRUE(settings.set("max_model_len", "512", SettingSource::kFlag).ok());
  EXPECT_EQ(settings.get_optional_int("max-model-len"), 512);
  ASSERT_TRUE(settings.set("tp", "2", SettingSource::kFlag).ok());
  EXPECT_EQ(settings.get_int("tensor-parallel-size"), 2);
}

TEST(Settings, BoolsCanBeTurnedOffInEverySpelling) {
  const std::pair<const char*, const char*> off[] = {
      {"enable-prefix-caching", "false"},   {"enable-prefix-caching", "0"}, {"enable-prefix-caching", "off"},
      {"no-enable-prefix-caching", "true"}, {"disable-radix-cache", "1"},   {"disable_radix_cache", "on"},
  };
  for (const auto& [name, text] : off) {
    Settings settings;
    ASSERT_TRUE(settings.set(name, text, SettingSource::kFlag).ok()) << name;
    EXPECT_FALSE(settings.get_bool("enable-prefix-caching")) << name << "=" << text;
  }
  Settings settings;
  ASSERT_TRUE(settings.set("no-disable-radix-cache", "true", SettingSource::kFlag).ok());
  EXPECT_TRUE(settings.get_bool("enable-prefix-caching"));
}

TEST(Settings, SizesTakeSuffixes) {
  const std::pair<const char*, int64_t> sizes[] = {
      {"100000", 100'000}, {"128k", 128'000},      {"128K", 131'072},
      {"64KiB", 65'536},   {"2Gi", 2'147'483'648}, {"1t", 1'000'000'000'000},
  };
  for (const auto& [text, bytes] : sizes) {
    Settings settings;
    ASSERT_TRUE(settings.set("kv-cache-memory-bytes", text, SettingSource::kFlag).ok()) << text;
    EXPECT_EQ(settings.get_optional_int("kv-cache-memory-bytes"), bytes) << text;
  }
}

TEST(Settings, AutoPutsTheEngineInChargeAgain) {
  Settings settings;
  ASSERT_TRUE(settings.set("threads", "3", SettingSource::kFile).ok());
  ASSERT_TRUE(settings.set("threads", "auto", SettingSource::kFlag).ok());
  EXPECT_EQ(settings.get_optional_int("threads"), std::nullopt);
}

TEST(SettingsErrors, NameKeyValueAndRange) {
  EXPECT_EQ(error_of("port", "70000"), "--port: port cannot be '70000' (allowed: 0 to 65535)");
  EXPECT_EQ(error_of("threads", "zero", SettingSource::kEnvironment, "VORTEX_THREADS"),
            "VORTEX_THREADS: threads cannot be 'zero' (allowed: 1 to 1024, or auto)");
  EXPECT_EQ(error_of("device", "cdua", SettingSource::kFile, "vortex.json: device"),
            "vortex.json: device: device cannot be 'cdua' (allowed: cpu, cuda or auto; did you mean 'cuda'?)");
  EXPECT_THAT(error_of("gpu-memory-utilization", "1.5"), HasSubstr("allowed: 0.05 to 1"));
}

TEST(SettingsErrors, UnknownNamesGetTheNearestOne) {
  EXPECT_EQ(error_of("max-modle-len", "1"),
            "--max-modle-len: unknown setting 'max-modle-len' (did you mean 'max-model-len'?)");
  EXPECT_EQ(error_of("colour", "1"), "--colour: unknown setting 'colour'");
  EXPECT_THAT(error_of("no-port", "true"), HasSubstr("unknown setting 'no-port'"));
}

TEST(SettingsErrors, RefuseNumbersThatAreNotQuiteNumbers) {
  for (const char* text : {"", " 1", "1 ", "1x", "0x10", "1.0", "-1", "99999999999999999999", "+5"}) {
    EXPECT_NE(error_of("seed", text), "") << "'" << text << "'";
  }
  for (const char* text : {"", "nan", "inf", "0.5x", "-0.5", "1e999"}) {
    EXPECT_NE(error_of("gpu-memory-utilization", text), "") << "'" << text << "'";
  }
  for (const char* text : {"9223372036854775807T", "1kB", "1kiB", "1Q", "K"}) {
    EXPECT_NE(error_of("kv-cache-memory-bytes", text), "") << "'" << text << "'";
  }
}

TEST(SettingsErrors, AreUsageForFlagsAndConfigurationElsewhere) {
  Settings settings;
  EXPECT_EQ(settings.set("port", "x", SettingSource::kFlag).error().code, ErrorCode::kUsage);
  EXPECT_EQ(settings.set("port", "x", SettingSource::kFile).error().code, ErrorCode::kConfiguration);
  EXPECT_EQ(settings.set("prot", "1", SettingSource::kFile).error().code, ErrorCode::kConfiguration);
  EXPECT_EQ(settings.get_int("port"), 30000);
}

TEST(Settings, ReadTheEnvironment) {
  std::map<std::string, std::string> variables = {{"VORTEX_MAX_NUM_SEQS", "8"}, {"VORTEX_HOST", ""}};
  const auto lookup = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  Settings settings;
  ASSERT_TRUE(settings.read_environment(lookup).ok());
  EXPECT_EQ(settings.get_int("max-num-seqs"), 8);
  EXPECT_EQ(settings.source("max-num-seqs"), SettingSource::kEnvironment);
  EXPECT_EQ(settings.get_string("host"), "127.0.0.1");

  variables["VORTEX_DTYPE"] = "int3";
  const Status bad = settings.read_environment(lookup);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().to_string(), "VORTEX_DTYPE: dtype cannot be 'int3' (allowed: auto, bfloat16 or float32)");
}

TEST(Settings, SecretsAreNotShown) {
  Settings settings;
  EXPECT_EQ(settings.shown("api-key"), "");
  ASSERT_TRUE(settings.set("api-key", "hunter2", SettingSource::kFlag).ok());
  EXPECT_EQ(settings.shown("api-key"), "***");
  EXPECT_EQ(settings.get_string("api-key"), "hunter2");
  EXPECT_EQ(settings.shown("threads"), "auto");
  EXPECT_EQ(settings.shown("port"), "30000");
}

TEST(SettingsTable, NamesAreUniqueAndTextsComplete) {
  std::set<std::string_view> names;
  for (const SettingSpec& spec : settings_table()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    for (const SettingAlias& alias : spec.aliases) EXPECT_TRUE(names.insert(alias.name).second) << alias.name;
    EXPECT_TRUE(spec.help.ends_with('.')) << spec.name;
    EXPECT_FALSE(spec.group.empty()) << spec.name;
    EXPECT_NE(spec.commands, 0u) << spec.name;
  }
}

TEST(SettingsTable, DerivesNamesForEachSource) {
  const auto found = find_setting("context_length");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(setting_flag(*found->spec), "--max-model-len");
  EXPECT_EQ(setting_variable(*found->spec), "VORTEX_MAX_MODEL_LEN");
  EXPECT_EQ(setting_file_key(*found->spec), "max_model_len");
}

TEST(SettingsTable, HelpShowsOnlyWhatACommandTakes) {
  const std::string run = settings_help(kRunCommand);
  EXPECT_THAT(run, HasSubstr("  --enable-prefix-caching, --no-enable-prefix-caching, --disable-radix-cache\n"));
  EXPECT_THAT(run, Not(HasSubstr("--port")));
  EXPECT_THAT(settings_help(kServeCommand), HasSubstr("--port\n      Port the server listens on; 0 takes a free one. "
                                                      "[0 to 65535; default 30000]\n"));
}

// VORTEX_UPDATE_DOCS=1 writes the file anew.
TEST(SettingsTable, TheDocumentIsCurrent) {
  const std::string path = VORTEX_SOURCE_DIR "/docs/settings.md";
  const std::string wanted =
      "# Settings\nDerived from `src/base/settings_table.cc`; do not edit by hand. A value is taken from the flag, "
      "else the variable, else the file given to `--config`, else the default.\n" +
      settings_markdown();
  if (std::getenv("VORTEX_UPDATE_DOCS") != nullptr) std::ofstream(path) << wanted;
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), wanted) << "run base_test once with VORTEX_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace vortex
