// Products of the query with fields stored as codes, and what lets them run on integers.
#pragma once

#include <vector>

#include "flow/backends/cpu/isa/tile_kernels.h"
#include "flow/plan/plan.h"
#include "tensor/codes.h"

namespace vortex::flow {

/// GeMM of a batched x with a field of codes that lie in blocks of 16 rows; perhaps Add_Mul of it; perhaps Max(1) or
/// LogSumExp(1) of that. Only the last value is read elsewhere.
struct CodeProductPattern {
  std::vector<NodeId> nodes;  // in that order
  ValueId x = kNoValue;
  int field = -1;
  float alpha = 0, beta = 1;  // of Add_Mul
  RowReduction reduction = RowReduction::kNone;
};

std::vector<CodeProductPattern> find_code_products(const Plan& plan, const Program& program,
                                                   const std::vector<NodeId>& group);

/// The query of a code product: 8-bit rows as wide as the padded codes, then a scale and a bias for each.
struct PackedQuery {
  int8_t* rows;
  float* scale;   // half the step of the row
  int32_t* bias;  // (1 - 2^bits) times its sum
};
/// Floats of workspace it takes, and where its parts lie there.
int64_t packed_query_floats(const CodeLayout& layout, int group);
PackedQuery packed_query(const CodeLayout& layout, int group, float* workspace);
/// Fills it from x [group, layout.cols()].
void pack_query(const CodeLayout& layout, int group, const float* x, const PackedQuery& out);

}  // namespace vortex::flow
