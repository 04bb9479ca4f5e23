// The inner loops of the CPU backend, built once per instruction set. Plain pointers and counts only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"
#include "flow/ir/op.h"

namespace vortex::flow {

/// How a field's numbers are stored. The products read the first three as they are.
enum class Element : uint8_t { kF32, kBF16, kF16, kF8E4M3, kF8E5M2, kCodes };
inline bool is_read_in_place(Element element) { return element <= Element::kF16; }

/// Three nested loops; strides in elements, the innermost ones 0 or 1; the result is dense.
struct BroadcastLoop {
  int64_t count[3];
  int64_t x[3];
  int64_t y[3];
};

/// Stored pages of one or more rows (kv heads), listed as they lie in memory: page after page, in each the rows in
/// turn. Row r of a tile has its query and its results `x_row_stride` and `out_row_stride` floats after those of row r
/// - 1.
struct StoredPages {
  const void* const* list;
  int64_t pages;
  int64_t rows = 1;
  int64_t listed = 0;  // those after pages * rows are read next, and fetched meanwhile
  int64_t x_row_stride = 0;
  int64_t out_row_stride = 0;
};

/// out[t, a, b] = sum_k y[t, a, k] * x[t, b, k].
struct GemmTile {
  StoredPages y;
  Element element;
  int64_t y_rows;
  const float* x;
  int64_t x_rows;
  int64_t x_page_stride;  // 0: one x for all pages
  int64_t width;
  float* out;
};

/// out[t] = max over g of sum_d max(q[g, d], 0) * high[t, d] + min(q[g, d], 0) * low[t, d]. positive and negative hold
/// those parts of q.
struct BoundTile {
  StoredPages high;
  const void* const* low;  // listed as high
  Element element;
  const float* positive;
  const float* negative;
  int64_t group;
  int64_t width;
  float* out;
};

/// What becomes of the products of a page's rows with one query head.
enum class RowReduction : uint8_t { kNone, kMax, kLogSumExp };

/// Products of integers: value[t, r, g] = beta * <row r of page t, query g> + alpha for pages of 4, 2 or 1 bit codes in
/// blocks (tensor/codes.h) and a query rounded to 8 bits.
struct CodeTile {
  StoredPages pages;
  int bits;
  int64_t rows;               // of a page: a multiple of 16
  int64_t chunks;             // 64 bytes of codes each, for 16 rows
  int64_t step_offset;        // of the rows' steps in a page
  const int8_t* query;        // [group, chunks * channels of a chunk]
  const float* query_scale;   // [group]: half the step of the query row
  const int32_t* query_bias;  // [group]: (1 - 2^bits) times the sum of the query row
  int64_t group;
  float alpha, beta;
  RowReduction reduction;
  float* out;   // [pages, rows, group]; reduced [pages, group]
  float* sums;  // scratch of LogSumExp, like out
};

struct TileKernels {
  using Unary = void (*)(const float* x, float* out, int64_t n, float a, float b);
  using Binary = void (*)(const BroadcastLoop& loop, const float* x, const float* y, float* out, float a, float b);

  Unary unary[kOpCount];  // by Op; null for ops of other kinds
  Binary binary[kOpCount];
  /// out[o, i] = reduction over l of x[o, l, i].
  void (*reduce)(Op op, const float* x, float* out, int64_t outer, int64_t length, int64_t inner);
  void (*gemm)(const GemmTile& tile);
  void (*bound)(const BoundTile& tile);
  void (*code_product)(const CodeTile& tile);
  /// In place: rows of `cols` numbers times `signs`, then Walsh-Hadamard (flow/ir/rotation.h), with the same roundings.
  void (*rotate)(const float* signs, float* x, int64_t rows, int64_t cols);
  /// The first three kinds of element.
  void (*decode)(Element element, const void* src, float* out, int64_t n);
  void (*encode_bf16)(const float* x, uint16_t* out, int64_t n);
  void (*round_bf16)(const float* x, float* out, int64_t n);
  /// Largest number of each `group` successive ones (the last group may be shorter; -infinity if all are NaN). True if
  /// a number is NaN.
  bool (*group_maxima)(const float* x, int64_t n, int64_t group, float* out);
  /// Indices of the numbers that are at least `bound`, ascending; their count.
  int64_t (*list_at_least)(const float* x, int64_t n, float bound, int32_t* out);
  /// In place over one column of pages.
  void (*softmax)(float* x, int64_t n, float scale);
  void (*normalize)(float* x, int64_t n);
  /// Over the columns of x [n, columns]; false, and nothing done, where they do not fit a vector.
  bool (*softmax_columns)(const float* x, float* out, int64_t n, int64_t columns, float scale);
};

const TileKernels& tile_kernels(Isa isa);

}  // namespace vortex::flow
