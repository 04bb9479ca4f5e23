// The best pages of a row, by a block. Numbers are read once where a row's fit the registers. A first bound on the cut
// comes from the best of groups of pages: with k groups, k pages are no worse than the worst of these. What is left is
// ranked by comparing each with each if it is little, else a histogram over the range that is left narrows it.
namespace vortex::flow_code {

constexpr int kBins = 1024;   // of a histogram
constexpr int kDirect = 256;  // candidates that are compared with each other
constexpr int kWarps = 32;    // of a block, at most
constexpr int kItems = kMaxPages > 12 * kChooseThreads
                           ? 16
                           : static_cast<int>((kMaxPages - 1) / (4 * kChooseThreads) + 1) * 4;
constexpr bool kHeld = kMaxPages <= 16 * kChooseThreads;

/// A score's key, then its page's distance from the last one: no two are equal, and the lower of two pages with one key
/// ranks higher.
constexpr bool kShortRank = kLastShift >= 16 && kMaxPages - kBos - kEos <= 0xffff;
template <bool kShort>
struct RankType {
  using Type = uint32_t;
};
template <>
struct RankType<false> {
  using Type = unsigned long long;
};
using Rank = RankType<kShortRank>::Type;
constexpr int kRankBits = 8 * sizeof(Rank), kIndexBits = kRankBits / 2;
constexpr Rank kLastIndex = ~Rank{0} >> kIndexBits;
constexpr int kKeyShift = kShortRank ? 16 : 0;

/// Order-preserving: NaN is 0, below -infinity; -0 equals +0.
inline uint32_t key_of(float x) {
  const uint32_t bits = bits_of(x + 0.0f);
  return is_nan(x) ? 0 : (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}
inline Rank rank_of(uint32_t key, int index) {
  return Rank{key} << kIndexBits | (kLastIndex - static_cast<Rank>(index));
}
inline int index_of(Rank rank) { return static_cast<int>(kLastIndex - (rank & kLastIndex)); }
inline int width_of(uint32_t x) { return 32 - __clz(static_cast<int>(x)); }
inline int width_of(unsigned long long x) { return 64 - __clzll(static_cast<long long>(x)); }

struct SelectMemory {
  int histogram[kBins];
  Rank candidates[kDirect];
  int best[kDirect];
  int sums[kWarps];
  uint32_t lows[kWarps], highs[kWarps];
  int digit, above, level;  // the bin of the cut: its number, ranks above it, ranks in it
  int taken, found;
  int nan;
  float room[kWarps];
  double masses[kWarps];
};

/// Ranks above `high` are chosen, of those in [low, high] the best `count`. There are `level` of them, or fewer.
struct Cut {
  Rank low, high;
  int count, level;
};

/// The ranks of n scores. A thread has each blockDim.x-th, kItems at a time.
class Ranks {
 public:
  Ranks(const float* score, int n) : score_(score), n_(n) {
    if constexpr (kHeld) load(static_cast<int>(threadIdx.x), held_);
  }
  int size() const { return n_; }
  /// Of the keys only these bits count from now on.
  void keep_above(int shift) { kept_ = ~Rank{0} << shift | kLastIndex; }

  /// Calls visit(first, keys) for each kItems of this thread; all threads take part as often.
  template <class Visit>
  void visit(const Visit& visit) const {
    const int thread = static_cast<int>(threadIdx.x);
    if constexpr (kHeld) {
      visit(thread, held_);
    } else {
      for (int first = thread; first - thread < n_; first += kItems * static_cast<int>(blockDim.x)) {
        uint32_t keys[kItems];
        load(first, keys);
        visit(first, keys);
      }
    }
  }
  /// Calls each(u, i) for item u, which is score i. Items of the last four may lie outside: they rank below all.
  template <class Each>
  void items(int first, const Each& each) const {
    const int threads = static_cast<int>(blockDim.x), left = n_ - first + static_cast<int>(threadIdx.x);
#pragma unroll
    for (int u = 0; u < kItems; ++u) {
      if (u % 4 == 0 && u * threads >= left) break;
      each(u, first + u * threads);
    }
  }
  Rank rank(uint32_t key, int index) const { return rank_of(key, index) & kept_; }
  /// The lowest that a score can have: what lies outside is below.
  Rank lowest() const { return rank_of(0, n_ - 1); }

 private:
  void load(int first, uint32_t (&keys)[kItems]) const {
    float x[kItems];
    items(first, [&](int u, int i) { x[u] = i < n_ ? score_[i] : from_bits(0x7fc00000u); });
    items(first, [&](int u, int) { keys[u] = key_of(x[u]) >> kKeyShift; });
  }

  const float* score_;
  int n_;
  Rank kept_ = ~Rank{0};
  uint32_t held_[kItems];
};

/// Where the best k lie. Notices NaN.
inline Cut first_cut(SelectMemory& memory, const Ranks& ranks, int k) {
  const int threads = static_cast<int>(blockDim.x), warp = Block().warp();
  uint32_t best[4] = {};  // of a group each
  bool nan = false;
  ranks.visit([&](int first, const uint32_t(&keys)[kItems]) {
    ranks.items(first, [&](int u, int i) {
      best[u % 4] = max(best[u % 4], keys[u]);
      nan |= keys[u] == 0 && i < ranks.size();
    });
  });
  if (nan) memory.nan = 1;
  const uint32_t top = max(max(best[0], best[1]), max(best[2], best[3]));
  uint32_t least = k <= threads ? top : k <= 4 * threads ? min(min(best[0], best[1]), min(best[2], best[3])) : 0;
  // Larger groups, while there are k of them, give a closer bound.
  for (int lanes = 1; lanes < 32 && threads / (2 * lanes) >= k; lanes *= 2)
    least = max(least, __shfl_xor_sync(0xffffffffu, least, lanes));
  least = __reduce_min_sync(0xffffffffu, least);
  const uint32_t warp_top = __reduce_max_sync(0xffffffffu, top);
  if (lane_id() == 0) {
    memory.lows[warp] = least;
    memory.highs[warp] = warp_top;
  }
  __syncthreads();
  const bool has = lane_id() < Block().warps();
  const uint32_t low = __reduce_min_sync(0xffffffffu, has ? memory.lows[lane_id()] : ~0u);
  const uint32_t high = __reduce_max_sync(0xffffffffu, has ? memory.highs[lane_id()] : 0u);
  return {max(Rank{low} << kIndexBits, ranks.lowest()), rank_of(high, 0), k, ranks.size()};
}

/// The bin where `wanted` ranks, counted from the top, end.
inline void find_digit(SelectMemory& memory, int wanted) {
  const int each = kBins / static_cast<int>(blockDim.x), first = kBins - 1 - static_cast<int>(threadIdx.x) * each;
  int sum = 0;
  for (int i = 0; i < each; ++i) sum += memory.histogram[first - i];
  int above = sum;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, above, distance);
    if (lane_id() >= distance) above += other;
  }
  if (lane_id() == 31) memory.sums[Block().warp()] = above;
  __syncthreads();
  above += __reduce_add_sync(0xffffffffu, lane_id() < Block().warp() ? memory.sums[lane_id()] : 0) - sum;
  if (above < wanted && above + sum >= wanted) {
    int digit = first;
    while (above + memory.histogram[digit] < wanted) above += memory.histogram[digit--];
    memory.digit = digit;
    memory.above = above;
    memory.level = memory.histogram[digit];
  }
  __syncthreads();
}

