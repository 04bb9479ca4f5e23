// The step that a DecodeTask times: who reads which pages, queries, and the comparison with plain loops.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "attention/decode_timing.h"
#include "base/function_ref.h"
#include "tensor/paged.h"

namespace vortex::attention {

/// Standard normal numbers in bfloat16, always the same: what fields and queries are filled with, over and over.
std::vector<uint16_t> noise_block();

class DecodeCase {
 public:
  explicit DecodeCase(const DecodeTask& task);

  /// One slab a page, in random order: [batch, context pages].
  std::span<const SlabId> tables() const { return tables_; }
  const StepPlan& step() const { return step_; }
  const PageList& list() const { return list_; }
  /// [rows, group, head_dim], exact in bfloat16.
  std::span<const float> queries() const { return queries_; }

  /// Puts page `page` of field `field` to `to`.
  using CopyPage = FunctionRef<void(int field, PageId page, std::byte* to)>;
  /// How far `out` [rows, group, value dim] is off for the first and the last sequence, relative to the largest number.
  /// kInternal above `tolerance`.
  Result<double> compare(std::span<const float> out, double tolerance, CopyPage copy) const;

 private:
  void make_step();
  void make_list();
  double row_error(int row, std::span<const float> out, CopyPage copy) const;

  const DecodeTask task_;
  std::vector<SlabId> tables_;
  StepPlan step_;
  PageList list_;
  std::vector<float> queries_;
};

}  // namespace vortex::attention
