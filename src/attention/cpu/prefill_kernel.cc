// Prefill, compiled once per instruction set. Everything is held transposed, one query row a lane: scores are
// [key, row], sums are [column, row]. Then k and v are used as they lie (only widened to float32), and the softmax
// over keys needs no sum across lanes.
//
// A row's arithmetic depends on its own position only: key blocks start at multiples of kKeyBlock, keys are summed in
// order, and a masked key adds exactly zero. So a token gets the same bits however the prompt is cut into chunks.
#include "attention/cpu/kernels.h"
#include "attention/cpu/rows.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::kKeyBlock;
using attention::kMaxPanelRows;
using attention::KvElement;
using attention::padded_dim;
using attention::PrefillBlock;

constexpr float kMinusInfinity = -__builtin_huge_valf();
// The maximum of no scores: finite, so that a row may meet a block whose keys are all hidden from it.
constexpr float kLowest = -__FLT_MAX__;
// A register tile: kTileM broadcast values times kTileVectors vectors of rows. 12 sums, 3 operands and a broadcast
// fill 16 registers; 24 sums suit the 32 of AVX-512.
constexpr int kTileVectors = 3;
constexpr int kTileM = kLanes == 16 ? 8 : 4;
constexpr int kRows = kTileVectors * kLanes;
static_assert(kRows <= kMaxPanelRows && kKeyBlock % kTileM == 0 && attention::kMaxLanes % kTileM == 0);

/// The part of the scratch memory that belongs to one panel of kRows query rows.
struct Panel {
  float* q;    // [padded key_dim, kRows]
  float* out;  // [padded value_dim, kRows]
  float* max;  // [kRows]
  float* sum;  // [kRows]
};

struct Workspace {
  Workspace(const PrefillBlock& block)
      : key_dim(padded_dim(block.kv.key_dim)),
        value_dim(padded_dim(block.kv.value_dim)),
        shared(block.made == nullptr && block.kv.v == block.kv.k),
        value_stride(shared ? key_dim : value_dim),
        keys(block.scratch),
        values(shared ? keys : keys + kKeyBlock * key_dim),
        scores(keys + kKeyBlock * (key_dim + value_dim)),
        panels(scores + kKeyBlock * kRows) {}
  Panel panel(int i) const {
    float* at = panels + int64_t{i} * kRows * (key_dim + value_dim + 2);
    float* out = at + key_dim * kRows;
    float* max = out + value_dim * kRows;
    return {at, out, max, max + kRows};
  }

  int key_dim, value_dim;
  bool shared;  // values are columns of the keys
  int value_stride;
  float* keys;    // [kKeyBlock, key_dim]
  float* values;  // [kKeyBlock, value_stride]
  float* scores;  // [kKeyBlock, kRows]
  float* panels;
};

