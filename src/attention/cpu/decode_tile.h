// The tokens that decode works on at once, and the fetching of the next ones. Only for files compiled once per
// instruction set.
#pragma once

#include "attention/cpu/kernels.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::DecodeChunk;
using attention::kDecodeTile;

/// Neighbours in memory: bytes [begin, end) from the field's base.
struct Run {
  int64_t begin;
  int64_t end;
};

/// Some tokens of one chunk.
struct Tile {
  int64_t offset[kDecodeTile];  // where their rows are, in bytes from the field's base
  int tokens = 0;
  Run run[kDecodeTile];  // the same rows, those of a page joined
  int runs = 0;
  int chunk = 0;  // which of the group
};

/// Tokens of a tile: a page, so that tiles of neighbouring rows follow each other in memory, within what makes the
/// tile worth its start and what the buffers hold.
inline int tile_tokens(int page_tokens) {
  constexpr int kFewest = 16;
  if (page_tokens < kFewest) return kFewest;
  return page_tokens < kDecodeTile ? page_tokens : kDecodeTile;
}

/// Walks the tokens of a chunk.
class Cursor {
 public:
  void start(const DecodeChunk& chunk) {
    chunk_ = &chunk;
    row_bytes_ = chunk.kv.page_bytes / chunk.kv.page_tokens;
    limit_ = tile_tokens(chunk.kv.page_tokens);
    page_ = 0;
    token_ = chunk.skip_tokens;
  }

  /// No tokens: the chunk has ended.
  void fill(Tile* tile) {
    tile->tokens = 0;
    tile->runs = 0;
    while (tile->tokens < limit_ && page_ < chunk_->count) take_page(tile);
  }

 private:
  /// What is left of the page, as far as the tile has room.
  void take_page(Tile* tile) {
    const int page_tokens = page_ + 1 == chunk_->count ? chunk_->last_tokens : chunk_->kv.page_tokens;
    const int64_t page = chunk_->pages[page_] * chunk_->kv.page_bytes;
    const int room = limit_ - tile->tokens;
    const int end = page_tokens - token_ < room ? page_tokens : token_ + room;
    tile->run[tile->runs++] = {page + token_ * row_bytes_, page + end * row_bytes_};
    while (token_ < end) tile->offset[tile->tokens++] = page + token_++ * row_bytes_;
    if (token_ < page_tokens) return;
    ++page_;
    token_ = 0;
  }

  const DecodeChunk* chunk_ = nullptr;
  int64_t row_bytes_ = 0;
  int limit_ = 0;
  int page_ = 0;
  int token_ = 0;
};

constexpr int kCacheLine = 64;

inline void fetch(const std::byte* base, const Run& run) {
  for (int64_t at = run.begin; at < run.end; at += kCacheLine) __builtin_prefetch(base + at);
}

/// Fetches the rows of the next tile, a few cache lines at each step of this one: more at once than the core has
/// outstanding would stall it.
class Ahead {
 public:
  /// Everything is fetched after `steps` steps; a step stays within a run.
  Ahead(const std::byte* base, const Tile& next, int steps) : base_(base), run_(next.run), end_(next.run + next.runs) {
    int64_t bytes = 0;
    for (const Run* run = run_; run < end_; ++run) bytes += run->end - run->begin;
    const int full_steps = steps > next.runs ? steps - next.runs + 1 : 1;
    step_bytes_ = (bytes + kCacheLine * full_steps - 1) / (kCacheLine * full_steps) * kCacheLine;
    start_run();
  }

  void step() {
    const std::byte* at = at_;
    const std::byte* const stop = stop_ - at > step_bytes_ ? at + step_bytes_ : stop_;
    for (; at < stop; at += kCacheLine) __builtin_prefetch(at);
    at_ = at;
    if (at >= stop_) start_run();
  }

 private:
  void start_run() {
    if (run_ == end_) {
      at_ = stop_;
      return;
    }
    at_ = base_ + run_->begin;
    stop_ = base_ + run_->end;
    ++run_;
  }

  const std::byte* const base_;
  const Run* run_;
  const Run* const end_;
  const std::byte* at_ = nullptr;
  const std::byte* stop_ = nullptr;
  int64_t step_bytes_;
};

}  // namespace
}  // namespace vortex::VORTEX_ISA
