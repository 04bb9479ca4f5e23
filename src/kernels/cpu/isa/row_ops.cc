// Work on rows of activations: 8-bit codes, norms, rotary positions, activation functions.
#include "kernels/cpu/isa/dense_kernels.h"
#include "kernels/cpu/panel_layout.h"
#include "kernels/cpu/simd/dot.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {
namespace {

using kernels::cpu::kGroupCols;
using kernels::cpu::QuantizedRows;

constexpr int kGroupVectors = kGroupCols / kLanes;

F32 magnitude(F32 a) { return max(a, zero() - a); }

void quantize_group(const float* x, int8_t* codes, float* scale, float* sum) {
  F32 values[kGroupVectors];
  F32 largest = zero();
  for (int i = 0; i < kGroupVectors; ++i) {
    values[i] = load(x + i * kLanes);
    largest = max(largest, magnitude(values[i]));
  }
  const float top = reduce_max(largest);
  const F32 inverse = set1(top > 0.0f ? 127.0f / top : 0.0f);
  F32 total = zero();
  for (int i = 0; i < kGroupVectors; ++i) {
    const F32 code = round_nearest(min(max(values[i] * inverse, set1(-127.0f)), set1(127.0f)));
    store_i8(codes + i * kLanes, code);
    total = total + code;
  }
  *scale = top / 127.0f;
  *sum = *scale * reduce_add(total);
}

float sum_of_squares(const float* x, int64_t n) {
  F32 sums[2] = {zero(), zero()};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const F32 a = load(x + i), b = load(x + i + kLanes);
    sums[0] = fma(a, a, sums[0]);
    sums[1] = fma(b, b, sums[1]);
  }
  for (; i < n; i += kLanes) {
    const F32 a = n - i >= kLanes ? load(x + i) : load_n(x + i, static_cast<int>(n - i));
    sums[0] = fma(a, a, sums[0]);
  }
  return reduce_add(sums[0] + sums[1]);
}

void rotate_interleaved(float* x, const float* cos, const float* sin, int pairs) {
  for (int i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

void rotate_halves(float* x, const float* cos, const float* sin, int pairs) {
  int i = 0;
  for (; i + kLanes <= pairs; i += kLanes) {
    const F32 a = load(x + i), b = load(x + pairs + i), c = load(cos + i), s = load(sin + i);
    store(x + i, a * c - b * s);
    store(x + pairs + i, b * c + a * s);
  }
  for (; i < pairs; ++i) {
    const float a = x[i], b = x[pairs + i];
    x[i] = a * cos[i] - b * sin[i];
    x[pairs + i] = b * cos[i] + a * sin[i];
  }
}

/// x / (1 + exp(-z)).
F32 times_sigmoid(F32 x, F32 z) { return x / (set1(1.0f) + exp(zero() - z)); }

struct Silu {
  static F32 apply(F32 gate, F32 up) { return times_sigmoid(gate, gate) * up; }
};

struct GeluTanh {
  // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), which does not cancel where tanh nears -1.
  static F32 apply(F32 gate, F32 up) {
    const F32 slope = fma(gate * gate, set1(2.0f * 0.7978845608f * 0.044715f), set1(2.0f * 0.7978845608f));
    return times_sigmoid(gate, gate * slope) * up;
  }
};

struct ClampedSwiglu {
  // min and max return their second operand when one is NaN: it must stay NaN.
  static F32 apply(F32 gate, F32 up) {
    const F32 g = min(set1(7.0f), gate), u = max(set1(-7.0f), min(set1(7.0f), up));
    return times_sigmoid(g, set1(1.702f) * g) * (u + set1(1.0f));
  }
};

template <class Gate>
void gate_range(const float* gate, const float* up, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, Gate::apply(load(gate + i), load(up + i)));
  if (i == n) return;
  const int left = static_cast<int>(n - i);
  store_n(out + i, Gate::apply(load_n(gate + i, left), load_n(up + i, left)), left);
}

}  // namespace

void quantize_rows(const float* x, int64_t x_stride, const int64_t* rows, int64_t count, int64_t cols,
                   const QuantizedRows& out) {
  for (int64_t r = 0; r < count; ++r) {
    const float* row = x + (rows == nullptr ? r : rows[r]) * x_stride;
    for (int64_t g = 0; g < cols / kGroupCols; ++g) {
      const int64_t at = g * count + r;
      quantize_group(row + g * kGroupCols, out.codes + at * kGroupCols, out.scales + at, out.sums + at);
    }
  }
}

void rms_norm_rows(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                   float* out) {
  for (int64_t r = 0; r < rows; ++r, x += x_stride, out += cols) {
    const float mean = sum_of_squares(x, cols) / static_cast<float>(cols);
    const F32 scale = set1(1.0f / __builtin_sqrtf(mean + eps));
    int64_t i = 0;
    for (; i + kLanes <= cols; i += kLanes) store(out + i, load(x + i) * scale * load(weight + i));
    if (i == cols) continue;
    const int n = static_cast<int>(cols - i);
    store_n(out + i, load_n(x + i, n) * scale * load_n(weight + i, n), n);
  }
}

void rope_token(float* x, int heads, int head_dim, const float* cos, const float* sin, int pairs, bool interleaved) {
  for (int h = 0; h < heads; ++h, x += head_dim) {
    if (interleaved)
      rotate_interleaved(x, cos, sin, pairs);
    else
      rotate_halves(x, cos, sin, pairs);
  }
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) { gate_range<Silu>(gate, up, n, out); }
void gelu_tanh_mul(const float* gate, const float* up, int64_t n, float* out) {
  gate_range<GeluTanh>(gate, up, n, out);
}
void clamped_swiglu(const float* gate, const float* up, int64_t n, float* out) {
  gate_range<ClampedSwiglu>(gate, up, n, out);
}

void add_weighted_rows(const float* x, int64_t cols, const int64_t* rows, const float* weights, int count, float* out) {
  int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) {
    F32 sum = load(out + c);
    for (int i = 0; i < count; ++i) sum = fma(set1(weights[i]), load(x + rows[i] * cols + c), sum);
    store(out + c, sum);
  }
  if (c == cols) return;
  const int left = static_cast<int>(cols - c);
  F32 sum = load_n(out + c, left);
  for (int i = 0; i < count; ++i) sum = fma(set1(weights[i]), load_n(x + rows[i] * cols + c, left), sum);
  store_n(out + c, sum, left);
}

}  // namespace vortex::VORTEX_ISA
