#include "loader/testing/model_images.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/check.h"

namespace vortex::testing {
namespace {

template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
}

std::string raw_string(std::string_view text) { return raw<uint64_t>(text.size()) + std::string(text); }

void pad(std::string* out, uint64_t alignment) {
  while (alignment > 0 && out->size() % alignment != 0) out->push_back('\0');
}

}  // namespace

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

GgufField gguf_u32(uint32_t value) { return {4, raw(value)}; }
GgufField gguf_u64(uint64_t value) { return {10, raw(value)}; }
GgufField gguf_f32(float value) { return {6, raw(value)}; }
GgufField gguf_bool(uint8_t value) { return {7, raw(value)}; }
GgufField gguf_string(std::string_view value) { return {8, raw_string(value)}; }

GgufField gguf_array(uint32_t element_type, uint64_t count, std::string payload) {
  return {9, raw(element_type) + raw(count) + payload};
}

GgufField gguf_strings(const std::vector<std::string>& values) {
  std::string payload;
  for (const std::string& value : values) payload += raw_string(value);
  return gguf_array(8, values.size(), payload);
}

std::string GgufImage::build() const {
  std::string out = magic + raw(version);
  out += raw<uint64_t>(tensor_count.value_or(tensors.size()));
  out += raw<uint64_t>(metadata_count.value_or(metadata.size()));
  for (const auto& [key, field] : metadata) out += raw_string(key) + raw(field.type) + field.payload;
  std::string data;
  for (const GgufTensor& tensor : tensors) {
    pad(&data, alignment);
    out += raw_string(tensor.name) + raw(static_cast<uint32_t>(tensor.dims.size()));
    for (uint64_t dim : tensor.dims) out += raw(dim);
    out += raw(tensor.type) + raw<uint64_t>(tensor.offset.value_or(data.size()));
    data += tensor.data;
  }
  pad(&out, alignment);
  return out + data;
}

std::string zeros(size_t floats) { return std::string(floats * 4, '\0'); }

GgufImage small_llama() {
  GgufImage image;
  image.metadata = {
      {"general.architecture", gguf_string("llama")},
      {"llama.block_count", gguf_u32(1)},
      {"llama.context_length", gguf_u32(128)},
      {"llama.embedding_length", gguf_u32(32)},
      {"llama.feed_forward_length", gguf_u32(64)},
      {"llama.attention.head_count", gguf_u32(2)},
      {"llama.attention.head_count_kv", gguf_u32(1)},
      {"llama.attention.layer_norm_rms_epsilon", gguf_f32(1e-5f)},
      {"llama.rope.freq_base", gguf_f32(10000.0f)},
      {"tokenizer.ggml.tokens", gguf_strings({"a", "b", "c", "d", "e", "f", "<s>", "</s>"})},
      {"tokenizer.ggml.bos_token_id", gguf_u32(6)},
      {"tokenizer.ggml.eos_token_id", gguf_u32(7)},
      {"tokenizer.chat_template", gguf_string("{{ messages }}")},
  };
  image.tensors = {
      {"token_embd.weight", {32, 8}, 0, zeros(256)},
      {"blk.0.attn_norm.weight", {32}, 0, zeros(32)},
      {"blk.0.attn_q.weight", {32, 32}, 8, std::string(32 * 34, '\1')},  // Q8_0
      {"blk.0.attn_k.weight", {32, 16}, 0, zeros(512)},
      {"blk.0.attn_v.weight", {32, 16}, 0, zeros(512)},
      {"blk.0.attn_output.weight", {32, 32}, 0, zeros(1024)},
      {"blk.0.ffn_norm.weight", {32}, 0, zeros(32)},
      {"blk.0.ffn_gate.weight", {32, 64}, 0, zeros(2048)},
      {"blk.0.ffn_up.weight", {32, 64}, 2, std::string(64 * 18, '\1')},  // Q4_0
      {"blk.0.ffn_down.weight", {64, 32}, 0, zeros(2048)},
      {"output_norm.weight", {32}, 0, zeros(32)},
  };
  return image;
}

std::string safetensors_image(std::string_view header, std::string_view data, std::optional<uint64_t> length) {
  return raw<uint64_t>(length.value_or(header.size())) + std::string(header) + std::string(data);
}

std::string small_safetensors() {
  return safetensors_image(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                           R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})",
                           std::string(32, '\2'));
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "vortex-test-XXXXXX").string();
  VORTEX_CHECK(::mkdtemp(pattern.data()) != nullptr, "no scratch folder at {}", pattern);
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ScratchFolder::write(std::string_view name, std::string_view content) const {
  const std::string path = path_ + "/" + std::string(name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

}  // namespace vortex::testing
