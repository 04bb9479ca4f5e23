// The best pages of a row, by a block: the cut is found a byte of the ordered keys at a time.
namespace vortex::flow_code {

struct SelectMemory {
  int histogram[256];
  int sums[32];
  int digit, above, level;  // of the last byte: its value at the cut, keys above it, keys at it
  int taken;
  int nan;
  float room[32];
  double masses[32];
};

/// Order-preserving: NaN is 0, below -infinity; -0 equals +0.
inline uint32_t key_of(float x) {
  const uint32_t bits = bits_of(x + 0.0f);
  return is_nan(x) ? 0 : (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

/// Keys above `high` are chosen, of those in [low, high] the first `count` of `level`.
struct Cut {
  uint32_t low, high;
  int count, level;
};

/// Calls visit(i, key, inside) for every score, by all threads together and in ascending order from call to call; keys
/// outside are 0. Several loads are on their way at a time.
template <class Visit>
void visit_keys(const float* score, int n, const Visit& visit) {
  constexpr int kLoads = 4;
  const int threads = static_cast<int>(blockDim.x);
  for (int base = static_cast<int>(threadIdx.x); base - static_cast<int>(threadIdx.x) < n; base += kLoads * threads) {
    float x[kLoads];
#pragma unroll
    for (int u = 0; u < kLoads; ++u) x[u] = base + u * threads < n ? score[base + u * threads] : 0.0f;
#pragma unroll
    for (int u = 0; u < kLoads; ++u) {
      const int i = base + u * threads;
      if (i - static_cast<int>(threadIdx.x) < n) visit(i, i < n ? key_of(x[u]) : 0, i < n);
    }
  }
}

/// Counts a byte of the keys that share the known bits with `prefix`.
inline void count_bytes(SelectMemory& memory, const float* score, int n, uint32_t prefix, uint32_t known, int shift) {
  for (int bin = static_cast<int>(threadIdx.x); bin < 256; bin += static_cast<int>(blockDim.x))
    memory.histogram[bin] = 0;
  __syncthreads();
  visit_keys(score, n, [&](int, uint32_t key, bool inside) {
    if (inside && key == 0) memory.nan = 1;
    const int bin = inside && ((key ^ prefix) & known) == 0 ? static_cast<int>(key >> shift & 0xff) : 256;
    const uint32_t same = __match_any_sync(0xffffffffu, bin);
    if (bin < 256 && __ffs(static_cast<int>(same)) - 1 == lane_id()) atomicAdd(&memory.histogram[bin], __popc(same));
  });
  __syncthreads();
}

/// The byte where `wanted` keys, counted from the top, end. By the first warp, eight bytes a lane.
inline void find_digit(SelectMemory& memory, int wanted) {
  if (threadIdx.x < 32) {
    const int first = 255 - 8 * lane_id();
    int sum = 0;
    for (int i = 0; i < 8; ++i) sum += memory.histogram[first - i];
    int above = sum;
    for (int distance = 1; distance < 32; distance *= 2) {
      const int other = __shfl_up_sync(0xffffffffu, above, distance);
      if (lane_id() >= distance) above += other;
    }
    above -= sum;
    if (above < wanted && above + sum >= wanted) {
      int digit = first;
      while (above + memory.histogram[digit] < wanted) above += memory.histogram[digit--];
      memory.digit = digit;
      memory.above = above;
      memory.level = memory.histogram[digit];
    }
  }
  __syncthreads();
}

/// k of n scores, k > 0. Stops once `enough` are above the bin that is left. kLastShift: keys have no bits that differ
/// below it.
template <int kLastShift>
Cut find_cut(SelectMemory& memory, const float* score, int n, int k, int enough) {
  uint32_t prefix = 0;
  int wanted = k;
  for (int shift = 24;; shift -= 8) {
    count_bytes(memory, score, n, prefix, shift == 24 ? 0u : ~0u << (shift + 8), shift);
    find_digit(memory, wanted);
    prefix |= static_cast<uint32_t>(memory.digit) << shift;
    wanted -= memory.above;
    const int level = memory.level;
    if (level == wanted || shift <= kLastShift || k - wanted >= enough)
      return {prefix, prefix | ((1u << shift) - 1), wanted, level};
    __syncthreads();
  }
}

/// How many threads before this one of the block have `flag`, and of all (*total).
inline int count_before(SelectMemory& memory, bool flag, int* total) {
  const uint32_t votes = __ballot_sync(0xffffffffu, flag);
  const int warp = static_cast<int>(threadIdx.x >> 5);
  __syncthreads();
  if (lane_id() == 0) memory.sums[warp] = __popc(votes);
  __syncthreads();
  int before = 0;
  *total = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x >> 5); ++w) {
    if (w < warp) before += memory.sums[w];
    *total += memory.sums[w];
  }
  return before + __popc(votes & ((1u << lane_id()) - 1));
}

/// Calls take(i, place) for the best k of n scores, places 0 .. k - 1 in any order. memory.nan is set if one is NaN.
template <int kLastShift, class Take>
void select_best(SelectMemory& memory, const float* score, int n, int k, int enough, const Take& take) {
  __syncthreads();
  if (threadIdx.x == 0) memory.taken = 0;
  if (k <= 0) return count_bytes(memory, score, n, 0, 0, 24);
  const Cut cut = find_cut<kLastShift>(memory, score, n, k, enough);
  int left = cut.count;
  visit_keys(score, n, [&](int i, uint32_t key, bool inside) {
    const bool level = inside && key >= cut.low && key <= cut.high;
    bool chosen = inside && key > cut.high;
    if (cut.level == cut.count) {
      chosen = chosen || level;
    } else {
      int total;
      const int before = count_before(memory, level, &total);
      chosen = chosen || (level && before < left);
      left -= total;
    }
    const uint32_t votes = __ballot_sync(0xffffffffu, chosen);
    if (votes == 0) return;
    int first = 0;
    if (lane_id() == 0) first = atomicAdd(&memory.taken, __popc(votes));
    first = __shfl_sync(0xffffffffu, first, 0);
    if (chosen) take(i, first + __popc(votes & ((1u << lane_id()) - 1)));
  });
  __syncthreads();
}

/// Sorts `size` numbers, a power of two, from the largest down.
inline void sort_down(unsigned long long* x, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int half = run / 2; half > 0; half /= 2) {
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x)) {
        const int j = i ^ half;
        if (j > i && (x[i] < x[j]) == ((i & run) == 0)) {
          const unsigned long long other = x[i];
          x[i] = x[j];
          x[j] = other;
        }
      }
    }
  }
  __syncthreads();
}

