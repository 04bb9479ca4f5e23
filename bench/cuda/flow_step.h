// One decode step of sequences of equal length on the GPU, its pages full of noise, and one sequence of it on the host.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "device/cuda/memory.h"
#include "device/cuda/step_views.h"
#include "flow/backends/cuda/cuda_flow.h"
#include "flow/flow.h"
#include "tensor/half.h"
#include "tensor/paged.h"
#include "tensor/sequence_state.h"

namespace vortex::flow {

struct BenchShape {
  int sequences, pages, kv_heads, group, head_dim, chosen;  // chosen: pages of the middle
  int rank = 0;                                             // of latents
  int page_tokens = 16;
  int rows() const { return sequences * kv_heads; }
};

/// Random bf16 numbers, repeated after 2 MiB.
inline cuda::DeviceArray<std::byte> random_numbers(int64_t bytes) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> part(1 << 20);
  for (uint16_t& x : part) x = f32_to_bf16(normal(random));
  cuda::DeviceArray<std::byte> out(bytes);
  for (int64_t at = 0; at < bytes; at += 2 * static_cast<int64_t>(part.size()))
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data() + at, part.data(),
                                 static_cast<size_t>(std::min(bytes - at, 2 * static_cast<int64_t>(part.size()))),
                                 cudaMemcpyHostToDevice));
  return out;
}

/// A part of a device array.
template <class T>
std::vector<T> fetch(const cuda::DeviceArray<T>& array, int64_t begin, int64_t count) {
  std::vector<T> out(static_cast<size_t>(count));
  VORTEX_CUDA_CHECK(
      cudaMemcpy(out.data(), array.data() + begin, static_cast<size_t>(count) * sizeof(T), cudaMemcpyDeviceToHost));
  return out;
}

/// Fields that flows declare lie there `copies` times, so that no layer finds its own in the L2 cache.
class DeviceStep {
 public:
  DeviceStep(const BenchShape& shape, const Plan& plan) : shape_(shape), plan_(plan) {
    const int64_t pages = int64_t{shape.rows()} * shape.pages;
    int64_t declared = 1;
    for (const FieldSpec& field : plan.declared_fields()) declared += pages * field.page_bytes();
    copies_ = static_cast<int>(std::clamp<int64_t>((int64_t{1} << 29) / declared, 1, 8));
    for (size_t f = 0; f < plan.fields.size(); ++f) {
      const int64_t bytes = pages * plan.fields[f].page_bytes();
      memory_.push_back(random_numbers(bytes * (static_cast<int>(f) < plan.base_fields ? 1 : copies_)));
    }
    for (int copy = 0; copy < copies_; ++copy) {
      for (size_t f = 0; f < plan.fields.size(); ++f) {
        const FieldSpec& spec = plan.fields[f];
        std::byte* base = memory_[f].data();
        if (static_cast<int>(f) >= plan.base_fields) base += copy * pages * spec.page_bytes();
        views_.push_back({base, spec.page_bytes(), spec.rows, spec.cols, spec.dtype});
      }
    }
    queries_ = random_numbers(int64_t{2} * shape.rows() * shape.group * shape.head_dim);
    make_arrays();
    const int64_t stride = chosen() + 2;
    list_ = cuda::DeviceArray<int32_t>(shape.rows() * stride);
    counts_ = cuda::DeviceArray<int32_t>(shape.rows());
    nan_ = cuda::to_device(std::span<const int32_t>(std::vector<int32_t>(static_cast<size_t>(shape.sequences), 0)));
  }

  const BenchShape& shape() const { return shape_; }
  int copies() const { return copies_; }
  int chosen() const { return plan_.middle_pages().value_or(shape_.chosen); }
  CudaFlowLimits limits() const {
    CudaFlowLimits limits;
    limits.sequences = shape_.sequences;
    limits.max_pages = shape_.pages;
    limits.kv_heads = shape_.kv_heads;
    limits.page_tokens = shape_.page_tokens;
    return limits;
  }

