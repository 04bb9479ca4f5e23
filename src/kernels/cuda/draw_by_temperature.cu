// One block draws from one row. What top-k and top-p keep is a prefix of the tokens ordered by key, so each is a least
// key, found digit by digit from histograms. Weights are integers: their sums do not depend on an order.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/draw_keys.cuh"

namespace vortex::cuda {
namespace {

using Mass = unsigned long long;

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
constexpr int kBins = 2048;
constexpr int kPartBits = 13, kParts = 3;       // a sum of parts of all tokens fits in 32 bits
constexpr float kUnit = 274877906944.0f;        // 2^38, the weight of the best token
constexpr Key kFixedTokenBits = 0xffc00000ull;  // of a key: tokens are below 2^22

/// Sums in parts: shared memory adds 32 bits at once, 64 only by trying again.
struct Bins {
  unsigned parts[kParts][kBins];

  __device__ void add(int bin, Mass mass) {
    for (int part = 0; mass != 0; ++part, mass >>= kPartBits)
      atomicAdd(&parts[part][bin], static_cast<unsigned>(mass) & ((1u << kPartBits) - 1));
  }
  __device__ Mass at(int bin) const {
    return parts[0][bin] + (Mass{parts[1][bin]} << kPartBits) + (Mass{parts[2][bin]} << 2 * kPartBits);
  }
  __device__ void clear() {
    for (int i = threadIdx.x; i < kBins; i += kThreads)
      for (int part = 0; part < kParts; ++part) parts[part][i] = 0;
  }
};

struct Shared {
  Bins bins;
  Mass sums[kWarps];
  Mass remaining, bin;
  int chosen;
};

struct Row {
  const float* logits;
  int vocab;
  float best, inverse_temperature, min_p;
  Key best_key;
  Key least;  // keys below are left out

