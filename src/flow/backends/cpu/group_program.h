// GroupProgram: one group of a plan as steps over tiles of pages. A tile's values lie in a workspace that fits the L2
// cache; what is the same for all pages of a row is computed once, and lies in a workspace of the row.
#pragma once

#include <vector>

#include "flow/backends/cpu/isa/tile_kernels.h"
#include "flow/plan/plan.h"

namespace vortex::flow {

/// Of the workspace of a tile: 128 KB leave room for the fields themselves in a 512 KB L2 cache.
constexpr int64_t kTileFloats = 32 * 1024;

enum class StepKind : uint8_t {
  kOp,           // one node
  kSplitSigns,   // query into its positive and negative part, for kBound
  kBound,        // Multiply, Multiply, Maximum, Sum(2), Max(1) of bounds: one pass over the stored fields
  kRoundQuery,   // query to 8 bits a row, as floats for a product with codes that are decoded first
  kPackQuery,    // the same as integers, for kCodeProduct
  kCodeProduct,  // GeMM of codes, perhaps Add_Mul, perhaps Max(1) or LogSumExp(1): one pass over the codes
};

struct Step {
  StepKind kind = StepKind::kOp;
  const Node* node = nullptr;  // kOp; kCodeProduct: the node that gives the result
  ValueId x = kNoValue;        // the query, in all kinds but kOp
  int high = -1, low = -1;     // kBound: fields; kCodeProduct: high
  ValueId output = kNoValue;
  int scratch = -1;  // what a row step leaves for its page step
  float alpha = 0, beta = 1;
  RowReduction reduction = RowReduction::kNone;
};

/// What belongs to steps: floats for the row, and for each page of a tile, and where they lie in those workspaces.
struct StepScratch {
  int64_t row_floats = 0, page_floats = 0;
  int64_t row_offset = 0, tile_offset = 0;
};

/// Where a value of the group lies.
enum class Place : uint8_t {
  kNowhere,       // not used here
  kField,         // in the pool, read as it is stored
  kDecodedField,  // in the pool, decoded to the tile first
  kTile,          // made here, one a page
  kOnce,          // made here, one a row
  kOutside,       // made by another group (or the query): in a buffer
};

struct GroupProgram {
  std::vector<Step> row_steps;   // once per row
  std::vector<Step> page_steps;  // per tile
  std::vector<Place> place;      // by value
  std::vector<int64_t>
      offset;  // by value, in floats: of the tile's workspace (kDecodedField, kTile), of the row's (kOnce)
  std::vector<ValueId> decoded;  // fields to decode per tile
  std::vector<ValueId> leaving;  // values to round and hand out
  std::vector<StepScratch> scratch;
  std::vector<float> rotation_signs;  // as long as the widest Rotate
  int tile_pages = 1;
  int64_t tile_floats = 0, row_floats = 0;  // of the workspaces
};

/// `max_tile` bounds the pages of a tile (1 for the cache program).
GroupProgram make_group_program(const Plan& plan, const ProgramPlan& program, size_t group, int max_tile);

}  // namespace vortex::flow