/// c[m, row] (= or, scaled by `factors`, +=) sum over k of a[m * a_m + k * a_k] * b[k, row], for kTileM values of m.
template <bool kAccumulate>
void multiply_tile(const float* a, int64_t a_m, int64_t a_k, int depth, const float* b, const F32* factors, float* c) {
  F32 sums[kTileM][kTileVectors];
#pragma GCC unroll 8
  for (int m = 0; m < kTileM; ++m)
#pragma GCC unroll 3
    for (int j = 0; j < kTileVectors; ++j)
      sums[m][j] = kAccumulate ? load(c + m * kRows + j * kLanes) * factors[j] : zero();
  for (int k = 0; k < depth; ++k) {
    F32 row[kTileVectors];
#pragma GCC unroll 3
    for (int j = 0; j < kTileVectors; ++j) row[j] = load(b + k * kRows + j * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kTileM; ++m) {
      const F32 x = set1(a[m * a_m + k * a_k]);
#pragma GCC unroll 3
      for (int j = 0; j < kTileVectors; ++j) sums[m][j] = fma(x, row[j], sums[m][j]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kTileM; ++m)
#pragma GCC unroll 3
    for (int j = 0; j < kTileVectors; ++j) store(c + m * kRows + j * kLanes, sums[m][j]);
}

void clear(float* from, float* end) {
  for (; from < end; ++from) *from = 0.0f;
}

/// Key and value of token `i` of a key block as float32; `offset` is where the token lies in a field.
template <class T>
void gather_token(const PrefillBlock& block, int64_t position, int64_t offset, int i, const Workspace& work) {
  const auto& kv = block.kv;
  const T* stored = reinterpret_cast<const T*>(kv.k + offset);
  float* key = work.keys + i * work.key_dim;
  float* value = work.values + i * work.value_stride;
  if (block.made != nullptr) {
    const float* made = block.made + position * block.made_stride;
    widen_row(made, block.made_keys, key);
    widen_row(stored, kv.key_dim - block.made_keys, key + block.made_keys);
    widen_row(made + block.made_keys, kv.value_dim, value);
  } else {
    widen_row(stored, kv.key_dim, key);
    if (!work.shared) widen_row(reinterpret_cast<const T*>(kv.v + offset), kv.value_dim, value);
  }
  clear(key + kv.key_dim, key + work.key_dim);
  if (!work.shared) clear(value + kv.value_dim, value + work.value_dim);
}

/// Keys and values of `count` positions from `begin` on, zeros up to a whole register tile.
template <class T>
void gather_keys(const PrefillBlock& block, int64_t begin, int count, const Workspace& work) {
  const auto& kv = block.kv;
  const int64_t row_bytes = kv.page_bytes / kv.page_tokens;
  for (int i = 0; i < count; ++i) {
    const int64_t position = begin + i;
    const int64_t offset =
        block.pages[position / kv.page_tokens] * kv.page_bytes + position % kv.page_tokens * row_bytes;
    gather_token<T>(block, position, offset, i, work);
  }
  for (int i = count; i % kTileM != 0; ++i) clear(work.keys + i * work.key_dim, work.keys + (i + 1) * work.key_dim);
}

/// Rows beyond the block's stay zero: they are computed and thrown away. A sink is a score without a value.
void start_panel(const PrefillBlock& block, int first_row, const Workspace& work, const Panel& panel) {
  const int rows = block.tokens * block.group;
  const int dim = block.kv.key_dim;
  clear(panel.q, panel.q + work.key_dim * kRows);
  clear(panel.out, panel.out + work.value_dim * kRows);
  for (int r = 0; r < kRows; ++r) {
    const float* sink = block.sinks != nullptr ? block.sinks + (first_row + r) % block.group : nullptr;
    panel.max[r] = sink != nullptr ? *sink : kLowest;
    panel.sum[r] = sink != nullptr ? 1.0f : 0.0f;
  }
  for (int r = 0; r < kRows && first_row + r < rows; ++r) {
    const int row = first_row + r;
    const float* q = block.q + row / block.group * block.q_stride + row % block.group * dim;
    for (int d = 0; d < dim; ++d) panel.q[d * kRows + r] = q[d] * block.scale;
  }
}

/// Rows are in order of position, so the rows that must not see a key are the first ones of the panel.
void mask_future(const PrefillBlock& block, int first_row, int64_t begin, int keys, float* scores) {
  for (int i = 0; i < keys; ++i) {
    const int64_t hidden = (begin + i - block.first) * block.group - first_row;
    for (int r = 0; r < hidden && r < kRows; ++r) scores[i * kRows + r] = kMinusInfinity;
  }
}

/// Rows whose window has moved past a key are the last ones of the panel.
void mask_past(const PrefillBlock& block, int first_row, int64_t begin, int keys, float* scores) {
  for (int i = 0; i < keys; ++i) {
    const int64_t seeing = (begin + i + block.window - block.first) * block.group - first_row;
    for (int64_t r = seeing > 0 ? seeing : 0; r < kRows; ++r) scores[i * kRows + r] = kMinusInfinity;
  }
}

/// Scores become weights under the new maximum; `factors` bring earlier sums under it.
void softmax_panel(const Panel& panel, int keys, float* scores, F32* factors) {
  F32 top[kTileVectors];
  F32 total[kTileVectors];
#pragma GCC unroll 3
  for (int j = 0; j < kTileVectors; ++j) top[j] = load(panel.max + j * kLanes);
  for (int i = 0; i < keys; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < kTileVectors; ++j) top[j] = max(top[j], load(scores + i * kRows + j * kLanes));
#pragma GCC unroll 3
  for (int j = 0; j < kTileVectors; ++j) {
    factors[j] = exp(load(panel.max + j * kLanes) - top[j]);
    total[j] = load(panel.sum + j * kLanes) * factors[j];
    store(panel.max + j * kLanes, top[j]);
  }
  for (int i = 0; i < keys; ++i) {
#pragma GCC unroll 3
    for (int j = 0; j < kTileVectors; ++j) {
      float* at = scores + i * kRows + j * kLanes;
      const F32 weight = exp(load(at) - top[j]);
      store(at, weight);
      total[j] = total[j] + weight;
    }
  }
#pragma GCC unroll 3
  for (int j = 0; j < kTileVectors; ++j) store(panel.sum + j * kLanes, total[j]);
}

void attend_panel(const PrefillBlock& block, int first_row, int64_t begin, int keys, const Workspace& work,
                  const Panel& panel) {
  for (int i = 0; i < keys; i += kTileM)
    multiply_tile<false>(work.keys + i * work.key_dim, work.key_dim, 1, work.key_dim, panel.q, nullptr,
                         work.scores + i * kRows);
  mask_future(block, first_row, begin, keys, work.scores);
  if (block.window > 0) mask_past(block, first_row, begin, keys, work.scores);
  F32 factors[kTileVectors];
  softmax_panel(panel, keys, work.scores, factors);
  for (int d = 0; d < work.value_dim; d += kTileM)
    multiply_tile<true>(work.values + d, 1, work.value_stride, keys, work.scores, factors, panel.out + d * kRows);
}

void finish_panel(const PrefillBlock& block, int first_row, const Panel& panel) {
  const int rows = block.tokens * block.group - first_row;
  const int dim = block.kv.value_dim;
  for (int r = 0; r < kRows && r < rows; ++r) {
    const int row = first_row + r;
    float* out = block.out + row / block.group * block.out_stride + row % block.group * dim;
    for (int d = 0; d < dim; ++d) out[d] = panel.out[d * kRows + r] / panel.sum[r];
  }
}

/// The first key that a row sees; later rows see none before it.
int64_t first_key(const PrefillBlock& block, int row) {
  const int64_t key = block.first + row / block.group + 1 - block.window;
  return block.window > 0 && key > 0 ? key : 0;
}

/// How many keys from `begin` on the rows of a panel see, at most.
int64_t keys_seen(const PrefillBlock& block, int first_row, int64_t begin) {
  if (first_key(block, first_row) >= begin + kKeyBlock) return 0;
  const int last_token = (first_row + kRows - 1) / block.group;
  return block.first + (last_token < block.tokens ? last_token : block.tokens - 1) + 1 - begin;
}

template <class T>
void attend_block(const PrefillBlock& block) {
  const Workspace work(block);
  const int rows = block.tokens * block.group;
  for (int row = 0; row < rows; row += kRows) start_panel(block, row, work, work.panel(row / kRows));
  const int64_t end = block.first + block.tokens;
  for (int64_t begin = first_key(block, 0) / kKeyBlock * kKeyBlock; begin < end; begin += kKeyBlock) {
    const int count = end - begin < kKeyBlock ? static_cast<int>(end - begin) : kKeyBlock;
    gather_keys<T>(block, begin, count, work);
    for (int row = 0; row < rows; row += kRows) {
      const int64_t seen = keys_seen(block, row, begin);
      const int keys = seen < count ? static_cast<int>(seen) : count;
      if (keys > 0) attend_panel(block, row, begin, keys, work, work.panel(row / kRows));
    }
  }
  for (int row = 0; row < rows; row += kRows) finish_panel(block, row, work.panel(row / kRows));
}

}  // namespace

extern const int kPanelRows = kRows;

void prefill_block(const PrefillBlock& block) {
  if (block.kv.element == KvElement::kCode8)
    attend_block<int8_t>(block);
  else if (block.kv.element == KvElement::kBFloat16)
    attend_block<uint16_t>(block);
  else
    attend_block<float>(block);
}

}  // namespace vortex::VORTEX_ISA