  PageView view(int copy) const {
    const auto fields = std::span(views_).subspan(static_cast<size_t>(copy) * plan_.fields.size(), plan_.fields.size());
    return {fields, shape_.kv_heads, shape_.page_tokens, shape_.page_tokens, 0};
  }
  cuda::StepView step() const {
    cuda::StepView step;
    step.tables = arrays_[0].data();
    step.table_stride = shape_.pages;
    step.tokens = arrays_[1].data();
    step.pages = arrays_[2].data();
    step.selected = arrays_[3].data();
    step.decodes = shape_.sequences;
    step.kv_heads = shape_.kv_heads;
    step.page_tokens = shape_.page_tokens;
    return step;
  }
  /// The last token of each page.
  cuda::TokenView tokens() const { return {arrays_[4].data(), arrays_[5].data(), shape_.sequences * shape_.pages}; }
  const __nv_bfloat16* queries() const { return reinterpret_cast<const __nv_bfloat16*>(queries_.data()); }
  cuda::ListView list() const { return {list_.data(), counts_.data(), chosen() + 2}; }
  int32_t* nan() const { return nan_.data(); }

  /// Blocks of zeros that keep what the flow saves.
  void* const* make_states(int64_t bytes) {
    states_ = cuda::DeviceArray<std::byte>(bytes * shape_.sequences);
    if (bytes > 0) VORTEX_CUDA_CHECK(cudaMemset(states_.data(), 0, static_cast<size_t>(states_.size())));
    std::vector<void*> pointers;
    for (int s = 0; s < shape_.sequences; ++s) pointers.push_back(states_.data() + s * bytes);
    state_pointers_ = cuda::to_device(std::span<void* const>(pointers));
    return state_pointers_.data();
  }

  /// Gives all copies the declared fields of the first.
  void copy_fields() {
    const size_t fields = plan_.fields.size();
    for (size_t f = static_cast<size_t>(plan_.base_fields); f < fields; ++f) {
      const int64_t bytes = memory_[f].size() / copies_;
      for (int copy = 1; copy < copies_; ++copy)
        VORTEX_CUDA_CHECK(cudaMemcpy(memory_[f].data() + copy * bytes, memory_[f].data(), static_cast<size_t>(bytes),
                                     cudaMemcpyDeviceToDevice));
    }
  }

  /// A field's pages of one sequence.
  std::vector<std::byte> field_of(size_t field, int sequence) const {
    const int64_t bytes = plan_.fields[field].page_bytes() * shape_.pages * shape_.kv_heads;
    return fetch(memory_[field], sequence * bytes, bytes);
  }
  std::vector<float> queries_of(int sequence) const {
    const int64_t bytes = int64_t{2} * shape_.kv_heads * shape_.group * shape_.head_dim;
    const std::vector<std::byte> raw = fetch(queries_, sequence * bytes, bytes);
    std::vector<float> out(raw.size() / 2);
    for (size_t i = 0; i < out.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, raw.data() + 2 * i, 2);
      out[i] = bf16_to_f32(bits);
    }
    return out;
  }
  /// Pages of the middle that the device has chosen, counted from the sequence's first page, ascending.
  std::vector<int> chosen_of(int row) const {
    const int slots = chosen() + 2, sequence = row / shape_.kv_heads;
    const int count = plan_.middle_pages() ? fetch(counts_, row, 1)[0] - 2 : chosen();
    std::vector<int> out;
    for (int32_t id : fetch(list_, int64_t{row} * slots + 1, count))
      out.push_back(id / shape_.kv_heads - sequence * shape_.pages);
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  void make_arrays() {
    std::vector<int32_t> table, tokens, counts, selected, sequence, position;
    for (int s = 0; s < shape_.sequences; ++s) {
      for (int j = 0; j < shape_.pages; ++j) {
        table.push_back(s * shape_.pages + j);
        sequence.push_back(s);
        position.push_back((j + 1) * shape_.page_tokens - 1);
      }
      tokens.push_back(shape_.pages * shape_.page_tokens - 3);
      counts.push_back(shape_.pages);
      selected.push_back(chosen() + 2);
    }
    for (const auto* values : {&table, &tokens, &counts, &selected, &sequence, &position})
      arrays_.push_back(cuda::to_device(std::span<const int32_t>(*values)));
  }

  const BenchShape shape_;
  const Plan& plan_;
  int copies_ = 1;
  std::vector<cuda::DeviceArray<std::byte>> memory_;
  std::vector<FieldView> views_;
  std::vector<cuda::DeviceArray<int32_t>> arrays_;
  cuda::DeviceArray<std::byte> queries_, states_;
  cuda::DeviceArray<void*> state_pointers_;
  cuda::DeviceArray<int32_t> list_, counts_, nan_;
};

