#include "model/cuda/cuda_runner.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/flow.h"
#include "tensor/sequence_state.h"

namespace vortex::cuda {
namespace {

constexpr int64_t kReserve = int64_t{1} << 30;  // for the driver, libraries and graphs
constexpr int64_t kBatchStep = 8;

/// Memory of what a sequence saves, zero at its start, freed with the sequence.
std::shared_ptr<void> make_state(int64_t bytes) {
  auto block = std::make_shared<DeviceArray<std::byte>>(bytes);
  VORTEX_CUDA_CHECK(cudaMemset(block->data(), 0, static_cast<size_t>(bytes)));
  return {block, block->data()};
}

}  // namespace

int padded_decodes(int64_t decodes, int most) {
  int64_t size = 1;
  while (size < decodes) size = size < kBatchStep ? size * 2 : size + kBatchStep;
  return static_cast<int>(std::min<int64_t>(size, most));
}

CudaRunner::CudaRunner(const DeviceProperties& properties, ModelFiles& files, DType kv_dtype,
                       std::unique_ptr<DeviceCommunicator> ranks, int sharers)
    : properties_(properties),
      device_(make_cuda_device()),
      kv_dtype_(kv_dtype),
      sharers_(sharers),
      ranks_(ranks == nullptr ? nullptr : std::make_unique<CudaRanks>(std::move(ranks), files)),
      model_(files, ranks_.get()),
      stream_(make_stream()) {}

/// Nothing may be freed under a step that runs.
CudaRunner::~CudaRunner() { cudaStreamSynchronize(stream_.get()); }

int64_t CudaRunner::page_memory(const model::RunnerLimits& limits, double fraction) const {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  const auto ours =
      (static_cast<int64_t>(fraction * static_cast<double>(total)) - static_cast<int64_t>(total - free)) / sharers_;
  const int64_t gathered = ranks_ == nullptr ? 0 : ranks_->bytes(limits.sequences, limits.sequences);
  const int64_t logits = int64_t{limits.sequences} * config().vocab_size * 8 + gathered;
  const int64_t lists = int64_t{limits.sequences} * config().kv_heads * (limits.max_length / 4);
  const int64_t step = model_.step_bytes(limits.batched_tokens + limits.sequences, limits.max_length);
  return std::max<int64_t>(ours - logits - lists - step - kReserve, 1);
}

Status CudaRunner::prepare(const model::RunnerLimits& limits, std::span<const PageView> pages,
                           const model::Sparsity& sparsity) {
  return guard([&]() -> Status {
    limits_ = limits;
    pages_.assign(pages.begin(), pages.end());
    VORTEX_RETURN_IF_ERROR(model_.check_attention(pages_));
    const PageView& first = pages_.front();
    model_.prepare(limits.batched_tokens + limits.sequences, limits.max_length);
    buffers_ = std::make_unique<StepBuffers>(limits, first);
    const ModelConfig& c = config();
    attention_ = std::make_unique<AttentionScratch>(
        AttentionScratch::Limits{.sequences = limits.sequences,
                                 .max_length = limits.max_length,
                                 .kv_heads = c.kv_heads,
                                 .group = c.heads / c.kv_heads,
                                 .page_tokens = first.page_tokens,
                                 .value_dim = c.latent() ? c.mla.kv_lora_rank : c.head_dim,
                                 .window = c.sliding_window,
                                 .sparse = sparsity.flow != nullptr,
                                 .multiprocessors = properties_.multiprocessors});
    nan_sequences_ = DeviceArray<int32_t>(limits.sequences);
    pages_read_ = DeviceArray<unsigned long long>(limits.sequences);
    if (ranks_ != nullptr) ranks_->prepare(limits.sequences);
    if (sparsity.flow != nullptr) VORTEX_RETURN_IF_ERROR(compile(sparsity));
    reserve_logits(limits.sequences);
    for (Flight& flight : flights_) {
      flight.nan_sequences = PinnedArray<int32_t>(rank_count() * limits.sequences);
      flight.pages = PinnedArray<unsigned long long>(rank_count() * limits.sequences);
      flight.done = make_event();
    }
    VORTEX_CUDA_CHECK(cudaDeviceSynchronize());
    return {};
  });
}

Status CudaRunner::compile(const model::Sparsity& sparsity) {
  plan_ = &sparsity.flow->plan();
  const PageView& first = pages_.front();
  flow::CudaFlowLimits limits;
  limits.sequences = limits_.sequences;
  limits.max_pages = (limits_.max_length + first.page_tokens - 1) / first.page_tokens;
  limits.kv_heads = first.kv_heads;
  limits.page_tokens = first.page_tokens;
  limits.pages_per_slab = first.pages_per_slab();
  limits.reserved_bos = limits_.reserved_bos;
  limits.reserved_eos = limits_.reserved_eos;
  limits.layers = config().layers;
  VORTEX_ASSIGN_OR_RETURN(flow_, flow::CudaFlow::compile(*plan_, limits));
  const bool planned = plan_->fixed_count();
  sparse_ = {flow_.get(), sparsity.layers, nan_sequences_.data(), planned ? nullptr : pages_read_.data()};
  rows_per_sequence_ = std::ranges::count(sparsity.layers, true) * whole().kv_heads;
  return {};
}

/// More rows than sequences come with the log-probabilities of prompts only. Graphs know the old addresses.
void CudaRunner::reserve_logits(int rows) {
  if (rows <= logit_rows_) return;
  VORTEX_CUDA_CHECK(cudaDeviceSynchronize());
  graphs_.clear();
  const int vocab = config().vocab_size;
  if (ranks_ != nullptr) ranks_->reserve_logits(rows);
  if (leads()) logits_ = DeviceArray<float>(int64_t{rows} * vocab);
  DeviceArray<int32_t> drawn(rows);
  if (logit_rows_ > 0)
    VORTEX_CUDA_CHECK(cudaMemcpy(drawn.data(), drawn_.data(), static_cast<size_t>(logit_rows_) * sizeof(int32_t),
                                 cudaMemcpyDeviceToDevice));
  drawn_ = std::move(drawn);
  if (leads()) draw_ = std::make_unique<DrawScratch>(rows, vocab);
  logit_rows_ = rows;
}

Status CudaRunner::launch(const model::Batch& batch, model::SelectionHook* hook) {
  VORTEX_CHECK(in_flight_ < depth(), "{} steps are in flight", in_flight_);
  if (hook != nullptr)
    return Error{ErrorCode::kUnsupported, "--device cuda", "selections cannot be recorded or replaced on the GPU",
                 "use --device cpu for this"};
  return guard([&]() -> Status {
    launch_step(batch);
    return {};
  });
}

void CudaRunner::launch_step(const model::Batch& batch) {
  const bool decodes_only = batch.tokens() == batch.decodes;
  const int decodes = decodes_only ? padded_decodes(batch.decodes, limits_.sequences) : static_cast<int>(batch.decodes);
  reserve_logits(static_cast<int>(batch.logit_tokens.size()));
  buffers_->upload(batch, decodes, state_blocks(batch), stream_.get());
  {
    const auto held = ranks_ != nullptr ? ranks_->device().hold() : std::unique_lock<std::timed_mutex>();
    run(decodes_only ? decodes : 0);
  }
  Flight& flight = flights_[(oldest_ + in_flight_) % 2];
  note_flight(batch, &flight);
  bring_back(&flight);
  ++in_flight_;
}

std::vector<void*> CudaRunner::state_blocks(const model::Batch& batch) const {
  std::vector<void*> blocks;
  if (flow_ == nullptr || flow_->state_bytes() == 0) return blocks;
  for (const SequencePlan& sequence : batch.plan.sequences) {
    std::shared_ptr<void>& block = sequence.state->on_device();
    if (block == nullptr) block = make_state(flow_->state_bytes());
    blocks.push_back(block.get());
  }
  return blocks;
}

void CudaRunner::note_flight(const model::Batch& batch, Flight* flight) const {
  flight->rows = static_cast<int>(batch.logit_tokens.size());
  flight->decodes = batch.decodes;
  flight->padded_decodes = buffers_->step().decodes;
  flight->on_host.assign(static_cast<size_t>(flight->rows), true);
  for (size_t i = 0; i < batch.draws.size(); ++i) flight->on_host[i] = !batch.draws[i].on_device;
  flight->pages_read.clear();
  for (const SequencePlan& sequence : batch.plan.sequences)
    flight->pages_read.push_back(rows_per_sequence_ * sequence.selected);
}

ForwardStep CudaRunner::forward_step() const {
  return {buffers_.get(), pages_, attention_.get(), sparse_, drawn_.data(), stream_.get()};
}

/// The first run of a size is not captured: libraries choose their algorithms in it. `bucket` 0: not a size of decodes.
void CudaRunner::run(int bucket) {
  if (bucket == 0 || (ranks_ != nullptr && !ranks_->device().capturable())) return queue();
  Warmth& warmth = graphs_[bucket];
  if (++warmth.runs == 1) return queue();
  if (warmth.graph == nullptr) warmth.graph = capture(stream_.get(), [&] { queue(); });
  VORTEX_CUDA_CHECK(cudaGraphLaunch(warmth.graph.get(), stream_.get()));
}

void CudaRunner::queue() {
  const auto clear = [&](auto& array) {
    VORTEX_CUDA_CHECK(cudaMemsetAsync(array.data(), 0, static_cast<size_t>(array.bytes()), stream_.get()));
  };
  if (flow_ != nullptr) clear(nan_sequences_);
  if (sparse_.pages != nullptr) clear(pages_read_);
  model_.forward(forward_step(), ranks_ != nullptr ? ranks_->logit_part() : logits_.data());
  if (ranks_ != nullptr) collect();
  if (buffers_->rows() > 0) draw();
}

void CudaRunner::collect() {
  if (buffers_->rows() > 0) ranks_->gather_logits(buffers_->rows(), logits_.data(), stream_.get());
  const int32_t decodes = buffers_->step().decodes;
  if (flow_ != nullptr && decodes > 0)
    ranks_->gather_reports(nan_sequences_.data(), sparse_.pages, decodes, stream_.get());
}

/// On rank 0. The others embed the same tokens in the next step.
void CudaRunner::draw() {
  const int rows = buffers_->rows();
  if (leads()) draw_->run(logits_.data(), buffers_->draws(), rows, config().vocab_size, drawn_.data(), stream_.get());
  if (ranks_ != nullptr)
    ranks_->device().broadcast(drawn_.data(), rows * static_cast<int64_t>(sizeof(int32_t)), stream_.get());
}

void CudaRunner::bring_back(Flight* flight) {
  const auto copy = [&](auto& to, const auto& from, int64_t count) {
    using T = std::remove_pointer_t<decltype(to.data())>;
    if (count > 0)
      VORTEX_CUDA_CHECK(cudaMemcpyAsync(to.data(), from.data(), static_cast<size_t>(count) * sizeof(T),
                                        cudaMemcpyDeviceToHost, stream_.get()));
  };
  if (flight->tokens.size() < flight->rows) flight->tokens = PinnedArray<int32_t>(std::max(flight->rows, logit_rows_));
  copy(flight->tokens, drawn_, flight->rows);
  if (ranks_ == nullptr) {
    if (flow_ != nullptr) copy(flight->nan_sequences, nan_sequences_, flight->decodes);
    if (sparse_.pages != nullptr) copy(flight->pages, pages_read_, flight->decodes);
  } else if (leads()) {
    const int64_t reports = rank_count() * flight->padded_decodes;
    if (flow_ != nullptr) copy(flight->nan_sequences, ranks_->nan_sequences(), reports);
    if (sparse_.pages != nullptr) copy(flight->pages, ranks_->pages(), reports);
  }
  VORTEX_CUDA_CHECK(cudaEventRecord(flight->done.get(), stream_.get()));
}

Result<const model::StepResult*> CudaRunner::finish(float* logits) {
  VORTEX_CHECK(in_flight_ > 0, "no step is in flight");
  return guard([&]() -> Result<const model::StepResult*> {
    Flight& flight = flights_[oldest_];
    const cudaError_t ended = cudaEventSynchronize(flight.done.get());
    if (ranks_ != nullptr) VORTEX_RETURN_IF_ERROR(ranks_->device().status());
    check(ended, "a step");
    fill_result(&flight, logits);
    oldest_ = 1 - oldest_;
    --in_flight_;
    return &flight.result;
  });
}

void CudaRunner::fill_result(Flight* flight, float* logits) {
  model::StepResult& result = flight->result;
  result.clear(flight->decodes);
  if (!leads()) return;
  result.tokens.assign(flight->tokens.data(), flight->tokens.data() + flight->rows);
  const auto vocab = static_cast<size_t>(config().vocab_size);
  for (size_t row = 0; row < flight->on_host.size(); ++row) {
    if (!flight->on_host[row]) continue;
    result.tokens[row] = model::kHostLogits;
    VORTEX_CUDA_CHECK(
        cudaMemcpy(logits + row * vocab, logits_.data() + row * vocab, vocab * sizeof(float), cudaMemcpyDeviceToHost));
  }
  for (int64_t i = 0; i < flight->decodes; ++i) fill_decode(*flight, i, &result);
}

/// Of all ranks: the pages read, and the first whose flow failed.
void CudaRunner::fill_decode(const Flight& flight, int64_t decode, model::StepResult* result) const {
  int64_t& pages = result->pages_read[static_cast<size_t>(decode)];
  if (sparse_.pages == nullptr) pages = flight.pages_read[static_cast<size_t>(decode)];
  for (int rank = 0; rank < rank_count(); ++rank) {
    const int64_t at = rank * flight.padded_decodes + decode;
    if (sparse_.pages != nullptr && (ranks_ == nullptr || ranks_->counts(rank)))
      pages += static_cast<int64_t>(flight.pages.data()[at]);
    if (flow_ == nullptr || flight.nan_sequences.data()[at] == 0) continue;
    result->failures.push_back({static_cast<int>(decode),
                                {ErrorCode::kInternal, "flow " + plan_->graph.name, "the score of a page is NaN",
                                 "the query or the flow's arithmetic is not finite"}});
    break;
  }
}

/// As many tokens at once as a step has room for.
void CudaRunner::fill_synthetic(std::span<const SlabId> table, int64_t count) {
  uint32_t seed = 1;
  for (int64_t first = 0; first < count; first += limits_.batched_tokens) {
    const int64_t tokens = std::min(limits_.batched_tokens, count - first);
    model::Batch batch;
    batch.slices.push_back({table, first, tokens});
    for (int64_t i = first; i < first + tokens; ++i) {
      batch.ids.push_back(0);
      batch.positions.push_back(static_cast<int32_t>(i));
    }
    buffers_->upload(batch, 0, {}, stream_.get());
    for (size_t layer = 0; layer < pages_.size(); ++layer) {
      const PageView& pages = pages_[layer];
      for (size_t field = 0; field < (config().latent() ? 1u : 2u); ++field)
        store_noise(buffers_->step(), buffers_->tokens(), field_pointer(pages, field), kv_dtype_,
                    pages.fields[field].cols, seed++, stream_.get());
      if (flow_ != nullptr && sparse_.layers[layer])
        flow_->update(pages, buffers_->step(), buffers_->tokens(), stream_.get());
    }
    seed = 1;
  }
}

}  // namespace vortex::cuda
