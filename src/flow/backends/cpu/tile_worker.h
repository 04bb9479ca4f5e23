// Tiles: how the threads share the pages of sparse rows. A tile is a run of pages of a sequence in several of its
// heads, which lie side by side in memory; what memory gives fastest is what lies in order. So the next tile is fetched
// in that order while the heads of this one are scored in turn from the cache.
#pragma once

#include <vector>

#include "flow/backends/cpu/group_runner.h"

namespace vortex::flow {

/// Pages [begin, end) of successive rows of one sequence.
struct Tile {
  Rows rows;
  int64_t begin = 0, end = 0;

  int64_t pages() const { return end - begin; }
};

/// The tiles of all rows for one group, in order; enough of them to be split into `runs` where rows are long.
void list_tiles(const GroupProgram& group, const std::vector<Row>& rows, int64_t runs, std::vector<Tile>* tiles);

/// What one thread does with the tiles it takes.
class TileWorker {
 public:
  TileWorker(const Plan& plan, const GroupProgram& group, const TileKernels& kernels, const PageView& view,
             ThreadScratch* scratch)
      : plan_(plan), group_(group), kernels_(kernels), view_(view), scratch_(scratch) {}

  /// `next`: the tile that this thread takes then, or null.
  void run(const Tile& tile, const Tile* next);
  /// What is the same for all pages of a row, handed out to other groups.
  void run_row(const Row& row) { runner({&row, 1}).run_rows(true); }

 private:
  GroupRunner runner(Rows rows) const;
  PageId* list_ids(const Tile& tile, int64_t most, PageId* ids) const;

  const Plan& plan_;
  const GroupProgram& group_;
  const TileKernels& kernels_;
  const PageView& view_;
  ThreadScratch* scratch_;
  const Row* ready_ = nullptr;  // the first of the rows whose workspace is filled
};

}  // namespace vortex::flow
