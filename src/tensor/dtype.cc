#include "tensor/dtype.h"

#include <array>
#include <string>

#include "base/check.h"

namespace vortex {
namespace {

constexpr std::array<DTypeInfo, 21> kInfo = {{
    {"float32", 1, 4},     {"float16", 1, 2},    {"bfloat16", 1, 2},   {"float8_e4m3fn", 1, 1},
    {"float8_e5m2", 1, 1}, {"int8", 1, 1},       {"int32", 1, 4},      {"int64", 1, 8},
    {"uint8", 1, 1},       {"int8 codes", 0, 0},  // bytes: CodeLayout
    {"int4 codes", 0, 0},  {"int2 codes", 0, 0}, {"int1 codes", 0, 0}, {"q8_0", 32, 34},
    {"q4_0", 32, 18},      {"q4_1", 32, 20},     {"q5_0", 32, 22},     {"q5_1", 32, 24},
    {"q4_k", 256, 144},    {"q5_k", 256, 176},   {"q6_k", 256, 210},
}};

struct Alias {
  std::string_view name;
  DType dtype;
};
constexpr Alias kAliases[] = {
    {"f32", DType::kF32},         {"float", DType::kF32},       {"f16", DType::kF16},
    {"fp16", DType::kF16},        {"half", DType::kF16},        {"bf16", DType::kBF16},
    {"fp8", DType::kF8E4M3},      {"fp8_e4m3", DType::kF8E4M3}, {"float8_e4m3", DType::kF8E4M3},
    {"fp8_e5m2", DType::kF8E5M2}, {"i8", DType::kI8},           {"i32", DType::kI32},
};

}  // namespace

const DTypeInfo& dtype_info(DType dtype) { return kInfo[static_cast<size_t>(dtype)]; }

int64_t dtype_bytes(DType dtype, int64_t elements) {
  const DTypeInfo& info = dtype_info(dtype);
  VORTEX_CHECK(info.block_elements > 0 && elements % info.block_elements == 0, "{} elements of {}", elements,
               info.name);
  return elements / info.block_elements * info.block_bytes;
}

std::optional<DType> parse_dtype(std::string_view name) {
  std::string lower;
  for (char c : name) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (lower.starts_with("torch.")) lower.erase(0, 6);
  for (size_t i = 0; i < kInfo.size(); ++i)
    if (lower == kInfo[i].name && kInfo[i].block_bytes > 0) return static_cast<DType>(i);
  for (const Alias& alias : kAliases)
    if (lower == alias.name) return alias.dtype;
  return std::nullopt;
}

}  // namespace vortex
