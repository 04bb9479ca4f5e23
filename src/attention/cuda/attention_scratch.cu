#include <algorithm>
#include <string>
#include <utility>

#include "attention/cuda/decode_arguments.h"
#include "attention/cuda/plan_step.h"

namespace vortex::cuda {
namespace {

constexpr int kLatentHeads = 64;  // query heads that a block of the latent kernel takes
constexpr int kWidestRow = 256;   // of a value that is not latent

bool is_latent(const AttentionScratch::Limits& limits) { return limits.value_dim > kWidestRow; }

int head_blocks(const AttentionScratch::Limits& limits) { return (limits.group + kLatentHeads - 1) / kLatentHeads; }

/// Pieces that run at the same time: what the blocks of the tuned kernels leave room for.
int slots_of(const AttentionScratch::Limits& limits) {
  if (!is_latent(limits)) return 2 * limits.multiprocessors;
  return std::max(1, limits.multiprocessors / head_blocks(limits));
}

struct WorkMemory {
  DeviceArray<int32_t> row, first, pages, pieces, start, total;

  WorkMemory() = default;
  WorkMemory(int rows, int capacity)
      : row(capacity), first(capacity), pages(capacity), pieces(rows), start(rows), total(1) {}
  WorkList view() const {
    return {row.data(),
            first.data(),
            pages.data(),
            pieces.data(),
            start.data(),
            total.data(),
            static_cast<int32_t>(row.size())};
  }
};

struct ListMemory {
  DeviceArray<int32_t> pages, counts;
  WorkMemory work;
  int32_t stride = 0;

  ListMemory() = default;
  ListMemory(int rows, int64_t row_pages, int slots)
      : pages(rows * row_pages),
        counts(rows),
        work(rows, most_pieces(rows, slots)),
        stride(static_cast<int32_t>(row_pages)) {}
  ListView view() const { return {pages.data(), counts.data(), stride}; }
};

DeviceArray<int32_t> zeros(int64_t size) {
  DeviceArray<int32_t> out(size);
  VORTEX_CUDA_CHECK(cudaMemset(out.data(), 0, static_cast<size_t>(out.bytes())));
  return out;
}

}  // namespace

struct AttentionScratch::Memory {
  ListMemory all, window, selected;
  DeviceArray<int32_t> skip, arrived, queue;
  DeviceArray<float> out;
  DeviceArray<float2> stats;

  explicit Memory(const Limits& limits) {
    const int rows = limits.sequences * limits.kv_heads, slots = slots_of(limits);
    const int64_t pages = (limits.max_length + limits.page_tokens - 1) / limits.page_tokens;
    const int64_t window_pages = std::min(pages, int64_t{limits.window} / limits.page_tokens + 2);
    all = ListMemory(rows, pages, slots);
    if (limits.window > 0) window = ListMemory(rows, window_pages, slots);
    if (limits.sparse) selected = ListMemory(rows, pages, slots);
    skip = DeviceArray<int32_t>(limits.sequences);
    arrived = zeros(int64_t{rows} * head_blocks(limits));
    queue = zeros(2);
    const int64_t parts = int64_t{most_pieces(rows, slots)} * limits.group;
    out = DeviceArray<float>(parts * limits.value_dim);
    stats = DeviceArray<float2>(parts);
  }
};

AttentionScratch::AttentionScratch(const Limits& limits) : limits_(limits), memory_(std::make_unique<Memory>(limits)) {
  const Memory& m = *memory_;
  lists_ = {m.all.view(),      m.window.view(),      m.selected.view(),     m.skip.data(),
            m.all.work.view(), m.window.work.view(), m.selected.work.view()};
}

AttentionScratch::~AttentionScratch() = default;

void AttentionScratch::plan_step(const StepView& step, cudaStream_t stream) {
  plan_lists(step, lists_,
             {.window = limits_.window, .sparse = limits_.sparse, .slots = slots_of(limits_), .least_tokens = 64},
             stream);
}

void AttentionScratch::decode(const AttentionLayer& layer, const StepView& step, const ListView& list,
                              const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream) {
  if (step.decodes == 0) return;
  const bool window = list.pages == lists_.window.pages, all = list.pages == lists_.all.pages;
  const Memory& m = *memory_;
  const DecodeArguments arguments{
      .layer = layer,
      .step = step,
      .list = list,
      .work = all      ? lists_.all_work
              : window ? lists_.window_work
                       : lists_.selected_work,
      .skip = window ? lists_.window_skip : nullptr,
      .short_rows = !all,
      .partials = {m.out.data(), m.stats.data(), m.arrived.data(), m.queue.data()},
      .q = q,
      .out = out,
  };
  const int slots = slots_of(limits_);
  if (!decode_gqa(arguments, slots, stream) && !decode_latent(arguments, slots, stream))
    decode_generic(arguments, stream);
}

void prefill(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
             int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream) {
  if (count == 0) return;
  if (prefill_gqa(layer, step, slices, count, most_tokens, q, out, stream)) return;
  if (prefill_latent(layer, step, slices, count, most_tokens, q, out, stream)) return;
  prefill_generic(layer, step, slices, count, most_tokens, q, out, stream);
}

Status check_layer(const AttentionLayer& layer, int page_tokens) {
  const auto refuse = [](std::string what) {
    return Error{ErrorCode::kUnsupported, "attention on CUDA", std::move(what), ""};
  };
  if (layer.kv_dtype != DType::kBF16 && layer.kv_dtype != DType::kF8E4M3)
    return refuse("K and V are bfloat16 or float8_e4m3, not " + std::string(dtype_info(layer.kv_dtype).name));
  if (page_tokens < 1 || page_tokens > 128) return refuse("pages hold 1 to 128 tokens");
  if (layer.head_dim < 1 || layer.value_dim < 1 || layer.head_dim > 1024 || layer.value_dim > 1024)
    return refuse("heads are 1 to 1024 wide");
  if (!layer.latent && layer.head_dim != layer.value_dim) return refuse("keys and values differ in width");
  return {};
}

}  // namespace vortex::cuda
