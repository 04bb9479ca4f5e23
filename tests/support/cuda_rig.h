// One sequence on the GPU, driven by hand: for tests that look at logits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flow/flow.h"
#include "kv/index/sequence_table.h"
#include "kv/store/kv_store.h"
#include "model/cuda/cuda_runner.h"
#include "model/kv_fields.h"

namespace vortex::testing {

using Rows = std::vector<std::vector<float>>;

struct CudaRigOptions {
  DType kv_dtype = DType::kBF16;
  int page_tokens = 16;
  int64_t max_tokens = 4096;
  flow::CompiledFlow* flow = nullptr;  // selects pages in all layers; outlives the rig
  int32_t budget = 0;                  // pages it selects
  // Both or none: the rig is one of several that hold a share each, all driven alike. Rank 0's gives the logits, the
  // others' zeros.
  comm::Communicator* ranks = nullptr;
  std::unique_ptr<cuda::DeviceCommunicator> device;
};

class CudaRig {
 public:
  explicit CudaRig(const std::string& path) : CudaRig(path, CudaRigOptions{}) {}
  CudaRig(const std::string& path, CudaRigOptions options)
      : files_(files_of(path, options.ranks)),
        runner_(cuda::open_first_device().value(), *files_, options.kv_dtype, std::move(options.device)),
        allocator_(static_cast<int32_t>(options.max_tokens / options.page_tokens)),
        table_(&allocator_, options.page_tokens),
        budget_(options.budget) {
    const int page_tokens = options.page_tokens;
    kv::KvLayout layout{.kv_heads = config().kv_heads, .slab_tokens = page_tokens, .page_tokens = page_tokens};
    auto fields = model::kv_fields(config(), page_tokens, options.kv_dtype);
    model::Sparsity sparsity;
    if (options.flow != nullptr) {
      const auto own = options.flow->fields();
      fields.insert(fields.end(), own.begin(), own.end());
      sparsity.flow = options.flow;
      sparsity.layers.assign(static_cast<size_t>(config().layers), true);
    }
    layout.layer_fields.assign(static_cast<size_t>(config().layers), fields);
    store_ = kv::KvStore::create(layout, allocator_.capacity(), runner_.device()).value();
    for (int i = 0; i < config().layers; ++i) views_.push_back(store_->layer(i));
    const model::RunnerLimits limits{
        .sequences = 4, .batched_tokens = options.max_tokens, .max_length = options.max_tokens};
    const Status ready = runner_.prepare(limits, views_, sparsity);
    VORTEX_CHECK(ready.ok(), "{}", ready.error().to_string());
  }

  const ModelConfig& config() const { return runner_.config(); }

  Rows prefill(std::span<const int32_t> ids, int64_t wanted) { return run(ids, wanted, false); }
  std::vector<float> decode(int32_t id) { return run({&id, 1}, 1, true)[0]; }
  /// The same where it may fail; what it computes is not looked at.
  Status try_decode(int32_t id) {
    VORTEX_RETURN_IF_ERROR(runner_.launch(next_batch({&id, 1}, 0, true), nullptr));
    const auto finished = runner_.finish(nullptr);
    return finished.ok() ? Status() : Status(finished.error());
  }
  /// Greedy tokens after `first`, each drawn on the GPU, which alone knows it when the next step is launched.
  std::vector<int32_t> decode_ahead(int32_t first, int count) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < count; ++i) {
      model::Batch batch = next_batch({&first, 1}, 1, true);
      batch.draws.push_back({.on_device = true});
      if (i > 0) batch.draw_of.push_back(0);
      launch(batch);
      if (i > 0) take_token(&tokens);
    }
    take_token(&tokens);
    return tokens;
  }
  /// Of the last step that was waited for.
  const model::StepResult& result() const { return *result_; }
  void restart() {
    table_.clear();
    length_ = 0;
  }

 private:
  static std::unique_ptr<ModelFiles> files_of(const std::string& path, comm::Communicator* ranks) {
    auto files = ModelFiles::open(path).value();
    if (ranks != nullptr) VORTEX_CHECK(files->split(ranks->rank(), ranks->size()).ok());
    return files;
  }

  model::Batch next_batch(std::span<const int32_t> ids, int64_t wanted, bool decode) {
    const auto count = static_cast<int64_t>(ids.size());
    VORTEX_CHECK(table_.reserve(length_ + count));
    model::Batch batch;
    batch.ids.assign(ids.begin(), ids.end());
    for (int64_t i = 0; i < count; ++i) batch.positions.push_back(static_cast<int32_t>(length_ + i));
    batch.slices.push_back({table_.slabs(), length_, count});
    batch.plan.kv_heads = config().kv_heads;
    for (int64_t i = count - wanted; i < count; ++i) batch.logit_tokens.push_back(i);
    length_ += count;
    if (!decode) return batch;
    const int page = views_[0].page_tokens;
    const auto tokens = static_cast<int32_t>(length_), pages = (tokens + page - 1) / page;
    const int32_t selected = budget_ > 0 ? std::min(budget_, pages) : pages;
    batch.decodes = 1;
    batch.plan.sequences.push_back({table_.slabs(), tokens, pages, selected, selected, tokens - (pages - 1) * page});
    return batch;
  }

  void launch(const model::Batch& batch) {
    const Status launched = runner_.launch(batch, nullptr);
    VORTEX_CHECK(launched.ok(), "{}", launched.error().to_string());
  }

  void finish(float* logits) {
    const auto finished = runner_.finish(logits);
    VORTEX_CHECK(finished.ok(), "{}", finished.error().to_string());
    result_ = *finished;
  }

  void take_token(std::vector<int32_t>* tokens) {
    finish(nullptr);
    tokens->insert(tokens->end(), result_->tokens.begin(), result_->tokens.end());
  }

  Rows run(std::span<const int32_t> ids, int64_t wanted, bool decode) {
    const auto vocab = static_cast<size_t>(config().vocab_size);
    std::vector<float> logits(static_cast<size_t>(wanted) * vocab);
    launch(next_batch(ids, wanted, decode));
    finish(logits.data());
    Rows rows;
    for (size_t i = 0; i < static_cast<size_t>(wanted); ++i)
      rows.emplace_back(logits.begin() + static_cast<int64_t>(i * vocab),
                        logits.begin() + static_cast<int64_t>((i + 1) * vocab));
    return rows;
  }

  std::unique_ptr<ModelFiles> files_;
  cuda::CudaRunner runner_;
  std::unique_ptr<kv::KvStore> store_;
  std::vector<PageView> views_;
  kv::SlabAllocator allocator_;
  kv::SequenceTable table_;
  int64_t length_ = 0;
  int32_t budget_ = 0;  // 0: dense
  const model::StepResult* result_ = nullptr;
};

}  // namespace vortex::testing