/// Leaves of a cut the 2^shift ranks where it ends. At most kBins of these make up the cut.
inline void narrow(SelectMemory& memory, const Ranks& ranks, Cut* cut, int shift) {
  for (int bin = static_cast<int>(threadIdx.x); bin < kBins; bin += static_cast<int>(blockDim.x))
    memory.histogram[bin] = 0;
  __syncthreads();
  const Rank low = cut->low, high = cut->high, start = low >> shift;
  ranks.visit([&](int first, const uint32_t(&keys)[kItems]) {
    ranks.items(first, [&](int u, int i) {
      const Rank rank = ranks.rank(keys[u], i);
      if (rank >= low && rank <= high) atomicAdd(&memory.histogram[static_cast<int>((rank >> shift) - start)], 1);
    });
  });
  __syncthreads();
  find_digit(memory, cut->count);
  const Rank from = (start + static_cast<Rank>(memory.digit)) << shift;
  *cut = {max(low, from), min(high, from | ((Rank{1} << shift) - 1)), cut->count - memory.above, memory.level};
}

/// The finest bins that a histogram has enough of.
inline int shift_of(const Cut& cut) {
  const int shift = max(width_of(cut.high - cut.low) - width_of(static_cast<uint32_t>(kBins - 1)), 0);
  return (cut.high >> shift) - (cut.low >> shift) < kBins ? shift : shift + 1;
}

