#include "engine/engine_core.h"

#include <algorithm>

#include "base/cpu_features.h"
#include "base/log.h"
#include "engine/flow_setup.h"
#include "engine/step_plan.h"
#include "engine/synthetic_context.h"

namespace vortex {
namespace {

constexpr int kDefaultBlockSize = 16;

}  // namespace

Result<std::unique_ptr<EngineCore>> EngineCore::create(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                                       const text::Tokenizer* tokenizer) {
  std::unique_ptr<EngineCore> core(new EngineCore);
  // Before the weights, which may take a minute to load.
  if (options.vortex) {
    VORTEX_RETURN_IF_ERROR(load_flow(*options.vortex));
    VORTEX_ASSIGN_OR_RETURN(core->budget_, PageBudget::create(*options.vortex));
  }
  core->options_ = options;
  core->tokenizer_ = tokenizer;
  VORTEX_ASSIGN_OR_RETURN(core->model_, LoadedModel::load(options, std::move(files)));
  core->eos_ids_.assign(core->config().eos_ids.begin(), core->config().eos_ids.end());
  VORTEX_RETURN_IF_ERROR(core->compile_flow());
  VORTEX_RETURN_IF_ERROR(core->set_limits());
  VORTEX_RETURN_IF_ERROR(core->allocate_pages());
  return core;
}

Status EngineCore::compile_flow() {
  if (!options_.vortex) return {};
  const VortexConfig& c = *options_.vortex;
  const ModelConfig& m = config();
  VORTEX_ASSIGN_OR_RETURN(flow_, vortex::compile_flow(c, m, model_.kv_dtype, model_.pool.get()));
  // Only then: a schedule_policy was compiled and tried before the weights were loaded.
  if (const auto pages = flow_->plan().middle_pages()) {
    VORTEX_ASSIGN_OR_RETURN(budget_, PageBudget::create(c, pages));
  }
  const std::string unused = fields_without_effect(c);
  if (!unused.empty()) log_warn("vortex config: no effect on the CPU: {}", unused);
  sparsity_.flow = flow_.get();
  sparsity_.layers = sparse_layers(c, m.layers);
  report_template_.active = true;
  report_template_.flow = flow_->plan().graph.name;
  for (int i = 0; i < m.layers; ++i)
    if (sparsity_.layers[static_cast<size_t>(i)]) report_template_.layers_sparse.push_back(i);
  return {};
}

kv::KvLayout EngineCore::layout() const {
  const int page_tokens = options_.vortex ? static_cast<int>(options_.vortex->block_size) : kDefaultBlockSize;
  kv::KvLayout layout{.kv_heads = config().kv_heads, .page_tokens = page_tokens};
  layout.slab_tokens = options_.page_size > 0 ? static_cast<int>(options_.page_size) : page_tokens;
  for (int i = 0; i < config().layers; ++i) {
    auto& fields = layout.layer_fields.emplace_back(model_.decoder->kv_fields(page_tokens, model_.kv_dtype));
    if (flow_ == nullptr || !sparsity_.layers[static_cast<size_t>(i)]) continue;
    fields.insert(fields.end(), flow_->fields().begin(), flow_->fields().end());
  }
  return layout;
}

Status EngineCore::set_limits() {
  VORTEX_ASSIGN_OR_RETURN(limits_.max_length, context_length(options_, config()));
  limits_.max_sequences = static_cast<int>(options_.max_num_seqs);
  limits_.max_batched_tokens = static_cast<int>(std::max(options_.max_num_batched_tokens, options_.max_num_seqs));
  return {};
}

Status EngineCore::allocate_pages() {
  kv::KvLayout pages = layout();
  if (pages.slab_tokens % pages.page_tokens != 0) {
    if (options_.vortex) {
      return Error{ErrorCode::kConfiguration, "--page-size",
                   fmt::format("{} is not a multiple of the block size {}", pages.slab_tokens, pages.page_tokens), ""};
    }
    pages.page_tokens = pages.slab_tokens;  // dense: nothing depends on the block size
    for (auto& fields : pages.layer_fields) fields = model_.decoder->kv_fields(pages.page_tokens, fields[0].dtype);
  }
  report_template_.page_size = pages.page_tokens;
  const int64_t slab_bytes = pages.slab_bytes();
  const int64_t bytes = options_.kv_cache_memory_bytes > 0 ? options_.kv_cache_memory_bytes : default_pool_bytes(pages);
  const int64_t most = INT32_MAX / (int64_t{pages.kv_heads} * (pages.slab_tokens / pages.page_tokens));
  const int64_t slabs = std::min(bytes / slab_bytes, most);
  if (slabs < 1) {
    return Error{ErrorCode::kResourceExhausted, "kv cache",
                 fmt::format("{} bytes are less than the {} that {} tokens take", bytes, slab_bytes, pages.slab_tokens),
                 "raise --kv-cache-memory-bytes or lower --page-size"};
  }
  max_length_ = std::min(limits_.max_length, slabs * pages.slab_tokens);
  VORTEX_ASSIGN_OR_RETURN(store_, kv::KvStore::create(pages, static_cast<int32_t>(slabs), model_.device.get()));
  for (int i = 0; i < config().layers; ++i) views_.push_back(store_->layer(i));
  allocator_ = std::make_unique<kv::SlabAllocator>(static_cast<int32_t>(slabs));
  scheduler_ = std::make_unique<sched::Scheduler>(limits_, allocator_.get(), pages.slab_tokens);
  return {};
}

/// Room for every sequence at full length, but at most 40 % of the memory this process may use.
int64_t EngineCore::default_pool_bytes(const kv::KvLayout& pages) const {
  const int64_t slabs = (limits_.max_length + pages.slab_tokens - 1) / pages.slab_tokens;
  const double wanted =
      static_cast<double>(slabs) * static_cast<double>(limits_.max_sequences) * static_cast<double>(pages.slab_bytes());
  return static_cast<int64_t>(std::min(wanted, 0.4 * static_cast<double>(memory_limit_bytes())));
}

Status EngineCore::add(uint64_t id, GenerateRequest request, StreamCallback callback) {
  VORTEX_RETURN_IF_ERROR(sample::validate(request.sampling));
  for (int32_t token : request.prompt) {
    if (token < 0 || token >= config().vocab_size) {
      return Error{ErrorCode::kInvalidArgument, "prompt",
                   fmt::format("token id {} is not in the vocabulary of {}", token, config().vocab_size), ""};
    }
  }
  auto generation = std::make_unique<Generation>(id, std::move(request), std::move(callback), tokenizer_, eos_ids_,
                                                 max_length_, options_.seed);
  generation->sparsity() = report_template_;
  auto sequence =
      std::make_unique<sched::Sequence>(id, generation->prompt(), allocator_.get(), store_->layout().slab_tokens);
  if (generation->synthetic()) sequence->computed = sequence->length() - 1;
  VORTEX_RETURN_IF_ERROR(scheduler_->add(std::move(sequence)));
  generations_.emplace(id, std::move(generation));
  return {};
}

void EngineCore::cancel(uint64_t id) {
  const auto found = generations_.find(id);
  if (found == generations_.end()) return;
  scheduler_->remove(id);
  found->second->cancel();
  generations_.erase(found);
}

void EngineCore::cancel_all() {
  while (!generations_.empty()) cancel(generations_.begin()->first);
}

void EngineCore::step() {
  const sched::StepBatch scheduled = scheduler_->next_step();
  VORTEX_CHECK(!scheduled.empty() || scheduler_->idle(), "nothing to run with {} waiting", scheduler_->waiting());
  if (scheduled.empty()) return;
  fill_batch(scheduled);
  logits_.resize(batch_.logit_tokens.size() * static_cast<size_t>(config().vocab_size));
  const model::StepResult result = model_.decoder->forward(batch_, views_, sparsity_, logits_.data());
  report_decodes(scheduled, result);
  scheduler_->finish_step(scheduled);
  for (const model::FlowFailure& failure : result.failures)
    fail(scheduled[static_cast<size_t>(failure.sequence)].sequence->id, failure.error);
  sample(scheduled);
}

void EngineCore::fill_batch(const sched::StepBatch& scheduled) {
  batch_.clear();
  const VortexConfig* vortex = options_.vortex ? &*options_.vortex : nullptr;
  batch_.plan.kv_heads = config().kv_heads;
  batch_.plan.reserved_bos = vortex ? static_cast<int>(vortex->block_reserved_bos) : 1;
  batch_.plan.reserved_eos = vortex ? static_cast<int>(vortex->block_reserved_eos) : 1;
  for (const sched::Chunk& chunk : scheduled) {
    const sched::Sequence& s = *chunk.sequence;
    if (generations_.at(s.id)->on_start())
      fill_synthetic_context(s.table.slabs(), s.computed, views_, sparsity_, model_.attention.get());
    for (int64_t i = s.computed; i < s.computed + chunk.count; ++i) {
      batch_.ids.push_back(s.tokens[static_cast<size_t>(i)]);
      batch_.positions.push_back(static_cast<int32_t>(i));
    }
    batch_.slices.push_back({s.table.slabs(), s.computed, chunk.count});
    if (chunk.last) batch_.logit_tokens.push_back(batch_.tokens() - 1);
    if (!chunk.decode) continue;
    ++batch_.decodes;
    batch_.plan.sequences.push_back(
        plan_sequence(s.table.slabs(), s.computed + 1, store_->layout().page_tokens, budget_ ? &*budget_ : nullptr));
    if (flow_ != nullptr && flow_->plan().saves())
      batch_.plan.sequences.back().state = generations_.at(s.id)->flow_state();
  }
}

void EngineCore::report_decodes(const sched::StepBatch& scheduled, const model::StepResult& result) {
  if (flow_ == nullptr) return;
  const auto rows = static_cast<int64_t>(report_template_.layers_sparse.size()) * config().kv_heads;
  for (int64_t i = 0; i < batch_.decodes; ++i) {
    const SequencePlan& plan = batch_.plan.sequences[static_cast<size_t>(i)];
    generations_.at(scheduled[static_cast<size_t>(i)].sequence->id)
        ->on_decode(rows * plan.pages, result.pages_read[static_cast<size_t>(i)], plan.sparse());
  }
}

void EngineCore::sample(const sched::StepBatch& scheduled) {
  size_t row = 0;
  const auto vocab = static_cast<size_t>(config().vocab_size);
  for (const sched::Chunk& chunk : scheduled) {
    const uint64_t id = chunk.sequence->id;
    const auto found = generations_.find(id);
    const bool failed = found == generations_.end();
    if (!chunk.last) {
      if (!failed) found->second->on_progress(chunk.sequence->computed);
      continue;
    }
    const auto logits = std::span(logits_).subspan(row++ * vocab, vocab);
    if (!failed && !found->second->on_logits(logits, chunk.sequence)) continue;
    generations_.erase(id);
    scheduler_->remove(id);
  }
}

/// The request may have failed in an earlier layer of the same step.
void EngineCore::fail(uint64_t id, const Error& error) {
  const auto found = generations_.find(id);
  if (found == generations_.end()) return;
  found->second->fail(error);
  generations_.erase(found);
}

}  // namespace vortex
