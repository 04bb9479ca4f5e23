// Element types of tensors, GGUF block formats included.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace vortex {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kI8,
  kI32,
  kI64,
  kU8,
  // Codes of 8 to 1 bits with a step a row (codes.h): for fields of pages only.
  kCode8,
  kCode4,
  kCode2,
  kCode1,
  // GGUF blocks, laid out as ggml writes them (see quant_blocks.h).
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ4_K,
  kQ5_K,
  kQ6_K,
};

/// `block_elements` consecutive elements of a row take `block_bytes` bytes (1 element for plain types).
struct DTypeInfo {
  std::string_view name;  // "float32", "bfloat16", "q4_1"
  int block_elements;
  int block_bytes;
};

const DTypeInfo& dtype_info(DType dtype);
inline bool is_quantized(DType dtype) { return dtype >= DType::kQ8_0; }

/// Bytes of `elements` consecutive elements; `elements` must be a multiple of the block (checked). Not for codes, whose
/// size depends on the rows.
int64_t dtype_bytes(DType dtype, int64_t elements);

/// From a name as config files write it: "float32", "torch.bfloat16", "bf16", "half", "q8_0"; case is ignored.
std::optional<DType> parse_dtype(std::string_view name);

}  // namespace vortex
