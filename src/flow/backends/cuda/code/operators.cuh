// Operators on the value of one page or one row. A value is a function of (row, column); results are stored by a team,
// which syncs before they are read.
namespace vortex::flow_code {

// What the expressions of the op table are made of.
constexpr float kMasked = -1e30f;
struct Expression {
  static float one() { return 1.0f; }
  static float max(float x, float y) { return x > y ? x : y; }
  static float min(float x, float y) { return x < y ? x : y; }
  static float abs(float x) { return fabsf(x); }
  static float exp(float x) { return expf(x); }
  static float log(float x) { return logf(x); }
  static float keep_if_ge(float x, float bound, float other) { return x >= bound ? x : other; }
  static float mask_eq(float x, float y) { return x == y ? 0.0f : kMasked; }
  static float mask_ne(float x, float y) { return x != y ? 0.0f : kMasked; }
  static float mask_gt(float x, float y) { return x > y ? 0.0f : kMasked; }
  static float mask_ge(float x, float y) { return x >= y ? 0.0f : kMasked; }
};

/// Who takes part in one reduction.
struct OneThread {
  static int first() { return 0; }
  static int step() { return 1; }
  static float sum(float x) { return x; }
  static float top(float x) { return x; }
};
struct OneWarp {
  static int first() { return lane_id(); }
  static int step() { return 32; }
  static float sum(float x) { return warp_sum(x); }
  static float top(float x) { return warp_max(x); }
};
/// All threads of the block have the result; `room` is 32 floats of shared memory.
struct WholeBlock {
  float* room;
  int first() const { return static_cast<int>(threadIdx.x); }
  int step() const { return static_cast<int>(blockDim.x); }
  float sum(float x) const {
    x = spread(warp_sum(x), 0.0f);
    return warp_sum(x);
  }
  float top(float x) const { return warp_max(spread(warp_max(x), -infinity())); }

 private:
  float spread(float x, float none) const {
    __syncthreads();
    if (lane_id() == 0) room[threadIdx.x >> 5] = x;
    __syncthreads();
    return lane_id() < static_cast<int>(blockDim.x >> 5) ? room[lane_id()] : none;
  }
};

enum Reduction { kSum, kMean, kMax, kMin, kL2Norm, kLogSumExp, kStdDev };

/// Reduces x(0) .. x(n - 1).
template <int kOp, class Threads, class X>
float reduce(const Threads& threads, int n, const X& x) {
  if (n == 0) return 0;
  if constexpr (kOp == kMax || kOp == kMin || kOp == kLogSumExp) {
    constexpr float kSign = kOp == kMin ? -1.0f : 1.0f;
    float best = -infinity();
#pragma unroll 8
    for (int t = threads.first(); t < n; t += threads.step()) best = max_nan(best, kSign * x(t));
    best = threads.top(best);
    if constexpr (kOp != kLogSumExp) return kSign * best;
    if (is_nan(best) || fabsf(best) == infinity()) return best;
    float total = 0;
    for (int t = threads.first(); t < n; t += threads.step()) total += expf(x(t) - best);
    return best + logf(threads.sum(total));
  } else {
    float sum = 0;
#pragma unroll 8
    for (int t = threads.first(); t < n; t += threads.step()) {
      const float value = x(t);
      sum += kOp == kL2Norm ? value * value : value;
    }
    sum = threads.sum(sum);
    if constexpr (kOp == kL2Norm) return sqrtf(sum);
    if constexpr (kOp == kSum) return sum;
    const float mean = sum / static_cast<float>(n);
    if constexpr (kOp == kMean) return mean;
    float spread = 0;
    for (int t = threads.first(); t < n; t += threads.step()) spread += (x(t) - mean) * (x(t) - mean);
    return sqrtf(threads.sum(spread) / static_cast<float>(n));
  }
}

/// Reduces each kCount consecutive elements of axis kDim to one of [kRows, kCols].
template <int kOp, int kDim, int kCount, int kRows, int kCols, class Team, class In>
void reduce_inner(const Team& team, const In& in, float* out) {
  constexpr bool kTogether = kDim == 2 ? kCount >= 16 : kCount >= 32 && kCols < 32;
  const auto element = [&](int o, int t) {
    const int i = o / kCols, j = o % kCols;
    return kDim == 1 ? in(i * kCount + t, j) : in(i, j * kCount + t);
  };
  if constexpr (kTogether && !Team::kAlone) {
    for (int o = team.warp(); o < kRows * kCols; o += team.warps()) {
      const float value = reduce<kOp>(OneWarp(), kCount, [&](int t) { return element(o, t); });
      if (lane_id() == 0) out[o] = value;
    }
  } else {
    for (int o = team.thread(); o < kRows * kCols; o += team.threads())
      out[o] = reduce<kOp>(OneThread(), kCount, [&](int t) { return element(o, t); });
  }
}

template <int kRows, int kCols, class Team, class In>
void store_all(const Team& team, const In& in, float* out) {
  for (int i = team.thread(); i < kRows * kCols; i += team.threads()) out[i] = in(i / kCols, i % kCols);
}

/// kCount is a multiple of 4, and both lie at multiples of 16 bytes.
template <int kCount, class Team>
void copy_floats(const Team& team, const float* from, float* to) {
  for (int i = team.thread(); i < kCount / 4; i += team.threads())
    reinterpret_cast<float4*>(to)[i] = reinterpret_cast<const float4*>(from)[i];
}

/// out[a, b] = sum over k of y(a, k) * x(b, k).
template <int kA, int kB, int kK, class Team, class Y, class X>
void gemm(const Team& team, const Y& y, const X& x, float* out) {
  if constexpr (kK < 16 || Team::kAlone) {
    for (int o = team.thread(); o < kA * kB; o += team.threads()) {
      float sum = 0;
      for (int k = 0; k < kK; ++k) sum += y(o / kB, k) * x(o % kB, k);
      out[o] = sum;
    }
  } else {
    constexpr int kTile = kB < 4 ? kB : 4, kTiles = (kB + kTile - 1) / kTile;
    for (int o = team.warp(); o < kA * kTiles; o += team.warps()) {
      const int a = o / kTiles, b = o % kTiles * kTile;
      float sum[kTile] = {};
#pragma unroll 4
      for (int k = lane_id(); k < kK; k += 32) {
        const float value = y(a, k);
#pragma unroll
        for (int t = 0; t < kTile; ++t) sum[t] += value * x(min(b + t, kB - 1), k);
      }
#pragma unroll
      for (int t = 0; t < kTile; ++t) {
        sum[t] = warp_sum(sum[t]);
        if (lane_id() == 0 && b + t < kB) out[a * kB + b + t] = sum[t];
      }
    }
  }
}

inline float rotation_sign(int i) {
  unsigned long long z = (static_cast<unsigned long long>(i) + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return ((z ^ (z >> 31)) & 1) != 0 ? -1.0f : 1.0f;
}
constexpr int rotation_block(int n) {
  int size = 1;
  while (size * 2 <= n) size *= 2;
  return size;
}

/// Walsh-Hadamard of kSize numbers, a power of two, by a warp: lane l has numbers l, l + 32, ..
template <int kSize, int kEach>
void transform(float (&x)[kEach]) {
#pragma unroll
  for (int half = 1; half < kSize && half < 32; half *= 2)
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const float other = __shfl_xor_sync(0xffffffffu, x[i], half);
      x[i] = (lane_id() & half) != 0 ? other - x[i] : x[i] + other;
    }
#pragma unroll
  for (int half = 1; half < kEach; half *= 2)
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      if ((i & half) != 0) continue;
      const float a = x[i], b = x[i + half];
      x[i] = a + b;
      x[i + half] = a - b;
    }
}

