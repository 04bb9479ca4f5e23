// GroupRunner: executes a GroupProgram over the pages of one row.
#pragma once

#include <vector>

#include "flow/backends/cpu/choose_middle.h"
#include "flow/backends/cpu/group_program.h"
#include "tensor/codes.h"
#include "tensor/paged.h"
#include "tensor/sequence_state.h"

namespace vortex::flow {

/// Scratch of one thread; grows to what the largest group needs.
struct ThreadScratch {
  std::vector<float> workspace;  // of a tile, then of the rows that take turns at it
  std::vector<const void*> pointers[2];
  std::vector<PageId> ids;
  SelectScratch select;
  std::vector<float> column;
  std::vector<int8_t> codes;
};

/// A sparse row at a step, and what a group reads and writes of it beyond its workspace.
struct Row {
  int index = 0;  // in the StepPlan
  const SequencePlan* sequence = nullptr;
  int head = 0;
  int64_t pages = 0;                      // scored: [0, n - eos)
  SequenceState::Layer* state = nullptr;  // of a flow that saves
  /// By value: the buffer of a value between groups, at this row (page 0 of it) or the query; null otherwise.
  float* const* outside = nullptr;
};

/// Successive rows of one sequence, or the one row of the cache program.
struct Rows {
  const Row* first = nullptr;
  int count = 1;
};

/// Pages of some rows that are run at once, listed as they lie in memory: page after page, in each the rows in turn.
struct TilePages {
  const PageId* ids;
  int count;      // of pages, <= tile_pages
  int64_t first;  // logical page of the first
  int listed;     // ids: those of the tile, then some that are read next
};

class GroupRunner {
 public:
  GroupRunner(const Plan& plan, const ProgramPlan& program, const GroupProgram& group, const TileKernels& kernels,
              const PageView& view, Rows rows, ThreadScratch* scratch);

  /// Runs what is the same for all pages of the rows, and keeps it in the scratch; hands it out to other groups only if
  /// `publish`.
  void run_rows(bool publish);
  void run_tile(const TilePages& pages);

 private:
  /// Floats of a value of the current row: page t at data + t * stride.
  struct Operand {
    const float* data;
    int64_t stride;
  };
  Operand operand(ValueId v) const;
  float* target(ValueId v) const;
  const Row& row() const { return rows_.first[row_]; }
  const Type& type(ValueId v) const { return program_.type(v); }

  bool runs_together(const Step& step) const;
  void decode_fields();
  void run_step(const Step& step);
  void run_op(const Step& step);
  void run_binary(const Node& node);
  void run_gemm(const Step& step);
  void run_reduce(const Node& node);
  void run_kron(const Node& node);
  void run_transpose(const Node& node);
  void run_mask(const Node& node);
  void run_rotate(const Node& node);
  void run_copy(const Node& node);
  void run_store(const Node& node);
  void run_bound(const Step& step);
  void split_signs(const Step& step);
  void round_query(const Step& step);
  void pack(const Step& step);
  void run_code_product(const Step& step);
  void publish(ValueId v, int64_t first);
  const std::byte* page_of(int field, int t) const;
  const void* const* pointers_of(int field, int which);
  StoredPages stored_pages(int field, int64_t x_row_stride);
  StoredPages made_pages(ValueId v);
  int64_t row_stride(ValueId v) const;
  float* scratch_of(const Step& step) const {
    return row_space() + group_.scratch[static_cast<size_t>(step.scratch)].row_offset;
  }
  float* tile_space() const { return scratch_->workspace.data() + row_ * group_.tile_floats; }
  float* row_space() const {
    return scratch_->workspace.data() + rows_.count * group_.tile_floats + row_ * group_.row_floats;
  }
  CodeLayout layout_of(const Step& step) const;

  const Plan& plan_;
  const ProgramPlan& program_plan_;
  const Program& program_;
  const GroupProgram& group_;
  const TileKernels& kernels_;
  const PageView& view_;
  const Rows rows_;
  ThreadScratch* scratch_;
  int row_ = 0;                       // the current one
  TilePages tile_{nullptr, 1, 0, 0};  // of one page for what runs once
};

}  // namespace vortex::flow
