// Plan: a graph after its passes, with everything a backend must know to run it. Printable; the same for all backends,
// so that they share groups and places of rounding.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "flow/ir/graph.h"
#include "flow/plan/parameter.h"
#include "tensor/paged.h"

namespace vortex::flow {

/// Numbers kept between groups: a buffer holds values one after the other in time.
struct BufferPlan {
  bool batched = false;  // one value a row; else one a page
  int64_t elements = 0;  // float32 elements a row or a page
};

struct ProgramPlan {
  Program program;
  std::vector<bool> leaves;  // value: read outside its group, there rounded to Plan::dtype
  std::vector<int> buffer;   // value: index into buffers when it leaves its group, else -1
  std::vector<BufferPlan> buffers;
};

struct Plan {
  Graph graph;  // declarations; the programs below are what runs
  DType dtype = DType::kBF16;
  std::vector<FieldSpec> fields;  // base fields first: PageView's order
  int base_fields = 2;
  ProgramPlan cache;
  ProgramPlan indexer;
  Parameters parameters;          // those that its Project nodes name; others are the identity
  std::vector<int> saved_fields;  // declared fields that Save stores to, ascending; each sequence keeps their values

  std::span<const FieldSpec> declared_fields() const {
    return std::span(fields).subspan(static_cast<size_t>(base_fields));
  }
  const Node& output() const;
  /// The scores that the output selects by: one, or two for Union.
  std::vector<ValueId> scores() const;
  /// Pages of the middle that the output may take of a row, when it says so itself and not the budget.
  std::optional<int> middle_pages() const;
  /// Rows take as many pages as planned; else fewer may be chosen and the list must be made anew for each selection.
  bool fixed_count() const;

  /// The weights of a Project in one layer; null for the identity.
  const uint16_t* weights(const Node& project, int layer) const;

  bool saves() const { return !saved_fields.empty(); }
  /// Place of a declared field among the saved ones, or -1.
  int saved_slot(int declared) const;
  /// Whether a product reads codes: its batched side is rounded to 8 bits a row.
  bool rounds_query(const Program& program, const Node& node) const;
  /// Bytes of fields that scoring one page reads.
  int64_t bytes_read_per_page() const;
  std::string to_string() const;
};

/// Types of fields and buffers for a verified graph. `dtype` is the flow's (float32, bfloat16, float16 or fp8),
/// `kv_dtype` that of the base fields (float32, bfloat16, float16, fp8_e4m3, 8-bit codes). Error: other types; values
/// between groups that are too large; parameters that do not have the shapes the graph needs.
Result<Plan> make_plan(Graph graph, DType dtype, DType kv_dtype, const Parameters& parameters = {});

}  // namespace vortex::flow
