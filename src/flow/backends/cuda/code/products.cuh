// Sums over the width of fields of 16-bit floats: threads share a page, a warp has several pages' loads in flight.
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

/// A query for products with codes: 8-bit numbers, four a word; then each row's step, and its sum times the middle
/// code.
template <int kType, int kOuts, int kCols, class Team, class In>
void pack_query(const Team& team, const In& in, float* out) {
  using C = Codes<kType, 16, kCols>;
  constexpr int kWords = C::kPadded / 4;
  unsigned char* const codes = reinterpret_cast<unsigned char*>(out);
  float* const steps = out + kOuts * kWords;
  for (int row = team.warp(); row < kOuts; row += team.warps()) {
    const float step = largest_of_row<kCols>(in, row) / 127;
    const bool finite = step > 0 && step < infinity();
    float sum = 0;
    for (int j = lane_id(); j < C::kPadded; j += 32) {
      const float code = finite && j < kCols ? rintf(in(row, j) / step) : 0.0f;
      codes[row * C::kPadded + j] = static_cast<unsigned char>(static_cast<int>(code));
      sum += code;
    }
    sum = warp_sum(sum);
    if (lane_id() == 0) {
      steps[row] = step;
      steps[kOuts + row] = sum * (static_cast<float>(1 << C::kBits) / 2 - 0.5f);
    }
  }
}

/// out[p, a, o] = product of row a of the codes of page p with row o of a packed query. A thread has a row of a page.
template <int kType, int kRows, int kOuts, int kCols, int kBatch>
void code_products(const unsigned char* base, int bytes, int mine, const float* query, float* out) {
  using C = Codes<kType, kRows, kCols>;
  constexpr int kChunks = C::kPadded / C::kChunk, kWords = C::kPadded / 4, kPasses = (kBatch + 1) / 2;
  constexpr uint32_t kMask = ((1u << C::kBits) - 1) * 0x01010101u;
  const int share = lane_id() / 16, at = lane_id() % 16;
  const int* const codes = reinterpret_cast<const int*>(query);
  const float* const steps = query + kOuts * kWords;
#pragma unroll 1
  for (int block = 0; block < kRows / 16; ++block) {
    uint32_t data[kPasses][kChunks];
    float step[kPasses];
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int64_t page = __shfl_sync(0xffffffffu, mine, (pass * 2 + share) % kBatch);
      const unsigned char* const from = base + page * bytes;
#pragma unroll
      for (int c = 0; c < kChunks; ++c)
        data[pass][c] = __ldg(reinterpret_cast<const uint32_t*>(from + (block * kChunks + c) * 64) + at);
      step[pass] = bf16_to_f32(__ldg(reinterpret_cast<const uint16_t*>(from + C::kSteps) + block * 16 + at));
    }
    int sum[kPasses][kOuts] = {};
#pragma unroll
    for (int c = 0; c < kChunks; ++c)
#pragma unroll
      for (int t = 0; t < C::kPerByte; ++t)
#pragma unroll
        for (int o = 0; o < kOuts; ++o) {
          const int q = codes[o * kWords + c * C::kPerByte + t];
#pragma unroll
          for (int pass = 0; pass < kPasses; ++pass)
            sum[pass][o] = __dp4a(static_cast<int>(data[pass][c] >> t * C::kBits & kMask), q, sum[pass][o]);
        }
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int page = pass * 2 + share;
      float* const results = out + page * stride_of(kRows * kOuts) + (block * 16 + at) * kOuts;
#pragma unroll
      for (int o = 0; o < kOuts; ++o)
        if (page < kBatch) results[o] = steps[o] * step[pass] * (static_cast<float>(sum[pass][o]) - steps[kOuts + o]);
    }
  }
}

}  // namespace vortex::flow_code
