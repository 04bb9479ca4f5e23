// Qwen3, dense (arXiv:2505.09388): q and k normed head by head.
#include "loader/families/families.h"
#include "loader/families/windows.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"Qwen3ForCausalLM", "qwen3"}};
constexpr std::string_view kHonours[] = {"sliding_window"};

void read_hf(ConfigFields& fields, ModelConfig* out) {
  out->qkv_bias = out->o_bias = fields.boolean("attention_bias").value_or(false);
  out->qk_norm = QkNorm::kHead;
  read_qwen_window(fields, out);
}

}  // namespace

constinit const Family kQwen3{
    .hf = {.names = kNames, .defaults = {.head_dim = 128}, .honours = kHonours, .read = read_hf},
    .gguf = {.name = "qwen3"},
};

}  // namespace vortex::families
