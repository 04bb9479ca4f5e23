// Qwen2 and Qwen2.5 (arXiv:2407.10671): biases on q, k and v.
#include "loader/families/families.h"
#include "loader/families/windows.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"Qwen2ForCausalLM", "qwen2"}};
constexpr std::string_view kHonours[] = {"sliding_window"};

void read_hf(ConfigFields& fields, ModelConfig* out) {
  out->qkv_bias = true;
  read_qwen_window(fields, out);
}

}  // namespace

constinit const Family kQwen2{
    .hf = {.names = kNames, .honours = kHonours, .read = read_hf},
    .gguf = {.name = "qwen2"},
};

}  // namespace vortex::families
