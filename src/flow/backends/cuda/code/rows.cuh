// Rows of a step, their pages, and how blocks share them. The constants of the plan (kKvHeads ..) stand before this.
namespace vortex::flow_code {

/// A row that scores pages [first, end) and chooses `k` of [kBos, end).
struct Row {
  int sequence, head, index, pages, first, end, k;
  bool sparse;

  Row(const Args& a, int index_in) : sequence(index_in / kKvHeads), head(index_in % kKvHeads), index(index_in) {
    pages = a.step.pages[sequence];
    const int selected = a.step.selected[sequence];
    end = pages - kEos;
    first = kSaves ? 0 : kBos;
    k = selected - kBos - kEos;
    sparse = a.step.tokens[sequence] > 0 && selected < pages;
  }
  Range middle() const { return {kBos, end}; }
  int page_id(const Args& a, int page) const { return a.step.page_id(sequence, page, head); }
};

/// Pieces of all rows' pages, `chunk` each; item i of a sequence is head i % kKvHeads. Made by all threads of a block.
struct Pieces {
  int* before;  // [kSequences + 1] items of the sequences before
  int chunk;

  /// Pieces are of `unit` pages and multiples, up to `most` of them: several a block, where there are so many.
  Pieces(const Args& a, int* shared, int unit, int most) : before(shared) {
    for (int s = static_cast<int>(threadIdx.x); s < kSequences; s += static_cast<int>(blockDim.x)) {
      int pages = 0;
      if (s < a.step.decodes) {
        const Row row(a, s * kKvHeads);
        pages = row.sparse ? row.end - row.first : 0;
      }
      before[s + 1] = pages;
    }
    __syncthreads();
    const int64_t total = int64_t{sum()} * kKvHeads;
    const int64_t share = total / (int64_t{gridDim.x} * 4) / unit + 1;
    chunk = static_cast<int>(min(share, int64_t{most})) * unit;
    __syncthreads();
    if (threadIdx.x < 32) scan();
    __syncthreads();
  }
  int items() const { return before[kSequences]; }
  /// The row and the pages of an item.
  int find(int item) const {
    int low = 0, high = kSequences;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (before[middle] <= item ? low : high) = middle;
    }
    return low;
  }

 private:
  int sum() const {
    int out = 0;
    for (int s = 1 + lane_id(); s <= kSequences; s += 32) out += before[s];
    return __reduce_add_sync(0xffffffffu, out);
  }
  void scan() {
    int base = 0;
    for (int s = 1 + lane_id(); s - lane_id() <= kSequences; s += 32) {
      int count = s <= kSequences ? (before[s] + chunk - 1) / chunk * kKvHeads : 0;
      for (int distance = 1; distance < 32; distance *= 2) {
        const int other = __shfl_up_sync(0xffffffffu, count, distance);
        if (lane_id() >= distance) count += other;
      }
      if (s <= kSequences) before[s] = base + count;
      base += __shfl_sync(0xffffffffu, count, 31);
    }
    if (lane_id() == 0) before[0] = 0;
  }
};

/// What a sequence keeps of saved fields of a layer: two copies, of which one is read while the other is written.
struct Saved {
  int pages = 0;
  unsigned char* before = nullptr;
  unsigned char* after = nullptr;

  Saved(const Args& a, int sequence) {
    if constexpr (!kSaves) return;
    unsigned char* state = a.states[sequence];
    const int* header = reinterpret_cast<const int*>(state) + 2 * a.layer;
    pages = header[0];
    unsigned char* copies = state + kStateHeader + 2 * kStateCopy * a.layer;
    before = copies + header[1] * kStateCopy;
    after = copies + (1 - header[1]) * kStateCopy;
  }
  /// Offset of a page in a copy: slots lie one after the other.
  static int64_t offset(int64_t slot_offset, int64_t page_bytes, int head, int page) {
    return slot_offset + (int64_t{head} * kMaxPages + page) * page_bytes;
  }
};

/// Makes what this step wrote what the next one reads.
inline void finish_saved(const Args& a) {
  const int s = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (s >= a.step.decodes) return;
  const Row row(a, s * kKvHeads);
  if (!row.sparse) return;
  int* header = reinterpret_cast<int*>(a.states[s]) + 2 * a.layer;
  header[0] = row.end;
  header[1] = 1 - header[1];
}

/// The page of a head whose last token is token `t` at `position` of its sequence; -1: the token ends no page.
inline int finished_page(const Args& a, int sequence, int position, int head) {
  if (position < 0 || (position + 1) % kPageTokens != 0) return -1;
  return a.step.page_id(sequence, position / kPageTokens, head);
}