/// exp(x - top); the best page weighs 1 even where top is infinite, NaN weighs nothing.
inline double weight_of(float x, float top) {
  return x == top ? 1.0 : is_nan(x) ? 0.0 : exp(static_cast<double>(x) - static_cast<double>(top));
}

inline double warp_sum(double x) {
  for (int mask = 16; mask > 0; mask >>= 1) x += __shfl_xor_sync(0xffffffffu, x, mask);
  return x;
}

/// How many of the k sorted pages hold `mass` of the softmax over n scores.
inline int count_mass(SelectMemory& memory, const float* score, int n, const unsigned long long* sorted, int k,
                      float mass) {
  if (k == 0) return 0;
  const auto page = [&](int i) { return static_cast<int>(~static_cast<uint32_t>(sorted[i])); };
  const float top = score[page(0)];
  double total = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
    total += weight_of(score[i], top);
  total = warp_sum(total);
  if (lane_id() == 0) memory.masses[Block().warp()] = total;
  __syncthreads();
  total = warp_sum(lane_id() < Block().warps() ? memory.masses[lane_id()] : 0.0);
  const double wanted = static_cast<double>(mass) * total;
  // Each warp adds up the weights of its part; the warp in whose part the mass is reached counts on.
  const int warps = Block().warps(), part = ((k + warps - 1) / warps + 31) / 32 * 32, begin = Block().warp() * part;
  double mine = 0;
  for (int i = begin + lane_id(); i < min(begin + part, k); i += 32) mine += weight_of(score[page(i)], top);
  mine = warp_sum(mine);
  __syncthreads();
  if (lane_id() == 0) memory.masses[Block().warp()] = mine;
  if (threadIdx.x == 0) memory.taken = k;
  __syncthreads();
  double before = 0;
  for (int w = 0; w < Block().warp(); ++w) before += memory.masses[w];
  for (int base = begin; base < min(begin + part, k); base += 32) {
    const int i = base + lane_id();
    double sum = i < k ? weight_of(score[page(i)], top) : 0.0;
    for (int distance = 1; distance < 32; distance *= 2) {
      const double other = __shfl_up_sync(0xffffffffu, sum, distance);
      if (lane_id() >= distance) sum += other;
    }
    if (i < k && before + sum >= wanted) atomicMin(&memory.taken, i + 1);
    before += __shfl_sync(0xffffffffu, sum, 31);
  }
  if (threadIdx.x == 0 && wanted <= 0) memory.taken = 0;
  __syncthreads();
  return memory.taken;
}

}  // namespace vortex::flow_code
