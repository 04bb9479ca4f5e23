// Fields stored as codes of a few bits: what a page remembers of its tokens at a fraction of their bytes.
//
//   value = (code + 1/2) * step,  code in [-L/2, L/2), L = 2^bits; one bf16 step a row (the innermost axis)
//
// A row x is coded with a first step: 2 max|x| / L, or for 2 bits 0.9957 times the root mean square, the best uniform
// quantiser of a Gaussian (J. Max, Quantizing for minimum distortion, 1960). What is stored is the step that fits the
// codes best, <x, c> / <c, c> with c = code + 1/2; for 1 bit that is the mean magnitude, doubled. A row of zeros has
// step 0. NaN and infinity make the step, and with it the whole row, NaN or infinite.
//
// 8 bits are a plain round to nearest, so that kernels multiply codes as they lie: value = code * step, code in
// [-127, 127], step = max|x| / 127 rounded up to bf16 before the codes are taken. A step fitted afterwards would lose
// more by its own rounding than the fit gains.
//
// In memory: 8 bits lie row by row, each row's step behind its codes, so that a row is written alone (a token of K and
// V is) and successive rows of a page are a page themselves. Fewer bits: the codes, then the steps. Pages whose rows
// are a multiple of 16 lie in blocks, so that a vector holds the codes of 16 rows: byte (r, i) of 64 bytes, r < 16 and
// i < 4, holds channels 4 q + i of row r for 8 / bits successive q, the first in the low bits; channels are padded with
// code -L/2. Other pages lie row by row, low bits first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace vortex {

/// 8, 4, 2 or 1 for types stored as codes, else 0.
constexpr int code_bits(DType dtype) {
  return dtype < DType::kCode8 || dtype > DType::kCode1
             ? 0
             : 8 >> (static_cast<int>(dtype) - static_cast<int>(DType::kCode8));
}

/// The type of keys, values and latents in a cache by its name: "int8" is kCode8, others as parse_dtype() reads them.
std::optional<DType> parse_kv_dtype(std::string_view name);

/// Where the codes of a page [rows, cols] lie.
class CodeLayout {
 public:
  static constexpr int kBlockRows = 16;
  static constexpr int kQuad = 4;  // channels side by side

  CodeLayout(DType dtype, int rows, int cols);

  int bits() const { return bits_; }
  int rows() const { return rows_; }
  int cols() const { return cols_; }
  bool blocked() const { return bits_ < 8 && rows_ % kBlockRows == 0; }
  /// Channels a run of 64 bytes holds for 16 rows; of a blocked page the padded width is a multiple.
  int chunk_cols() const { return kQuad * 8 / bits_; }
  int padded_cols() const { return (cols_ + chunk_cols() - 1) / chunk_cols() * chunk_cols(); }
  /// Offset of the steps, uint16_t[rows]. Fewer than 8 bits.
  int64_t step_offset() const { return step_offset_; }
  int64_t page_bytes() const { return step_offset_ + 2 * int64_t{rows_}; }

 private:
  int bits_, rows_, cols_;
  int64_t step_offset_;  // also the bytes of all codes
};

/// Stores x [rows, cols].
void encode_page(const CodeLayout& layout, const float* x, std::byte* page);
/// The values of a page, [rows, cols].
void decode_page(const CodeLayout& layout, const std::byte* page, float* out);

/// Bytes of a row of 8-bit codes and its step.
constexpr int64_t code_row_bytes(int cols) { return cols + 2; }
/// Stores x [cols] as 8-bit codes and their step.
void encode_row(const float* x, int cols, std::byte* row);
/// The first n values of a row of 8-bit codes that is `cols` wide.
void decode_row(const std::byte* row, int cols, int n, float* out);

/// What multiplies codes in integers: q = round(x / step) in [-127, 127], step = max|x| / 127. Returns the step, NaN or
/// infinite (and q = 0) when x is not finite.
float round_query_row(const float* x, int n, int8_t* q);

/// The same for codes of 8 bits, in [-kWideQuery, kWideQuery]: the products of up to kWideQueryCols channels with codes
/// in [-128, 127] add up in 32 bits, and the error is a thousandth of the codes' own.
constexpr int kWideQuery = 8191;
constexpr int kWideQueryCols = 2048;
float round_query_row_wide(const float* x, int n, int16_t* q);

}  // namespace vortex
