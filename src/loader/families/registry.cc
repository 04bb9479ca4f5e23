// The list of families this build knows.
#include <algorithm>
#include <vector>

#include "loader/families/families.h"

namespace vortex {
namespace {

constexpr const Family* kFamilies[] = {
    &families::kLlama,     &families::kMistral,    &families::kQwen2,       &families::kQwen3,
    &families::kQwen3Moe,  &families::kDeepseekV2, &families::kDeepseekV3,  &families::kGlm4Moe,
    &families::kMinimaxM2, &families::kGemma3,     &families::kGlm4MoeLite, &families::kGptOss,
};

bool has_name(const Family& family, std::string_view name) {
  return std::any_of(family.hf.names.begin(), family.hf.names.end(),
                     [&](const HfName& known) { return name == known.architecture || name == known.model_type; });
}

void append(std::string_view name, std::string* list) {
  if (!list->empty()) *list += ", ";
  *list += name;
}

}  // namespace

const Family* find_hf_family(std::string_view name) {
  const auto it = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                               [&](const Family* family) { return has_name(*family, name); });
  return it == std::end(kFamilies) ? nullptr : *it;
}

const Family* find_gguf_family(std::string_view name) {
  const auto it = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                               [&](const Family* family) { return !name.empty() && family->gguf.name == name; });
  return it == std::end(kFamilies) ? nullptr : *it;
}

std::string supported_architectures() {
  std::string hf, gguf;
  for (const Family* family : kFamilies) {
    append(family->hf.names.front().architecture, &hf);
    if (!family->gguf.name.empty()) append(family->gguf.name, &gguf);
  }
  return hf + "; in GGUF " + gguf;
}

}  // namespace vortex
