// Mistral (arXiv:2310.06825): a llama whose layers may all slide. Its GGUF files say llama.
#include "loader/families/families.h"
#include "loader/families/windows.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"MistralForCausalLM", "mistral"}};
constexpr std::string_view kHonours[] = {"sliding_window"};

void read_hf(ConfigFields& fields, ModelConfig* out) {
  read_hf_window(
      fields, 0, [](int) { return true; }, out);
}

}  // namespace

constinit const Family kMistral{
    .hf = {.names = kNames, .defaults = {.max_positions = 131072}, .honours = kHonours, .read = read_hf},
};

}  // namespace vortex::families