/// The cut of approxTopK: bytes of the keys are looked at from the first on until `enough` are above the bin that is
/// left; of that bin the lower pages are taken.
inline void stop_early(SelectMemory& memory, Ranks* ranks, Cut* cut, int enough) {
  const int k = cut->count;
  *cut = {ranks->lowest(), ~Rank{0}, k, ranks->size()};
  int shift = kRankBits;
  do {
    shift -= 8;
    narrow(memory, *ranks, cut, shift);
  } while (k - cut->count < enough && shift > kIndexBits);
  ranks->keep_above(shift);
  cut->high = (cut->low >> shift << shift) | kLastIndex;
}

/// How many threads before this one of its warp, and of the warps before in the order of their coming, have how much.
inline int reserve(int* counter, int before, int total) {
  int start = 0;
  if (lane_id() == 0 && total > 0) start = atomicAdd(counter, total);
  return __shfl_sync(0xffffffffu, start, 0) + before;
}

/// Leaves the indices of what is above the cut at best[0 ..), and up to kDirect ranks of its level as candidates.
/// Returns how many the level has.
inline int collect(SelectMemory& memory, const Ranks& ranks, const Cut& cut, int* best) {
  if (threadIdx.x == 0) memory.taken = memory.found = 0;
  __syncthreads();
  ranks.visit([&](int first, const uint32_t(&keys)[kItems]) {
    uint32_t above = 0, level = 0;  // a bit an item
    ranks.items(first, [&](int u, int i) {
      const Rank rank = ranks.rank(keys[u], i);
      above |= static_cast<uint32_t>(rank > cut.high) << u;
      level |= static_cast<uint32_t>(rank >= cut.low && rank <= cut.high) << u;
    });
    if (!__any_sync(0xffffffffu, (above | level) != 0)) return;
    const int mine = __popc(above) << 16 | __popc(level);
    int sums = mine;
    for (int distance = 1; distance < 32; distance *= 2) {
      const int other = __shfl_up_sync(0xffffffffu, sums, distance);
      if (lane_id() >= distance) sums += other;
    }
    const int total = __shfl_sync(0xffffffffu, sums, 31);
    int place = reserve(&memory.taken, (sums - mine) >> 16, total >> 16);
    int candidate = reserve(&memory.found, (sums - mine) & 0xffff, total & 0xffff);
    ranks.items(first, [&](int u, int i) {
      if ((above >> u & 1) != 0) best[place++] = i;
      if ((level >> u & 1) == 0) return;
      if (candidate < kDirect) memory.candidates[candidate] = ranks.rank(keys[u], i);
      ++candidate;
    });
  });
  __syncthreads();
  return memory.found;
}

/// Leaves the indices of the best `count` of the candidates at best[0 .. count), best first. A warp has a candidate, a
/// lane those that it is compared with.
inline void rank_candidates(const SelectMemory& memory, int size, int count, int* best) {
  constexpr int kWords = kDirect / 32;
  Rank others[kWords];
#pragma unroll
  for (int w = 0; w < kWords; ++w) others[w] = w * 32 + lane_id() < size ? memory.candidates[w * 32 + lane_id()] : 0;
  for (int c = Block().warp(); c < size; c += Block().warps()) {
    const Rank rank = memory.candidates[c];
    int better = 0;
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      if (w * 32 >= size) break;
      better += __popc(__ballot_sync(0xffffffffu, others[w] > rank));
    }
    if (lane_id() == 0 && better < count) best[better] = index_of(rank);
  }
}

/// Leaves the indices of the best k of n scores at best[0 .. k), in any order. memory.nan is set if one is NaN.
/// kApprox: approxTopK's choice.
template <bool kApprox>
void select_best(SelectMemory& memory, const float* score, int n, int k, int enough, int* best) {
  Ranks ranks(score, n);
  Cut cut = first_cut(memory, ranks, k);
  if (k <= 0) return;
  if (kApprox && enough < k)
    stop_early(memory, &ranks, &cut, enough);
  else if (k <= kDirect / 8)
    cut.level = k;  // a guess: with that few, the bound is close
  int found = kDirect + 1;
  while (cut.level > kDirect || (found = collect(memory, ranks, cut, best)) > kDirect)
    narrow(memory, ranks, &cut, shift_of(cut));
  rank_candidates(memory, found, cut.count, best + (k - cut.count));
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
