#include "flow/backends/cpu/tile_worker.h"

#include <algorithm>

namespace vortex::flow {
namespace {

constexpr int64_t kLeastPages = 16;
constexpr int64_t kAhead = 64;  // pages of the next tile, more than any kernel fetches ahead

int rows_of_sequence(const std::vector<Row>& rows, size_t first) {
  size_t end = first + 1;
  while (end < rows.size() && rows[end].sequence == rows[first].sequence) ++end;
  return static_cast<int>(end - first);
}

}  // namespace

void list_tiles(const GroupProgram& group, const std::vector<Row>& rows, int64_t runs, std::vector<Tile>* tiles) {
  tiles->clear();
  int64_t pages = 0;
  for (const Row& row : rows) pages += row.pages;
  for (size_t first = 0; first < rows.size();) {
    const int count = rows_of_sequence(rows, first);
    const int64_t page_floats = std::max<int64_t>(1, count * group.tile_floats / group.tile_pages);
    const int64_t most = std::clamp<int64_t>(kTileFloats / page_floats, 1, group.tile_pages);
    const int64_t size = std::clamp(pages / (count * runs), std::min(kLeastPages, most), most);
    for (int64_t begin = 0; begin < rows[first].pages; begin += size)
      tiles->push_back({{&rows[first], count}, begin, std::min(begin + size, rows[first].pages)});
    first += static_cast<size_t>(count);
  }
}

GroupRunner TileWorker::runner(Rows rows) const {
  return {plan_, plan_.indexer, group_, kernels_, view_, rows, scratch_};
}

void TileWorker::run(const Tile& tile, const Tile* next) {
  GroupRunner runner = this->runner(tile.rows);
  if (ready_ != tile.rows.first) runner.run_rows(tile.begin == 0);
  ready_ = tile.rows.first;
  const int64_t count = tile.pages() * tile.rows.count;
  std::vector<PageId>& ids = scratch_->ids;
  if (ids.size() < static_cast<size_t>(count + kAhead)) ids.resize(static_cast<size_t>(count + kAhead));
  PageId* end = list_ids(tile, count, ids.data());
  if (next != nullptr) end = list_ids(*next, kAhead, end);
  runner.run_tile({ids.data(), static_cast<int>(tile.pages()), tile.begin, static_cast<int>(end - ids.data())});
}

/// PageView::page_id of the tile's pages in each row, page after page, at most so many; with one division. Returns the
/// end.
PageId* TileWorker::list_ids(const Tile& tile, int64_t most, PageId* ids) const {
  const int ratio = view_.pages_per_slab(), rows = tile.rows.count;
  const SlabId* slab = tile.rows.first->sequence->table.data() + tile.begin / ratio;
  int inside = static_cast<int>(tile.begin % ratio);
  const int64_t pages = std::min(tile.pages(), most / rows);
  for (int64_t t = 0; t < pages; ++t) {
    const PageId first = (*slab * view_.kv_heads + tile.rows.first->head) * ratio + inside;
    for (int r = 0; r < rows; ++r) *ids++ = first + r * ratio;
    if (++inside < ratio) continue;
    inside = 0;
    ++slab;
  }
  return ids;
}

}  // namespace vortex::flow
