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
  std::vector<float> workspace;
  std::vector<const void*> pointers;
  SelectScratch select;
  std::vector<float> column;
  std::vector<int8_t> codes;
};

/// What a group reads and writes beyond its workspace.
struct RowContext {
  const PageView* view = nullptr;
  /// By value: the buffer of a value between groups, at this row (page 0 of it) or the query; null otherwise.
  const std::vector<float*>* outside = nullptr;
  SequenceState::Layer* state = nullptr;  // of a flow that saves
  int head = 0;
};

class GroupRunner {
 public:
  GroupRunner(const Plan& plan, const ProgramPlan& program, const GroupProgram& group, const TileKernels& kernels,
              const RowContext& row, ThreadScratch* scratch);

  /// Runs what is the same for all pages; hands it out to other groups only if `publish`.
  void run_row(bool publish);
  /// Runs `count` <= tile_pages pages with ids `pages`, logical pages first .. first + count of the row.
  void run_tile(const PageId* pages, int count, int64_t first);

 private:
  /// Floats of a value: page t at data + t * stride.
  struct Operand {
    const float* data;
    int64_t stride;
  };
  Operand operand(ValueId v) const;
  float* target(ValueId v) const { return workspace_ + group_.offset[static_cast<size_t>(v)]; }
  const Type& type(ValueId v) const { return program_.type(v); }

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
  void field_pointers(int field, const void** out) const;
  float* scratch_of(const Step& step) const {
    return workspace_ + group_.scratch[static_cast<size_t>(step.scratch)].offset;
  }
  CodeLayout layout_of(const Step& step) const;

  const Plan& plan_;
  const ProgramPlan& program_plan_;
  const Program& program_;
  const GroupProgram& group_;
  const TileKernels& kernels_;
  const RowContext& row_;
  ThreadScratch* scratch_;
  float* workspace_;
  const PageId* pages_ = nullptr;
  int count_ = 1;      // pages of the tile, 1 for what runs once
  int64_t first_ = 0;  // logical page of the tile's first
};

}  // namespace vortex::flow
