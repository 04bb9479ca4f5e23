#include "loader/dummy_weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>

#include "loader/errors.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

constexpr float kDeviation = 0.02f;

/// splitmix64: a full-period stream in three lines (Steele et al. 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Uniform with the wanted deviation: half width is deviation * sqrt(3).
  float weight() { return (static_cast<float>(next() >> 40) * 0x1p-23f - 1.0f) * (kDeviation * 1.7320508f); }
  void fill(void* out, size_t bytes) {
    auto* to = static_cast<unsigned char*>(out);
    for (size_t done = 0; done < bytes; done += 8) {
      const uint64_t value = next();
      std::memcpy(to + done, &value, std::min<size_t>(8, bytes - done));
    }
  }

 private:
  uint64_t state_;
};

/// Scale that gives uniform quants of `levels` values the wanted deviation (that of the quants is levels / sqrt(12)).
uint16_t scale_for(float levels) { return f32_to_f16(kDeviation * 3.4641016f / levels); }
/// Offset that centres unsigned quants on zero.
uint16_t offset_for(float levels) { return f32_to_f16(-kDeviation * 3.4641016f / levels * (levels - 1) / 2); }

// Random quants are there already; each overload sets the scales of one block.
void set_scales(BlockQ8_0& b) { b.d = scale_for(256); }
void set_scales(BlockQ4_0& b) { b.d = scale_for(16); }
void set_scales(BlockQ4_1& b) {
  b.d = scale_for(16);
  b.m = offset_for(16);
}
void set_scales(BlockQ5_0& b) { b.d = scale_for(32); }
void set_scales(BlockQ5_1& b) {
  b.d = scale_for(32);
  b.m = offset_for(32);
}

/// Scale and minimum 1 in all eight sub-blocks of a K super-block.
void set_unit_scales(uint8_t (&packed)[12]) {
  std::memset(packed, 1, 8);
  std::memset(packed + 8, 0x11, 4);
}
void set_scales(BlockQ4_K& b) {
  set_unit_scales(b.scales);
  b.d = scale_for(16);
  b.dmin = static_cast<uint16_t>(offset_for(16) & 0x7fffu);  // subtracted
}
void set_scales(BlockQ5_K& b) {
  set_unit_scales(b.scales);
  b.d = scale_for(32);
  b.dmin = static_cast<uint16_t>(offset_for(32) & 0x7fffu);
}
void set_scales(BlockQ6_K& b) {
  std::memset(b.scales, 1, sizeof(b.scales));
  b.d = scale_for(64);
}

template <class Block>
void fill_blocks(std::byte* out, int64_t bytes, Random& random) {
  for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(sizeof(Block))) {
    Block block;
    random.fill(&block, sizeof(block));
    set_scales(block);
    std::memcpy(out + at, &block, sizeof(block));
  }
}

/// Fills with what `make` returns, value after value.
template <class Make>
void fill_with(std::byte* out, int64_t bytes, Make make) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(make()));
  for (int64_t at = 0; at < bytes; at += kSize) {
    const auto value = make();
    std::memcpy(out + at, &value, sizeof(value));
  }
}

Status fill_matrix(DType dtype, std::byte* out, int64_t bytes, Random& random) {
  switch (dtype) {
    case DType::kF32:
      fill_with(out, bytes, [&] { return random.weight(); });
      break;
    case DType::kF16:
      fill_with(out, bytes, [&] { return f32_to_f16(random.weight()); });
      break;
    case DType::kBF16:
      fill_with(out, bytes, [&] { return f32_to_bf16(random.weight()); });
      break;
    case DType::kQ8_0:
      fill_blocks<BlockQ8_0>(out, bytes, random);
      break;
    case DType::kQ4_0:
      fill_blocks<BlockQ4_0>(out, bytes, random);
      break;
    case DType::kQ4_1:
      fill_blocks<BlockQ4_1>(out, bytes, random);
      break;
    case DType::kQ5_0:
      fill_blocks<BlockQ5_0>(out, bytes, random);
      break;
    case DType::kQ5_1:
      fill_blocks<BlockQ5_1>(out, bytes, random);
      break;
    case DType::kQ4_K:
      fill_blocks<BlockQ4_K>(out, bytes, random);
      break;
    case DType::kQ5_K:
      fill_blocks<BlockQ5_K>(out, bytes, random);
      break;
    case DType::kQ6_K:
      fill_blocks<BlockQ6_K>(out, bytes, random);
      break;
    default:
      return unsupported({}, fmt::format("dummy weights cannot be {}", dtype_info(dtype).name));
  }
  return {};
}

void fill_vector(std::string_view name, std::byte* out, int64_t bytes, Random& random) {
  const bool is_bias = name.ends_with(".bias");
  fill_with(out, bytes, [&] { return is_bias ? random.weight() : 1.0f; });
}

/// Stable across programs, unlike std::hash (FNV-1a).
uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

using Memory = std::map<std::string, std::unique_ptr<std::byte[]>, std::less<>>;  // by tensor

Result<TensorView> make_tensor(std::string_view name, const Shape& shape, DType dtype, uint64_t seed, Memory* memory) {
  const bool is_vector = shape.rank() < 2;
  if (is_vector) dtype = DType::kF32;
  const auto bytes = checked_tensor_bytes(dtype, shape);
  if (!bytes) {
    return unsupported(name, fmt::format("shape {} cannot be stored as {}", shape.to_string(), dtype_info(dtype).name),
                       fmt::format("rows must be a multiple of {}", dtype_info(dtype).block_elements));
  }
  auto* data = new (std::nothrow) std::byte[static_cast<size_t>(*bytes)];
  if (!data)
    return Error{ErrorCode::kResourceExhausted, std::string(name), fmt::format("no memory for {} bytes", *bytes), {}};
  memory->emplace(name, data);
  Random random(seed ^ hash_name(name));
  if (is_vector) {
    fill_vector(name, data, *bytes, random);
  } else {
    VORTEX_RETURN_IF_ERROR(fill_matrix(dtype, data, *bytes, random));
  }
  return TensorView{data, dtype, shape};
}

}  // namespace

WeightMap make_dummy_weights(DType dtype, uint64_t seed) {
  auto memory = std::make_shared<Memory>();
  return WeightMap(
      [=](std::string_view name, const Shape& shape) { return make_tensor(name, shape, dtype, seed, memory.get()); },
      [=](std::string_view name) {
        if (const auto it = memory->find(name); it != memory->end()) memory->erase(it);
      });
}

}  // namespace vortex
