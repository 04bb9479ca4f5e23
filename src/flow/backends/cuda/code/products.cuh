// Sums over the width of fields of 16-bit floats, where threads share a page and a warp has several pages' loads in
// flight, and of fields of codes, by the tensor cores.
namespace vortex::flow_code {

constexpr int lanes_of(int cols) {
  int lanes = 1;
  while (lanes < 32 && lanes * 8 < cols) lanes *= 2;
  return lanes;
}

/// The numbers of x [kRows, kCols] that belong to this thread's vectors.
template <int kRows, int kCols, int kSlots, class In>
void load_slots(const In& in, float* out) {
  constexpr int kLanes = lanes_of(kCols);
#pragma unroll
  for (int i = 0; i < kRows; ++i)
#pragma unroll
    for (int j = 0; j < kSlots; ++j) {
      const int col = kSlots == 1 ? 0 : (j / 8 * kLanes + lane_id() % kLanes) * 8 + j % 8;
      out[i * kSlots + j] = col < kCols ? in(i, col) : 0.0f;
    }
}

template <int kType>
void unpack(uint32_t pair, float* out) {
  if constexpr (kType == kBF16) {
    out[0] = from_bits(pair << 16);
    out[1] = from_bits(pair & 0xffff0000u);
  } else {
    out[0] = f16_to_f32(static_cast<uint16_t>(pair));
    out[1] = f16_to_f32(static_cast<uint16_t>(pair >> 16));
  }
}

/// Numbers from one page's results to the next: odd, so that threads that read a page each meet no bank twice.
constexpr int stride_of(int results) { return results | 1; }

/// out[p, a, o] = sum over columns of value(o, slot, fields' numbers in row a of page p). Lane p < kBatch holds the
/// page's id.
template <int kType, int kFields, int kRows, int kOuts, int kCols, int kBatch, class Value>
void products(const unsigned char* const* bases, const int* bytes, int mine, const Value& value, float* out) {
  constexpr int kLanes = lanes_of(kCols), kSteps = (kCols + 8 * kLanes - 1) / (8 * kLanes), kAtOnce = 32 / kLanes;
  constexpr int kPasses = (kBatch + kAtOnce - 1) / kAtOnce;
  const int share = lane_id() / kLanes, at = lane_id() % kLanes;
#pragma unroll 1
  for (int a = 0; a < kRows; ++a) {
    uint4 data[kPasses][kFields][kSteps];
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int64_t page = __shfl_sync(0xffffffffu, mine, (pass * kAtOnce + share) % kBatch);
#pragma unroll
      for (int f = 0; f < kFields; ++f)
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
          const int vector = step * kLanes + at;
          data[pass][f][step] = make_uint4(0, 0, 0, 0);
          if (vector * 8 < kCols)
            data[pass][f][step] =
                __ldg(reinterpret_cast<const uint4*>(bases[f] + page * bytes[f] + a * kCols * 2) + vector);
        }
    }
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      float sum[kOuts] = {};
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        if ((step * kLanes + at) * 8 >= kCols) continue;
#pragma unroll
        for (int pair = 0; pair < 4; ++pair) {
          float numbers[2][kFields];
#pragma unroll
          for (int f = 0; f < kFields; ++f) {
            const uint4& vector = data[pass][f][step];
            float two[2];
            unpack<kType>(pair == 0 ? vector.x : pair == 1 ? vector.y : pair == 2 ? vector.z : vector.w, two);
            numbers[0][f] = two[0];
            numbers[1][f] = two[1];
          }
#pragma unroll
          for (int o = 0; o < kOuts; ++o)
            sum[o] += value(o, step * 8 + 2 * pair, numbers[0]) + value(o, step * 8 + 2 * pair + 1, numbers[1]);
        }
      }
#pragma unroll
      for (int o = 0; o < kOuts; ++o) {
#pragma unroll
        for (int mask = kLanes / 2; mask > 0; mask >>= 1) sum[o] += __shfl_xor_sync(0xffffffffu, sum[o], mask);
        const int page = pass * kAtOnce + share;
        if (at == 0 && page < kBatch) out[page * stride_of(kRows * kOuts) + a * kOuts + o] = sum[o];
      }
    }
  }
}