/// Signs, then Walsh-Hadamard over the power-of-two blocks of each row (flow/ir/rotation.h). A warp has a row.
template <int kRows, int kCols, int kBegin = 0, class Team, class In>
void rotate(const Team& team, const In& in, float* out) {
  constexpr int kSize = rotation_block(kCols - kBegin), kEach = kSize > 32 ? kSize / 32 : 1;
  const float scale = 1.0f / sqrtf(static_cast<float>(kSize));
  for (int row = team.warp(); row < kRows; row += team.warps()) {
    float x[kEach];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int at = i * 32 + lane_id();
      x[i] = at < kSize ? in(row, kBegin + at) * rotation_sign(kBegin + at) : 0.0f;
    }
    transform<kSize>(x);
#pragma unroll
    for (int i = 0; i < kEach; ++i)
      if (i * 32 + lane_id() < kSize) out[row * kCols + kBegin + i * 32 + lane_id()] = x[i] * scale;
  }
  if constexpr (kBegin + kSize < kCols) rotate<kRows, kCols, kBegin + kSize>(team, in, out);
}

/// out = W x, x of kNumbers as one row; without weights the parts of x are summed.
template <int kWidth, int kNumbers, class Team, class In>
void project(const Team& team, const In& in, const uint16_t* weights, float* out) {
  if (weights == nullptr) {
    for (int o = team.thread(); o < kWidth; o += team.threads()) {
      float sum = 0;
      for (int k = o; k < kNumbers; k += kWidth) sum += in(k);
      out[o] = sum;
    }
    return;
  }
  for (int o = team.warp(); o < kWidth; o += team.warps()) {
    const uint16_t* row = weights + int64_t{o} * kNumbers;
    float sum = 0;
    for (int k = lane_id(); k < kNumbers; k += 32) sum += bf16_to_f32(row[k]) * in(k);
    sum = warp_sum(sum);
    if (lane_id() == 0) out[o] = sum;
  }
}

}  // namespace vortex::flow_code