  __device__ float weight(float logit) const { return expf((logit - best) * inverse_temperature); }
  __device__ Mass mass(float logit) const { return __float2ull_rn(weight(logit) * kUnit); }
  __device__ Mass kept_mass(float logit, int token) const {
    const Key key = key_of(logit, token);
    if (key < least || (weight(logit) < min_p && key != best_key)) return 0;
    return mass(logit);
  }
};

/// Calls visit(logit, token) for every `stride`th token of [begin, end), several loads in flight.
template <class Visit>
__device__ void for_each(const Row& row, int begin, int end, int stride, Visit visit) {
  constexpr int kLoads = 8;
  int token = begin;
  for (; token + (kLoads - 1) * stride < end; token += kLoads * stride) {
    float logits[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) logits[i] = row.logits[token + i * stride];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) visit(logits[i], token + i * stride);
  }
  for (; token < end; token += stride) visit(row.logits[token], token);
}

struct CountOne {
  __device__ Mass operator()(const Row&, float) const { return 1; }
};
struct CountMass {
  __device__ Mass operator()(const Row& row, float logit) const { return row.mass(logit); }
};

__device__ Mass warp_sum(Mass value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

__device__ Mass inclusive_scan(Mass value, int lane) {
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const Mass before = __shfl_up_sync(kAllLanes, value, offset);
    if (lane >= offset) value += before;
  }
  return value;
}

/// The bin at which the sum from the top one down reaches shared->remaining, which becomes what is needed of that bin.
__device__ void choose_bin(Shared* shared) {
  constexpr int kPart = kBins / kWarp;
  const int lane = threadIdx.x, top = kBins - 1 - lane * kPart;
  Mass sum = 0;
  for (int i = 0; i < kPart; ++i) sum += shared->bins.at(top - i);
  const Mass until = inclusive_scan(sum, lane), needed = shared->remaining;
  Mass above = until - sum;
  __syncwarp();
  if (above >= needed || until < needed) return;
  int bin = top;
  while (above + shared->bins.at(bin) < needed) above += shared->bins.at(bin--);
  shared->chosen = bin;
  shared->bin = shared->bins.at(bin);
  shared->remaining = needed - above;
}

/// Adds keys that agree with `prefix` above the digit to the digit's bins, and takes the bin that is reached.
template <class Measure>
__device__ Key next_digit(const Row& row, Measure measure, Key prefix, int shift, int bits, Shared* shared) {
  shared->bins.clear();
  __syncthreads();
  const int above = shift + bits;
  for_each(row, static_cast<int>(threadIdx.x), row.vocab, kThreads, [&](float logit, int token) {
    const Key key = key_of(logit, token);
    if (key < row.least || (above < 64 && key >> above != prefix >> above)) return;
    shared->bins.add(static_cast<int>(key >> shift & ((Key{1} << bits) - 1)), measure(row, logit));
  });
  __syncthreads();
  if (threadIdx.x < kWarp) choose_bin(shared);
  __syncthreads();
  return prefix | Key{static_cast<unsigned>(shared->chosen)} << shift;
}

/// The largest key such that keys from it on measure at least `target`, which all keys together do.
template <class Measure>
__device__ Key least_key(const Row& row, Measure measure, Mass target, Shared* shared) {
  __syncthreads();
  if (threadIdx.x == 0) shared->remaining = target;
  Key prefix = next_digit(row, measure, 0, 53, 11, shared);
  prefix = next_digit(row, measure, prefix, 42, 11, shared);
  prefix = next_digit(row, measure, prefix, 32, 10, shared);
  const Mass one = measure(row, logit_of(prefix));
  if (shared->remaining + one > shared->bin) return prefix;  // all tokens of this logit
  prefix = next_digit(row, measure, prefix | kFixedTokenBits, 11, 11, shared);
  return next_digit(row, measure, prefix, 0, 11, shared);
}

/// Warps take consecutive parts of the row; leaves each part's kept mass in shared->sums.
__device__ void sum_parts(const Row& row, int part, Shared* shared) {
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int end = min(row.vocab, (warp + 1) * part);
  Mass sum = 0;
  for_each(row, warp * part + lane, end, kWarp, [&](float logit, int token) { sum += row.kept_mass(logit, token); });
  sum = warp_sum(sum);
  __syncthreads();
  if (lane == 0) shared->sums[warp] = sum;
  __syncthreads();
}

__device__ Mass total(const Shared& shared) { return warp_sum(shared.sums[threadIdx.x % kWarp]); }

/// The token of the warp's part at which the running sum exceeds `target`, which it does: many tokens at once to where
/// it must be, then one after another.
__device__ int32_t walk(const Row& row, int begin, Mass target) {
  constexpr int kStride = 8 * kWarp;
  const int lane = threadIdx.x % kWarp;
  int first = begin;
  for (;; first += kStride) {
    Mass sum = 0;
    for_each(row, first + lane, min(row.vocab, first + kStride), kWarp,
             [&](float logit, int token) { sum += row.kept_mass(logit, token); });
    sum = warp_sum(sum);
    if (target < sum) break;
    target -= sum;
  }
  for (;; first += kWarp) {
    const int token = first + lane;
    const Mass until = inclusive_scan(token < row.vocab ? row.kept_mass(row.logits[token], token) : 0, lane);
    const unsigned reached = __ballot_sync(kAllLanes, until > target);
    if (reached != 0) return first + __ffs(static_cast<int>(reached)) - 1;
    target -= __shfl_sync(kAllLanes, until, kWarp - 1);
  }
}

__global__ void __launch_bounds__(kThreads)
    draw_kernel(const float* logits, const DrawRow* draws, const Key* best, int vocab, int32_t* tokens) {
  __shared__ Shared shared;
  const DrawRow draw = draws[blockIdx.x];
  const Key key = best[blockIdx.x];
  if (draw.temperature == 0.0f || key == kNotFinite) return;
  Row row{logits + int64_t{blockIdx.x} * vocab, vocab, logit_of(key), 1.0f / draw.temperature, 0.0f, key, 0};
  const int part = ceil_div(vocab, kThreads) * kWarp;
  if (draw.top_k > 0 && draw.top_k < vocab)
    row.least = least_key(row, CountOne{}, static_cast<Mass>(draw.top_k), &shared);
  if (draw.top_p < 1.0f) {
    sum_parts(row, part, &shared);
    const double wanted = ceil(static_cast<double>(draw.top_p) * static_cast<double>(total(shared)));
    row.least = least_key(row, CountMass{}, wanted > 1.0 ? static_cast<Mass>(wanted) : 1, &shared);
  }
  row.min_p = draw.min_p;
  sum_parts(row, part, &shared);
  const Mass all = total(shared);
  const Mass target = min(all - 1, static_cast<Mass>(draw.uniform * static_cast<double>(all)));
  const int warp = threadIdx.x / kWarp;
  Mass before = 0;
  for (int i = 0; i < warp; ++i) before += shared.sums[i];
  if (target < before || target >= before + shared.sums[warp]) return;
  const int32_t token = walk(row, warp * part, target - before);
  if (threadIdx.x % kWarp == 0) tokens[blockIdx.x] = token;
}

}  // namespace

void draw_by_temperature(const float* logits, const DrawRow* draws, const Key* best, int rows, int vocab,
                         int32_t* tokens, cudaStream_t stream) {
  launch_kernel("draw_kernel", draw_kernel, {static_cast<unsigned>(rows), kThreads, stream}, logits, draws, best, vocab,
                tokens);
}

}  // namespace vortex::cuda
