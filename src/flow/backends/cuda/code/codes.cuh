// Fields of pages: numbers one by one, whole pages stored. Formats of codes: tensor/codes.h.
namespace vortex::flow_code {

/// Where the codes of a page lie.
template <int kType, int kRows, int kCols>
struct Codes {
  static constexpr int kBits = 8 >> (kType - kCode8);
  static constexpr bool kBlocked = kBits < 8 && kRows % 16 == 0;
  static constexpr int kPerByte = 8 / kBits;
  static constexpr int kChunk = 4 * kPerByte;
  static constexpr int kPadded = (kCols + kChunk - 1) / kChunk * kChunk;
  static constexpr int kRowBytes = (kCols + kPerByte - 1) / kPerByte;
  static constexpr int kPlain = kRows * kRowBytes + (kRows * kRowBytes) % 2;
  static constexpr int kSteps = kBlocked ? kRows * kPadded * kBits / 8 : kPlain;  // offset of the steps

  static int byte_of(int row, int col) {
    if constexpr (!kBlocked) return row * kRowBytes + col / kPerByte;
    return (row / 16 * (kPadded / kChunk) + col / kChunk) * 64 + row % 16 * 4 + col % 4;
  }
  static int shift_of(int col) {
    if constexpr (!kBlocked) return col % kPerByte * kBits;
    return col % kChunk / 4 * kBits;
  }
  /// Row and channel of one code of a byte; a channel of padding is kCols or more.
  static void place_of(int byte, int part, int* row, int* col) {
    if constexpr (!kBlocked) {
      *row = byte / kRowBytes;
      *col = byte % kRowBytes * kPerByte + part;
    } else {
      const int chunk = byte / 64;
      *row = chunk / (kPadded / kChunk) * 16 + byte % 64 / 4;
      *col = chunk % (kPadded / kChunk) * kChunk + part * 4 + byte % 4;
    }
  }
  static float step(const unsigned char* page, int row) {
    return bf16_to_f32(reinterpret_cast<const uint16_t*>(page + kSteps)[row]);
  }
};

/// Number (row, col) of a page of a field.
template <int kType, int kRows, int kCols>
float load_number(const unsigned char* page, int row, int col) {
  if constexpr (kType < kCode8) {
    return load_plain<kType>(page, int64_t{row} * kCols + col);
  } else if constexpr (kType == kCode8) {
    const unsigned char* codes = page + int64_t{row} * (kCols + 2);
    const uint32_t step = codes[kCols] | static_cast<uint32_t>(codes[kCols + 1]) << 8;
    return static_cast<float>(static_cast<signed char>(codes[col])) * from_bits(step << 16);
  } else {
    using C = Codes<kType, kRows, kCols>;
    const int code = page[C::byte_of(row, col)] >> C::shift_of(col) & ((1 << C::kBits) - 1);
    return (static_cast<float>(code) - (static_cast<float>(1 << C::kBits) / 2 - 0.5f)) * C::step(page, row);
  }
}

/// Largest magnitude of a row, by a warp; NaN if any is.
template <int kCols, class In>
float largest_of_row(const In& in, int row) {
  float best = 0;
  for (int j = lane_id(); j < kCols; j += 32) best = max_nan(best, fabsf(in(row, j)));
  return warp_max(best);
}

inline int code_of(float x, float inverse, int bits) {
  const float half = static_cast<float>(1 << (bits - 1)), top = static_cast<float>((1 << bits) - 1);
  float code = x * inverse + half;
  code = code > 0 ? code : 0;
  return static_cast<int>(code < top ? code : top);
}

template <int kRows, int kCols, class Team, class In>
void store_code8(const Team& team, const In& in, unsigned char* page) {
  for (int row = team.warp(); row < kRows; row += team.warps()) {
    unsigned char* codes = page + int64_t{row} * (kCols + 2);
    const float largest = largest_of_row<kCols>(in, row) / 127;
    const uint32_t step = is_nan(largest) ? 0x7fc0u : (bits_of(largest) + 0xffffu) >> 16;
    const float inverse = step > 0 ? 1 / from_bits(step << 16) : 0;
    for (int j = lane_id(); j < kCols; j += 32)
      codes[j] = static_cast<unsigned char>(bits_of(in(row, j) * inverse + 12582912.0f) - 0x4b400000u);
    if (lane_id() < 2) codes[kCols + lane_id()] = static_cast<unsigned char>(step >> 8 * lane_id());
  }
}

/// Codes of less than 8 bits; `inverses` is room for a number a row.
template <int kType, int kRows, int kCols, class Team, class In>
void store_codes(const Team& team, const In& in, unsigned char* page, float* inverses) {
  using C = Codes<kType, kRows, kCols>;
  for (int row = team.warp(); row < kRows; row += team.warps()) {
    float step;
    if constexpr (C::kBits == 2) {
      float squares = 0;
      for (int j = lane_id(); j < kCols; j += 32) squares += in(row, j) * in(row, j);
      step = 0.9957f * sqrtf(warp_sum(squares) / kCols);
    } else {
      step = 2 * largest_of_row<kCols>(in, row) / static_cast<float>(1 << C::kBits);
    }
    const float inverse = step > 0 ? 1 / step : 0;
    float xc = 0, cc = 0;
    for (int j = lane_id(); j < kCols; j += 32) {
      const float c =
          static_cast<float>(code_of(in(row, j), inverse, C::kBits)) - (static_cast<float>(1 << C::kBits) / 2 - 0.5f);
      xc += in(row, j) * c;
      cc += c * c;
    }
    xc = warp_sum(xc);
    cc = warp_sum(cc);
    if (lane_id() == 0) {
      inverses[row] = inverse;
      reinterpret_cast<uint16_t*>(page + C::kSteps)[row] = f32_to_bf16(xc / cc);
    }
  }
  team.sync();
  for (int byte = team.thread(); byte < C::kSteps; byte += team.threads()) {
    int packed = 0;
    for (int part = 0; part < C::kPerByte; ++part) {
      int row, col;
      C::place_of(byte, part, &row, &col);
      if (row < kRows && col < kCols) packed |= code_of(in(row, col), inverses[row], C::kBits) << part * C::kBits;
    }
    page[byte] = static_cast<unsigned char>(packed);
  }
}

/// Stores a page of a field. `room`: kRows floats, for codes of less than 8 bits.
template <int kType, int kRows, int kCols, class Team, class In>
void store_field(const Team& team, const In& in, unsigned char* page, float* room) {
  if constexpr (kType < kCode8) {
    for (int i = team.thread(); i < kRows * kCols; i += team.threads())
      store_plain<kType>(page, i, in(i / kCols, i % kCols));
  } else if constexpr (kType == kCode8) {
    store_code8<kRows, kCols>(team, in, page);
  } else {
    store_codes<kType, kRows, kCols>(team, in, page, room);
  }
}

/// Each row of a query rounded to 8 bits, as a product with codes reads it.
template <int kRows, int kCols, class Team, class In>
void round_query(const Team& team, const In& in, float* out) {
  for (int row = team.warp(); row < kRows; row += team.warps()) {
    const float step = largest_of_row<kCols>(in, row) / 127;
    const bool finite = step > 0 && step < infinity();
    for (int j = lane_id(); j < kCols; j += 32)
      out[row * kCols + j] = step * (finite ? rintf(in(row, j) / step) : 0.0f);
  }
}

}  // namespace vortex::flow_code
