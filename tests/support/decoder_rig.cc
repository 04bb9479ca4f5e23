#include "support/decoder_rig.h"

#include "model/kv_fields.h"

namespace vortex::testing {

DecoderRig::DecoderRig(const std::string& model_path, RigBackend backend, DType kv_dtype, int page_tokens,
                       int64_t max_tokens, std::optional<DType> quantize, comm::Communicator* ranks,
                       std::span<const FieldSpec> flow_fields) {
  files_ = ModelFiles::open(model_path).value();
  if (ranks != nullptr) {
    VORTEX_CHECK(files_->split(ranks->rank(), ranks->size()).ok());
    group_ = std::make_unique<model::RankGroup>(ranks, *files_);
  }
  const bool reference = backend == RigBackend::kReference;
  dense_ = reference ? kernels::make_ref_dense_ops() : kernels::make_cpu_dense_ops(&pool_);
  attention_ = reference ? attention::make_ref_attention_ops() : attention::make_cpu_attention_ops(&pool_);
  std::optional<model::Quantization> quantization;
  if (quantize) quantization = {*quantize, &pool_};
  decoder_ = model::Decoder::load(*files_, {dense_.get(), attention_.get(), group_.get()}, quantization).value();
  device_ = device::make_cpu_device();
  runner_ = std::make_unique<model::CpuRunner>(decoder_.get(), attention_.get(), device_.get(), kv_dtype, group_.get());
  kv::KvLayout layout{.kv_heads = config().kv_heads, .slab_tokens = page_tokens, .page_tokens = page_tokens};
  layout.layer_fields.assign(static_cast<size_t>(config().layers), model::kv_fields(config(), page_tokens, kv_dtype));
  for (auto& fields : layout.layer_fields) fields.insert(fields.end(), flow_fields.begin(), flow_fields.end());
  const auto slabs = static_cast<int32_t>(max_tokens / page_tokens);
  store_ = kv::KvStore::create(layout, slabs, device_.get()).value();
  for (int i = 0; i < config().layers; ++i) views_.push_back(store_->layer(i));
  VORTEX_CHECK(runner_->prepare({}, views_, {}).ok());
  allocator_ = std::make_unique<kv::SlabAllocator>(slabs);
  table_ = std::make_unique<kv::SequenceTable>(allocator_.get(), page_tokens);
}

std::vector<std::vector<float>> DecoderRig::prefill(std::span<const int32_t> ids, int64_t wanted) {
  return run(ids, wanted, /*decode=*/false);
}

std::vector<float> DecoderRig::decode(int32_t id) { return run({&id, 1}, 1, /*decode=*/true)[0]; }

void DecoderRig::restart() {
  table_->clear();
  length_ = 0;
}

void DecoderRig::select_by(flow::CompiledFlow* flow, int32_t budget, model::SelectionHook* hook) {
  const model::Sparsity sparsity{flow, std::vector<bool>(static_cast<size_t>(config().layers), true)};
  VORTEX_CHECK(runner_->prepare({}, views_, sparsity).ok());
  budget_ = budget;
  hook_ = hook;
}

void DecoderRig::watch(const std::atomic<int64_t>* counter, int64_t* grown) {
  counter_ = counter;
  grown_ = grown;
}

std::vector<std::vector<float>> DecoderRig::run(std::span<const int32_t> ids, int64_t wanted, bool decode) {
  const auto count = static_cast<int64_t>(ids.size());
  VORTEX_CHECK(table_->reserve(length_ + count));
  model::Batch batch;
  batch.ids.assign(ids.begin(), ids.end());
  for (int64_t i = 0; i < count; ++i) batch.positions.push_back(static_cast<int32_t>(length_ + i));
  batch.slices.push_back({table_->slabs(), length_, count});
  batch.plan.kv_heads = config().kv_heads;
  for (int64_t i = count - wanted; i < count; ++i) batch.logit_tokens.push_back(i);
  if (decode) {
    const auto page = views_[0].page_tokens;
    const auto tokens = static_cast<int32_t>(length_ + 1), pages = (tokens + page - 1) / page;
    batch.decodes = 1;
    const int32_t selected = budget_ > 0 ? std::min(budget_, pages) : pages;
    batch.plan.sequences.push_back({table_->slabs(), tokens, pages, selected, selected, tokens - (pages - 1) * page});
  }
  const auto vocab = static_cast<size_t>(config().vocab_size);
  std::vector<float> logits(static_cast<size_t>(wanted) * vocab);
  const int64_t before = counter_ == nullptr ? 0 : counter_->load();
  VORTEX_CHECK(runner_->launch(batch, hook_).ok());
  const auto result = runner_->finish(logits.data());
  VORTEX_CHECK(result.ok() && (*result)->failures.empty());
  if (counter_ != nullptr) *grown_ += counter_->load() - before;
  length_ += count;
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < static_cast<size_t>(wanted); ++i)
    rows.emplace_back(logits.begin() + static_cast<int64_t>(i * vocab),
                      logits.begin() + static_cast<int64_t>((i + 1) * vocab));
  return rows;
}

}  // namespace vortex::testing