/// Where a row's list is filled.
struct Slots {
  const Args& a;
  const Row& row;
  int32_t* line;
  Slots(const Args& a_in, const Row& row_in)
      : a(a_in), row(row_in), line(a_in.list.pages + int64_t{row_in.index} * a_in.list.stride) {}
  void put(int place, int page) const { line[kBos + place] = row.page_id(a, page); }
  /// After `count` pages of the middle come the last ones, wherever they were for another layer.
  void finish(int count) const {
    for (int e = static_cast<int>(threadIdx.x); e < kEos; e += static_cast<int>(blockDim.x))
      line[kBos + count + e] = row.page_id(a, row.pages - kEos + e);
    if (threadIdx.x == 0) a.list.counts[row.index] = kBos + count + kEos;
  }
};

/// Where the best k are left before they are written down as pages: their places in the list, if there are many.
inline int* room_for(SelectMemory& memory, const Slots& slots, int k) {
  return k <= kDirect ? memory.best : slots.line + kBos;
}

template <bool kApprox>
void choose_top(SelectMemory& memory, const Args& a, const Row& row, const float* score, float tolerance) {
  const Slots slots(a, row);
  const int enough = static_cast<int>(ceil((1.0 - double{tolerance}) * row.k));
  int* const best = room_for(memory, slots, row.k);
  select_best<kApprox>(memory, score + kBos, row.end - kBos, row.k, enough, best);
  for (int i = static_cast<int>(threadIdx.x); i < row.k; i += static_cast<int>(blockDim.x))
    slots.put(i, kBos + best[i]);
}

inline void choose_mass(SelectMemory& memory, const Args& a, const Row& row, const float* score, float mass,
                        int least) {
  const Slots slots(a, row);
  unsigned long long* sorted = a.sort_scratch + int64_t{row.index} * kSortRoom;
  int size = 1;
  while (size < row.k) size *= 2;
  const float* middle = score + kBos;
  int* const best = room_for(memory, slots, row.k);
  select_best<false>(memory, middle, row.end - kBos, row.k, row.k, best);
  for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x))
    sorted[i] = i < row.k
                    ? static_cast<unsigned long long>(key_of(middle[best[i]])) << 32 | ~static_cast<uint32_t>(best[i])
                    : 0;
  sort_down(sorted, size);
  const int count = count_mass(memory, middle, row.end - kBos, sorted, row.k, mass);
  const int kept = max(min(count, row.k), min(least, row.k));
  for (int i = static_cast<int>(threadIdx.x); i < kept; i += static_cast<int>(blockDim.x))
    slots.put(i, kBos + static_cast<int>(~static_cast<uint32_t>(sorted[i])));
  slots.finish(kept);
}

/// Sets the bits of the best k pages.
inline void mark_best(SelectMemory& memory, const Slots& slots, const float* score, int n, int k, uint32_t* marks) {
  int* const best = room_for(memory, slots, k);
  select_best<false>(memory, score, n, k, k, best);
  for (int i = static_cast<int>(threadIdx.x); i < k; i += static_cast<int>(blockDim.x))
    atomicOr(&marks[best[i] / 32], 1u << best[i] % 32);
  __syncthreads();
}

/// The best k0 pages by one score and the best k1 by another. `marks`: a bit a page.
inline void choose_union(SelectMemory& memory, const Args& a, const Row& row, const float* score0, int k0,
                         const float* score1, int k1, uint32_t* marks) {
  const Slots slots(a, row);
  const int n = row.end - kBos, words = (n + 31) / 32;
  for (int i = static_cast<int>(threadIdx.x); i < words; i += static_cast<int>(blockDim.x)) marks[i] = 0;
  mark_best(memory, slots, score0 + kBos, n, min(k0, n), marks);
  mark_best(memory, slots, score1 + kBos, n, min(k1, n), marks);
  if (threadIdx.x == 0) memory.taken = 0;
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < words; i += static_cast<int>(blockDim.x)) {
    int place = marks[i] != 0 ? atomicAdd(&memory.taken, __popc(marks[i])) : 0;
    for (uint32_t left = marks[i]; left != 0; left &= left - 1)
      slots.put(place++, kBos + i * 32 + __ffs(static_cast<int>(left)) - 1);
  }
  __syncthreads();
  slots.finish(memory.taken);
}

}  // namespace vortex::flow_code
