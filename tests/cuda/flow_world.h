// A World of the oracle tests on the GPU: its pages, tables and queries copied there, what the kernels did copied back.
#pragma once

#include <cuda_runtime_api.h>

#include <vector>

#include "device/cuda/memory.h"
#include "device/cuda/step_views.h"
#include "flow/backends/cuda/cuda_flow.h"
#include "flow/flow_testing.h"

namespace vortex::flow {

/// The limits that fit a world.
inline CudaFlowLimits limits_of(const WorldShape& shape) {
  CudaFlowLimits limits;
  limits.sequences = static_cast<int>(shape.tokens.size());
  for (int tokens : shape.tokens)
    limits.max_pages = std::max<int64_t>(limits.max_pages, (tokens + shape.page_tokens - 1) / shape.page_tokens);
  limits.kv_heads = shape.kv_heads;
  limits.page_tokens = shape.page_tokens;
  limits.pages_per_slab = shape.pages_per_slab;
  limits.reserved_bos = shape.bos;
  limits.reserved_eos = shape.eos;
  return limits;
}

/// Rounds the queries as the device reads them.
inline void round_queries(World* world) {
  for (float& x : world->queries) x = round_to_bf16(x);
}

class DeviceWorld {
 public:
  explicit DeviceWorld(World& world) : world_(world) {
    for (const auto& bytes : world.memory) fields_.push_back(cuda::to_device(std::span<const std::byte>(bytes)));
    for (size_t f = 0; f < fields_.size(); ++f) {
      views_.push_back(world.view.fields[f]);
      views_.back().base = fields_[f].data();
    }
    view = world.view;
    view.fields = views_;
    make_step();
    std::vector<uint16_t> q;
    for (float x : world.queries) q.push_back(f32_to_bf16(x));
    queries_ = cuda::to_device(std::span<const uint16_t>(q));
  }

  const __nv_bfloat16* queries() const { return reinterpret_cast<const __nv_bfloat16*>(queries_.data()); }

  /// Every token of the world, as a prompt's.
  cuda::TokenView all_tokens() {
    std::vector<int32_t> sequence, position;
    for (size_t s = 0; s < world_.shape.tokens.size(); ++s)
      for (int t = 0; t < world_.shape.tokens[s]; ++t) {
        sequence.push_back(static_cast<int32_t>(s));
        position.push_back(t);
      }
    token_sequence_ = cuda::to_device(std::span<const int32_t>(sequence));
    token_position_ = cuda::to_device(std::span<const int32_t>(position));
    return {token_sequence_.data(), token_position_.data(), static_cast<int32_t>(sequence.size())};
  }

  /// A list with the reserved pages in place, as the step's plan makes it.
  cuda::ListView upload(const PageList& list) {
    const int rows = list.rows();
    stride_ = 1;
    for (int row = 0; row < rows; ++row) stride_ = std::max(stride_, list.row_pages(row));
    std::vector<int32_t> pages(static_cast<size_t>(rows) * static_cast<size_t>(stride_), -1), counts;
    for (int row = 0; row < rows; ++row) {
      std::copy(list.row(row).begin(), list.row(row).end(), pages.begin() + int64_t{row} * stride_);
      counts.push_back(list.row_pages(row));
    }
    list_pages_ = cuda::to_device(std::span<const int32_t>(pages));
    list_counts_ = cuda::to_device(std::span<const int32_t>(counts));
    return {list_pages_.data(), list_counts_.data(), stride_};
  }
  /// The list as it is on the device now.
  PageList download() const {
    const std::vector<int32_t> pages = to_host(list_pages_), counts = to_host(list_counts_);
    PageList list;
    list.offsets.push_back(0);
    for (size_t row = 0; row < counts.size(); ++row) {
      const auto begin = pages.begin() + static_cast<int64_t>(row) * stride_;
      list.pages.insert(list.pages.end(), begin, begin + counts[row]);
      list.offsets.push_back(static_cast<int32_t>(list.pages.size()));
      list.last_tokens.push_back(0);
    }
    return list;
  }

  /// Copies the declared fields back to the world, or to the device.
  void fetch_fields() {
    for (size_t f = world_.shape.base_fields(); f < fields_.size(); ++f) {
      const std::vector<std::byte> bytes = to_host(fields_[f]);
      std::copy(bytes.begin(), bytes.end(), world_.memory[f].begin());  // in place: the view points there
    }
  }
  void send_fields() {
    for (size_t f = world_.shape.base_fields(); f < fields_.size(); ++f)
      fields_[f] = cuda::to_device(std::span<const std::byte>(world_.memory[f])), views_[f].base = fields_[f].data();
  }

  template <class T>
  static std::vector<T> to_host(const cuda::DeviceArray<T>& array) {
    std::vector<T> out(static_cast<size_t>(array.size()));
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data(), array.data(), static_cast<size_t>(array.bytes()), cudaMemcpyDeviceToHost));
    return out;
  }

  /// Blocks of zeros that keep what the flow saves.
  void* const* make_states(int64_t bytes) {
    std::vector<void*> pointers;
    for (size_t s = 0; s < world_.shape.tokens.size() && bytes > 0; ++s) {
      states_.emplace_back(bytes);
      VORTEX_CUDA_CHECK(cudaMemset(states_.back().data(), 0, static_cast<size_t>(bytes)));
      pointers.push_back(states_.back().data());
    }
    state_pointers_ = cuda::to_device(std::span<void* const>(pointers));
    return state_pointers_.data();
  }

  PageView view;
  cuda::StepView step;

 private:
  void make_step() {
    std::vector<int32_t> tables, tokens, pages, selected, last;
    size_t stride = 1;
    for (const SequencePlan& s : world_.step.sequences) stride = std::max(stride, s.table.size());
    for (const SequencePlan& s : world_.step.sequences) {
      tables.insert(tables.end(), s.table.begin(), s.table.end());
      tables.resize((tables.size() + stride - 1) / stride * stride, -1);
      tokens.push_back(s.tokens);
      pages.push_back(s.pages);
      selected.push_back(s.selected);
      last.push_back(s.last_tokens);
    }
    for (const auto* values : {&tables, &tokens, &pages, &selected, &last})
      arrays_.push_back(cuda::to_device(std::span<const int32_t>(*values)));
    step.tables = arrays_[0].data();
    step.table_stride = static_cast<int32_t>(stride);
    step.tokens = arrays_[1].data();
    step.pages = arrays_[2].data();
    step.selected = arrays_[3].data();
    step.last_tokens = arrays_[4].data();
    step.decodes = static_cast<int32_t>(tokens.size());
    step.kv_heads = world_.shape.kv_heads;
    step.page_tokens = world_.shape.page_tokens;
    step.pages_per_slab = world_.shape.pages_per_slab;
    step.reserved_bos = world_.shape.bos;
    step.reserved_eos = world_.shape.eos;
  }

  World& world_;
  std::vector<cuda::DeviceArray<std::byte>> fields_, states_;
  std::vector<FieldView> views_;
  std::vector<cuda::DeviceArray<int32_t>> arrays_;
  cuda::DeviceArray<uint16_t> queries_;
  cuda::DeviceArray<int32_t> token_sequence_, token_position_, list_pages_, list_counts_;
  cuda::DeviceArray<void*> state_pointers_;
  int32_t stride_ = 0;
};

/// Whether this machine has a GPU.
inline bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

}  // namespace vortex::flow