/// How a warp multiplies codes of 16 tokens by a query: products of 16 tokens, 32 channels and 8 heads. Of four chunks
/// of channels, four lanes have one each, for two tokens; a chunk's words are taken apart into kPairs steps.
template <int kType, int kOuts, int kCols>
struct CodeTiles {
  using C = Codes<kType, 16, kCols>;
  static constexpr int kChunks = C::kPadded / C::kChunk, kGroups = (kChunks + 3) / 4, kPairs = C::kPerByte / 2;
  static constexpr int kSteps = kGroups * kPairs, kTiles = (kOuts + 7) / 8, kHeads = 8 * kTiles;
  static constexpr int kFragments = kTiles * kSteps * 64;  // words, then kHeads steps and kHeads middles
  /// Blocks of 16 tokens that a warp has at a time, by the registers they take.
  static constexpr int kEach = 4 * kGroups + 4 * kTiles + 6;
  static constexpr int kUnits = kEach <= 28 ? 4 : kEach <= 56 ? 2 : 1;
};

/// A query for products with codes: 8-bit numbers as the fragments of CodeTiles; then each row's step, and its sum
/// times the middle code.
template <int kType, int kOuts, int kCols, class Team, class In>
void pack_query(const Team& team, const In& in, float* out) {
  using T = CodeTiles<kType, kOuts, kCols>;
  using C = typename T::C;
  uint32_t* const words = reinterpret_cast<uint32_t*>(out);
  float* const steps = out + T::kFragments;
  for (int row = team.warp(); row < T::kHeads; row += team.warps()) {
    const float step = row < kOuts ? largest_of_row<kCols>(in, row) / 127 : 0.0f;
    const bool finite = step > 0 && step < infinity();
    float sum = 0;
    for (int word = lane_id(); word < 4 * T::kGroups * C::kPerByte; word += 32) {
      uint32_t packed = 0;
      for (int i = 0; i < 4; ++i) {
        const int col = 4 * word + i;
        const float code = finite && col < kCols ? rintf(in(row, col) / step) : 0.0f;
        packed |= static_cast<uint32_t>(static_cast<int>(code) & 0xff) << 8 * i;
        sum += code;
      }
      const int chunk = word / C::kPerByte, part = word % C::kPerByte;
      const int fragment = (row / 8 * T::kSteps + chunk / 4 * T::kPairs + part / 2) * 32 + row % 8 * 4 + chunk % 4;
      words[fragment * 2 + part % 2] = packed;
    }
    sum = warp_sum(sum);
    if (lane_id() == 0) {
      steps[row] = step;
      steps[T::kHeads + row] = sum * (static_cast<float>(1 << C::kBits) / 2 - 0.5f);
    }
  }
}

/// Codes of 16 tokens: of tokens 2 g and 2 g + 1 of a block in lanes 4 g to 4 g + 3, and the steps of these two.
template <int kGroups>
struct CodeUnit {
  uint2 codes[kGroups];
  uint32_t steps;
};

/// Block `unit` of the pages whose ids lanes have as `mine`, in their order.
template <int kType, int kRows, int kOuts, int kCols>
auto load_codes(const unsigned char* base, int bytes, int mine, int unit) {
  using C = Codes<kType, kRows, kCols>;
  using T = CodeTiles<kType, kOuts, kCols>;
  constexpr int kBlocks = kRows / 16;
  const int pair = lane_id() / 4, quarter = lane_id() % 4, block = unit % kBlocks;
  const int64_t page = __shfl_sync(0xffffffffu, mine, unit / kBlocks);
  const unsigned char* const from = base + page * bytes;
  CodeUnit<T::kGroups> out;
#pragma unroll
  for (int g = 0; g < T::kGroups; ++g) {
    const int chunk = g * 4 + quarter;
    out.codes[g] = make_uint2(0, 0);
    if (chunk < T::kChunks)
      out.codes[g] = __ldg(reinterpret_cast<const uint2*>(from + (block * T::kChunks + chunk) * 64) + pair);
  }
  out.steps = __ldg(reinterpret_cast<const uint32_t*>(from + C::kSteps) + block * 8 + pair);
  return out;
}

