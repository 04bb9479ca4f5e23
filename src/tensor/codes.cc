#include "tensor/codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace vortex {
namespace {

constexpr int kAtOnce = 512;  // channels of a row coded at a time; a multiple of every chunk
constexpr float kGaussianStep = 0.9957f;

/// Eight sums side by side: the compiler makes vectors of them, and every caller adds in the same order.
template <class Term>
float sum_of(const float* x, int n, Term term) {
  float sums[8] = {};
  int i = 0;
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; ++lane) sums[lane] += term(x[i + lane]);
  for (int lane = 0; i < n; ++i, ++lane) sums[lane] += term(x[i]);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/// NaN if any is.
float largest(const float* x, int n) {
  float best = 0;
  for (int i = 0; i < n; ++i) {
    const float a = std::fabs(x[i]);
    best = a <= best ? best : a != a || best == best ? a : best;
  }
  return best;
}

/// What the codes of a row are taken with.
float first_step(int bits, const float* x, int n) {
  if (bits == 2) return kGaussianStep * std::sqrt(sum_of(x, n, [](float v) { return v * v; }) / static_cast<float>(n));
  return 2 * largest(x, n) / static_cast<float>(1 << bits);
}

/// Codes from 0: code + L/2.
void code_row(int bits, float step, const float* x, int n, uint8_t* out) {
  const float half = static_cast<float>(1 << (bits - 1)), top = static_cast<float>((1 << bits) - 1);
  const float inverse = step > 0 ? 1 / step : 0;
  for (int i = 0; i < n; ++i) {
    float code = x[i] * inverse + half;
    code = code > 0 ? code : 0;  // NaN too
    code = code < top ? code : top;
    out[i] = static_cast<uint8_t>(static_cast<int>(code));
  }
}

/// <x, c> and <c, c> of a row, c the codes plus 1/2: the step that fits them best is their ratio.
struct Fit {
  float xc = 0, cc = 0;
  void add(int bits, const float* x, const uint8_t* codes, int n) {
    const float middle = static_cast<float>(1 << bits) / 2 - 0.5f;
    float xcs[8] = {}, ccs[8] = {};
    const auto term = [&](int i, int lane) {
      const float c = static_cast<float>(codes[i]) - middle;
      xcs[lane] += x[i] * c;
      ccs[lane] += c * c;
    };
    int i = 0;
    for (; i + 8 <= n; i += 8)
      for (int lane = 0; lane < 8; ++lane) term(i + lane, lane);
    for (int lane = 0; i < n; ++i, ++lane) term(i, lane);
    for (int lane = 0; lane < 8; ++lane) {
      xc += xcs[lane];
      cc += ccs[lane];
    }
  }
};

/// Byte and shift of a code in its page.
struct CodePlace {
  int64_t byte;
  int shift;
};
CodePlace place_of(const CodeLayout& layout, int row, int col) {
  const int per_byte = 8 / layout.bits();
  if (!layout.blocked()) {
    const int64_t row_bytes = (layout.cols() + per_byte - 1) / per_byte;
    return {row * row_bytes + col / per_byte, col % per_byte * layout.bits()};
  }
  const int64_t chunks = layout.padded_cols() / layout.chunk_cols();
  const int64_t chunk = row / CodeLayout::kBlockRows * chunks + col / layout.chunk_cols();
  const int quad = col % layout.chunk_cols() / CodeLayout::kQuad;
  return {chunk * 64 + row % CodeLayout::kBlockRows * CodeLayout::kQuad + col % CodeLayout::kQuad,
          quad * layout.bits()};
}

/// Puts n codes of one row, from channel `first` on, into a page of zeros. `first` starts a chunk, and zeros follow the
/// codes to the end of theirs.
void put_codes(const CodeLayout& layout, int row, int first, const uint8_t* codes, int n, std::byte* page) {
  if (!layout.blocked()) {
    for (int i = 0; i < n; ++i) {
      const CodePlace at = place_of(layout, row, first + i);
      page[at.byte] |= static_cast<std::byte>(codes[i] << at.shift);
    }
    return;
  }
  std::byte* to = page + place_of(layout, row, first).byte;
  for (int i = 0; i < n; i += layout.chunk_cols(), to += 64) {
    uint32_t packed = 0;
    for (int shift = 0; shift < 8; shift += layout.bits(), codes += CodeLayout::kQuad) {
      uint32_t quad;
      std::memcpy(&quad, codes, sizeof(quad));
      packed |= quad << shift;
    }
    std::memcpy(to, &packed, sizeof(packed));
  }
}

/// The largest magnitude as bits, NaN above infinity: integers compare without regard to NaN.
uint32_t largest_bits(const float* x, int n) {
  int32_t best[8] = {};
  const auto take = [&](int i, int lane) {
    const int32_t bits = std::bit_cast<int32_t>(x[i]) & 0x7fffffff;
    best[lane] = bits > best[lane] ? bits : best[lane];
  };
  int i = 0;
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; ++lane) take(i + lane, lane);
  for (int lane = 0; i < n; ++i, ++lane) take(i, lane);
  return static_cast<uint32_t>(*std::max_element(best, best + 8));
}