/// What the device has done for one sequence, done again by the interpreter.
class HostSequence {
 public:
  HostSequence(const DeviceStep& device, const Plan& plan, int sequence)
      : device_(device), plan_(plan), sequence_(sequence), queries_(device.queries_of(sequence)) {
    const BenchShape& shape = device.shape();
    for (size_t f = 0; f < plan.fields.size(); ++f) {
      const FieldSpec& spec = plan.fields[f];
      memory_.push_back(device.field_of(f, sequence));
      views_.push_back({memory_.back().data(), spec.page_bytes(), spec.rows, spec.cols, spec.dtype});
    }
    view_ = {views_, shape.kv_heads, shape.page_tokens, shape.page_tokens, 0};
    table_.resize(static_cast<size_t>(shape.pages));
    std::iota(table_.begin(), table_.end(), 0);
    SequencePlan s;
    s.table = table_;
    s.tokens = shape.pages * shape.page_tokens - 3;
    s.pages = shape.pages;
    s.budget = s.selected = device.chosen() + 2;
    s.last_tokens = shape.page_tokens - 3;
    s.state = &state_;
    step_.kv_heads = shape.kv_heads;
    step_.sequences = {s};
  }

  /// Empty, or what differs: pages of one list and not the other must score like the last one chosen.
  std::string compare(CompiledFlow& reference) {
    const BenchShape& shape = device_.shape();
    std::vector<std::vector<float>> scores;
    for (int head = 0; head < shape.kv_heads; ++head)
      scores.push_back(reference.scores(view_, step_, head, queries_.data()));
    PageList list;
    list_reserved_pages(step_, view_, &list);
    if (const Status status = reference.select(view_, step_, queries_.data(), &list); !status.ok())
      return status.error().to_string();
    for (int head = 0; head < shape.kv_heads; ++head) {
      std::vector<int> wanted;
      const auto row = list.row(head);
      for (size_t i = 1; i + 1 < row.size(); ++i) wanted.push_back(row[i] / shape.kv_heads);
      std::sort(wanted.begin(), wanted.end());
      const std::string difference =
          compare_row(wanted, device_.chosen_of(sequence_ * shape.kv_heads + head), scores[static_cast<size_t>(head)]);
      if (!difference.empty()) return fmt::format("sequence {} head {}: {}", sequence_, head, difference);
    }
    return "";
  }

 private:
  std::string compare_row(const std::vector<int>& wanted, const std::vector<int>& got,
                          const std::vector<float>& scores) const {
    const bool fixed = plan_.output().op == Op::kTopK;
    if (fixed && wanted.size() != got.size()) return fmt::format("{} pages, not {}", got.size(), wanted.size());
    float norm = 1, border = INFINITY;
    for (float x : scores) norm = std::max(norm, std::abs(x));
    for (int page : wanted) border = std::min(border, scores[static_cast<size_t>(page)]);
    std::vector<int> different;
    std::set_symmetric_difference(wanted.begin(), wanted.end(), got.begin(), got.end(), std::back_inserter(different));
    for (int page : different)
      if (page < 0 || page >= static_cast<int>(scores.size()) ||
          !(std::abs(scores[static_cast<size_t>(page)] - border) <= norm * 0x1p-4f))
        return fmt::format("page {} in one list alone", page);
    return "";
  }

  const DeviceStep& device_;
  const Plan& plan_;
  const int sequence_;
  std::vector<float> queries_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<FieldView> views_;
  PageView view_;
  std::vector<SlabId> table_;
  SequenceState state_;
  StepPlan step_;
};

}  // namespace vortex::flow