/// sum[tile] += codes of a unit times the packed query, for kUnits units.
template <class T, class Units>
void multiply_codes(const Units& units, const float* query, int (&sum)[T::kUnits][T::kTiles][4]) {
  constexpr int kBits = T::C::kBits;
  constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
  const uint2* const fragments = reinterpret_cast<const uint2*>(query) + lane_id();
#pragma unroll
  for (int step = 0; step < T::kSteps; ++step) {
    const int g = step / T::kPairs, shift = step % T::kPairs * 2 * kBits;
    uint32_t a[T::kUnits][4];
#pragma unroll
    for (int u = 0; u < T::kUnits; ++u)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[u][i] = (i % 2 == 0 ? units[u].codes[g].x : units[u].codes[g].y) >> (shift + i / 2 * kBits) & kMask;
#pragma unroll
    for (int tile = 0; tile < T::kTiles; ++tile) {
      const uint2 b = fragments[(tile * T::kSteps + step) * 32];
#pragma unroll
      for (int u = 0; u < T::kUnits; ++u) multiply_bytes(sum[u][tile], a[u], b);
    }
  }
}

/// out[p, a, o] = product of row a of the codes of page p with row o of a packed query, for `count` pages whose ids
/// lanes have as `mine`. kBest: out[p, o], the largest of them over a.
template <int kType, int kRows, int kOuts, int kCols, bool kBest>
void code_products(const unsigned char* base, int bytes, int mine, int count, const float* query, float* out) {
  using T = CodeTiles<kType, kOuts, kCols>;
  constexpr int kBlocks = kRows / 16, kStride = stride_of(kBest ? kOuts : kRows * kOuts);
  const int pair = lane_id() / 4, quarter = lane_id() % 4, total = count * kBlocks;
  const float* const steps = query + T::kFragments;
  const auto load = [&](int unit) {
    return load_codes<kType, kRows, kOuts, kCols>(base, bytes, mine, min(unit, total - 1));
  };
  CodeUnit<T::kGroups> ahead[T::kUnits];
#pragma unroll
  for (int u = 0; u < T::kUnits; ++u) ahead[u] = load(u);
  float best[T::kTiles][2];
#pragma unroll 1
  for (int first = 0; first < total; first += T::kUnits) {
    CodeUnit<T::kGroups> units[T::kUnits];
#pragma unroll
    for (int u = 0; u < T::kUnits; ++u) {
      units[u] = ahead[u];
      ahead[u] = load(first + T::kUnits + u);
    }
    int sum[T::kUnits][T::kTiles][4] = {};
    multiply_codes<T>(units, query, sum);
#pragma unroll
    for (int u = 0; u < T::kUnits; ++u) {
      if (first + u >= total) break;
      const int page = (first + u) / kBlocks, block = (first + u) % kBlocks;
      const float low = from_bits(units[u].steps << 16), high = from_bits(units[u].steps & 0xffff0000u);
#pragma unroll
      for (int i = 0; i < 2 * T::kTiles; ++i) {
        const int tile = i / 2, head = tile * 8 + quarter * 2 + i % 2;
        const float step = steps[head], middle = steps[T::kHeads + head];
        const float x = step * low * (static_cast<float>(sum[u][tile][i % 2]) - middle);
        const float y = step * high * (static_cast<float>(sum[u][tile][2 + i % 2]) - middle);
        if constexpr (kBest) {
          float& most = best[tile][i % 2];
          most = block == 0 ? max_nan(x, y) : max_nan(most, max_nan(x, y));
          if (block < kBlocks - 1) continue;
          for (int lanes = 4; lanes < 32; lanes *= 2) most = max_nan(most, __shfl_xor_sync(0xffffffffu, most, lanes));
          if (pair == 0 && head < kOuts) out[page * kStride + head] = most;
        } else if (head < kOuts) {
          float* const results = out + page * kStride + (block * 16 + 2 * pair) * kOuts + head;
          results[0] = x;
          results[kOuts] = y;
        }
      }
    }
  }
}

}  // namespace vortex::flow_code