/// The smallest bf16 that is not below x >= 0; NaN for NaN.
uint16_t bf16_at_least(float x) {
  return x != x ? f32_to_bf16(x) : static_cast<uint16_t>((std::bit_cast<uint32_t>(x) + 0xffffu) >> 16);
}

int64_t bytes_of_codes(const CodeLayout& layout) {
  if (layout.bits() == 8) return int64_t{layout.rows()} * layout.cols();
  if (layout.blocked()) return int64_t{layout.rows()} * layout.padded_cols() * layout.bits() / 8;
  const int per_byte = 8 / layout.bits();
  const int64_t bytes = int64_t{layout.rows()} * ((layout.cols() + per_byte - 1) / per_byte);
  return bytes + bytes % 2;  // the steps are 16-bit numbers
}

template <int kLargest, class Code>
float round_query(const float* x, int n, Code* q) {
  const float step = largest(x, n) / kLargest;
  const bool finite = std::isfinite(step) && step > 0;
  for (int i = 0; i < n; ++i) q[i] = finite ? static_cast<Code>(std::lrint(x[i] / step)) : Code{0};
  return step;
}

}  // namespace

std::optional<DType> parse_kv_dtype(std::string_view name) {
  return name == "int8" ? DType::kCode8 : parse_dtype(name);
}

CodeLayout::CodeLayout(DType dtype, int rows, int cols) : bits_(code_bits(dtype)), rows_(rows), cols_(cols) {
  VORTEX_CHECK(bits_ > 0 && rows > 0 && cols > 0, "{} [{}, {}]", dtype_info(dtype).name, rows, cols);
  step_offset_ = bytes_of_codes(*this);
}

void encode_row(const float* x, int cols, std::byte* row) {
  const uint16_t step = bf16_at_least(std::bit_cast<float>(largest_bits(x, cols)) / 127);
  const float inverse = step > 0 ? 1 / bf16_to_f32(step) : 0;
  auto* codes = reinterpret_cast<int8_t*>(row);
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  const auto take = [&](int i) {
    codes[i] = static_cast<int8_t>(std::bit_cast<int32_t>(x[i] * inverse + 12582912.0f) - 0x4b400000);
  };
  int i = 0;
  for (; i + 8 <= cols; i += 8)
    for (int lane = 0; lane < 8; ++lane) take(i + lane);
  for (; i < cols; ++i) take(i);
  std::memcpy(row + cols, &step, sizeof(step));
}

void decode_row(const std::byte* row, int cols, int n, float* out) {
  uint16_t stored;
  std::memcpy(&stored, row + cols, sizeof(stored));
  const float step = bf16_to_f32(stored);
  const auto* codes = reinterpret_cast<const int8_t*>(row);
  const auto decode = [&](int i) { out[i] = static_cast<float>(codes[i]) * step; };
  int i = 0;
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; ++lane) decode(i + lane);
  for (; i < n; ++i) decode(i);
}

void encode_page(const CodeLayout& layout, const float* x, std::byte* page) {
  if (layout.bits() == 8) {
    for (int row = 0; row < layout.rows(); ++row, x += layout.cols(), page += code_row_bytes(layout.cols()))
      encode_row(x, layout.cols(), page);
    return;
  }
  std::memset(page, 0, static_cast<size_t>(layout.step_offset()));
  uint8_t codes[kAtOnce];
  for (int row = 0; row < layout.rows(); ++row, x += layout.cols()) {
    const float step = first_step(layout.bits(), x, layout.cols());
    Fit fit;
    for (int first = 0; first < layout.cols(); first += kAtOnce) {
      const int n = std::min(layout.cols() - first, kAtOnce);
      code_row(layout.bits(), step, x + first, n, codes);
      fit.add(layout.bits(), x + first, codes, n);
      std::fill(codes + n, codes + kAtOnce, uint8_t{0});
      put_codes(layout, row, first, codes, n, page);
    }
    const uint16_t fitted = f32_to_bf16(fit.xc / fit.cc);
    std::memcpy(page + layout.step_offset() + 2 * row, &fitted, sizeof(fitted));
  }
}

void decode_page(const CodeLayout& layout, const std::byte* page, float* out) {
  if (layout.bits() == 8) {
    for (int row = 0; row < layout.rows(); ++row, out += layout.cols(), page += code_row_bytes(layout.cols()))
      decode_row(page, layout.cols(), layout.cols(), out);
    return;
  }
  const int mask = (1 << layout.bits()) - 1;
  const float middle = static_cast<float>(1 << layout.bits()) / 2 - 0.5f;
  for (int row = 0; row < layout.rows(); ++row) {
    uint16_t stored;
    std::memcpy(&stored, page + layout.step_offset() + 2 * row, sizeof(stored));
    const float step = bf16_to_f32(stored);
    for (int col = 0; col < layout.cols(); ++col) {
      const CodePlace at = place_of(layout, row, col);
      const int code = std::to_integer<int>(page[at.byte]) >> at.shift & mask;
      *out++ = (static_cast<float>(code) - middle) * step;
    }
  }
}

float round_query_row(const float* x, int n, int8_t* q) { return round_query<127>(x, n, q); }
float round_query_row_wide(const float* x, int n, int16_t* q) { return round_query<kWideQuery>(x, n, q); }

}  // namespace vortex
