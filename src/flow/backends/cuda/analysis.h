// What the CUDA backend works out about a plan before it writes source: which kernel runs a group, what is kept where.
#pragma once

#include <map>
#include <vector>

#include "flow/plan/plan.h"

namespace vortex::flow {

/// kRows: of the query alone, before all pages. kPages: pages one by one, spread over the device. kChoice: a block a
/// row, from the first op on that needs all its pages.
enum class Stage : uint8_t { kRows, kPages, kChoice };

/// Numbers in a piece of memory, one value after the other.
struct Offsets {
  int64_t take(int64_t count);
  int64_t used = 0;  // floats
};

struct Analysis {
  explicit Analysis(const Plan& plan);

  /// Of a node of the indexer.
  Stage stage(NodeId n) const { return stages[static_cast<size_t>(n)]; }
  std::vector<NodeId> nodes_of(Stage stage) const;
  bool batched(ValueId v) const;
  /// Whether a value is written down; else its readers compute it where they need it.
  bool stored(const ProgramPlan& program, NodeId n) const;
  /// Nodes of the indexer that the choice has to run, those of the query included.
  bool choice_reads_query() const;

  const Plan& plan;
  std::vector<Stage> stages;
  std::map<ValueId, int64_t> row_offset;    // stored batched values: floats from the start of a row's
  std::map<NodeId, int64_t> rounded_query;  // products with codes: their rounded x, likewise
  int64_t lead_floats = 0;                  // of them, those of stage kRows, which come first
  int64_t row_floats = 0;
  bool rows_kernel = false;                // stage kRows is a launch of its own; else blocks of kPages repeat it
  std::map<ValueId, int64_t> page_offset;  // values of pages that another pass reads: numbers a page before them
  int64_t page_floats = 0;
  std::vector<NodeId> projects;

 private:
  void find_stages();
  int64_t rounded_floats(const Node& product) const;
  void place_rows();
  void place_pages();
};

/// What the op makes of each element alone, or moves without work.
bool is_elementwise(const Node& node);

}  // namespace vortex::flow
