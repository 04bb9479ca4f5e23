// Builds small model files in memory, right or wrong on purpose: for tests and as fuzz seeds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vortex::testing {

std::span<const std::byte> as_bytes(std::string_view text);

/// A metadata value: its type number and payload.
struct GgufField {
  uint32_t type = 0;
  std::string payload;
};
GgufField gguf_u32(uint32_t value);
GgufField gguf_u64(uint64_t value);
GgufField gguf_f32(float value);
GgufField gguf_bool(uint8_t value);
GgufField gguf_string(std::string_view value);
GgufField gguf_array(uint32_t element_type, uint64_t count, std::string payload);
GgufField gguf_strings(const std::vector<std::string>& values);

struct GgufTensor {
  std::string name;
  std::vector<uint64_t> dims;  // fastest first, as GGUF writes them
  uint32_t type = 0;           // F32
  std::string data;
  std::optional<uint64_t> offset = std::nullopt;  // the right one when absent
};

/// A whole file. What is set explicitly may lie.
struct GgufImage {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> tensor_count;
  std::optional<uint64_t> metadata_count;
  uint64_t alignment = 32;
  std::vector<std::pair<std::string, GgufField>> metadata;
  std::vector<GgufTensor> tensors;

  std::string build() const;
};

/// `floats` float32 zeros.
std::string zeros(size_t floats);

/// A one-layer llama: vocabulary 8, width 32, two heads of 16, feed-forward 64.
GgufImage small_llama();

/// u64 header length (the right one when absent), header, data.
std::string safetensors_image(std::string_view header, std::string_view data,
                              std::optional<uint64_t> length = std::nullopt);

/// Two tensors, "a" float32 [2, 3] and "b" bfloat16 [4].
std::string small_safetensors();

/// A folder that is gone with the object.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  /// Writes a file and returns its path.
  std::string write(std::string_view name, std::string_view content) const;

 private:
  std::string path_;
};

}  // namespace vortex::testing
