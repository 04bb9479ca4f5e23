#include "engine/engine_core.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/cpu_features.h"
#include "base/log.h"
#include "engine/flow_setup.h"
#include "engine/step_plan.h"
#include "engine/synthetic_context.h"
#include "model/kv_fields.h"

namespace vortex {
namespace {

constexpr int kDefaultBlockSize = 16;
constexpr int kMostAnswers = 1024;           // of one request
constexpr int64_t kLogitFloats = 4'194'304;  // held at once for the log-probabilities of a prompt: 16 MiB

double now_s() { return std::chrono::duration<double>(Generation::Clock::now().time_since_epoch()).count(); }

/// Where to count a step of `tokens`.
size_t iteration_bucket(int64_t tokens) {
  const auto& bounds = EngineStats::kIterationBuckets;
  return static_cast<size_t>(std::ranges::lower_bound(bounds, tokens) - bounds.begin());
}

}  // namespace

Result<std::unique_ptr<EngineCore>> EngineCore::create(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                                       const text::Tokenizer* tokenizer) {
  std::unique_ptr<EngineCore> core(new EngineCore);
  // Before the weights, which may take a minute to load.
  if (options.vortex) {
    VORTEX_RETURN_IF_ERROR(check_flow_fits(*options.vortex, files->config()));
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
  VORTEX_ASSIGN_OR_RETURN(flow_,
                          vortex::compile_flow(c, m, {model_.kv_dtype, options_.compressor_ckpt, model_.pool.get()}));
  // Only then: a schedule_policy was compiled and tried before the weights were loaded.
  if (const auto pages = flow_->plan().middle_pages()) {
    VORTEX_ASSIGN_OR_RETURN(budget_, PageBudget::create(c, pages));
  }
  const std::string unused = fields_without_effect(c);
  if (!unused.empty()) log_warn("vortex config: no effect on the CPU: {}", unused);
  sparsity_.flow = flow_.get();
  sparsity_.layers = sparse_layers(c, m);
  recorder_ = std::make_unique<SelectionRecorder>(flow_.get());
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
    auto& fields = layout.layer_fields.emplace_back(model::kv_fields(config(), page_tokens, model_.kv_dtype));
    if (flow_ == nullptr || !sparsity_.layers[static_cast<size_t>(i)]) continue;
    fields.insert(fields.end(), flow_->fields().begin(), flow_->fields().end());
  }
  return layout;
}

Status EngineCore::set_limits() {
  VORTEX_ASSIGN_OR_RETURN(limits_.max_length, context_length(options_, config()));
  limits_.max_sequences = static_cast<int>(options_.max_num_seqs);
  limits_.max_batched_tokens = static_cast<int>(std::max(options_.max_num_batched_tokens, options_.max_num_seqs));
  limits_.long_prompt = options_.long_prefill_token_threshold;
  pacer_ = std::make_unique<sched::PrefillPacer>(options_.long_prefill_slowdown);
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
    for (auto& fields : pages.layer_fields) fields = model::kv_fields(config(), pages.page_tokens, fields[0].dtype);
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
  slabs_ = static_cast<int32_t>(slabs);
  open_books();
  return {};
}

/// Which slabs are free, kept and held; who waits and runs: nothing and nobody.
void EngineCore::open_books() {
  if (scheduler_) counted_ += scheduler_->counters();
  scheduler_.reset();
  prefix_cache_.reset();
  allocator_ = std::make_unique<kv::SlabAllocator>(slabs_);
  if (options_.enable_prefix_caching) prefix_cache_ = std::make_unique<kv::PrefixCache>(allocator_.get());
  scheduler_ =
      std::make_unique<sched::Scheduler>(limits_, allocator_.get(), prefix_cache_.get(), store_->layout().slab_tokens);
}

/// Room for every sequence at full length, but at most 40 % of the memory this process may use, where that is known.
int64_t EngineCore::default_pool_bytes(const kv::KvLayout& pages) const {
  const int64_t slabs = (limits_.max_length + pages.slab_tokens - 1) / pages.slab_tokens;
  const double wanted =
      static_cast<double>(slabs) * static_cast<double>(limits_.max_sequences) * static_cast<double>(pages.slab_bytes());
  const int64_t limit = memory_limit_bytes();
  return static_cast<int64_t>(limit > 0 ? std::min(wanted, 0.4 * static_cast<double>(limit)) : wanted);
}

Status EngineCore::check(const GenerateRequest& request) const {
  VORTEX_RETURN_IF_ERROR(sample::validate(request.sampling, config().vocab_size));
  if (request.n < 1 || request.n > kMostAnswers) {
    return Error{ErrorCode::kInvalidArgument, "n", fmt::format("{} answers", request.n),
                 fmt::format("give 1 to {}", kMostAnswers)};
  }
  for (int32_t token : request.prompt) {
    if (token < 0 || token >= config().vocab_size) {
      return Error{ErrorCode::kInvalidArgument, "prompt",
                   fmt::format("token id {} is not in the vocabulary of {}", token, config().vocab_size), ""};
    }
  }
  if (budget_) {
    const auto own = budget_->with(request.sparsity.topk_val, request.sparsity.topk_ratio);
    if (!own.ok()) return own.error();
  }
  VORTEX_RETURN_IF_ERROR(check_record(request, static_cast<int64_t>(report_template_.layers_sparse.size()),
                                      config().kv_heads, report_template_.page_size, max_length_));
  return sched::check_prompt(limits_, kv_tokens(), static_cast<int64_t>(request.prompt.size()));
}

Status EngineCore::add(uint64_t id, GenerateRequest request, const StreamCallback& callback) {
  VORTEX_RETURN_IF_ERROR(check(request));
  const GenerationContext context{tokenizer_, eos_ids_, max_length_, options_.seed};
  std::unique_ptr<sched::Sequence> leader;
  for (int index = 0; index < request.n; ++index) {
    auto generation = std::make_unique<Generation>(id, index, request, callback, context);
    generation->sparsity() = report_template_;
    if (budget_ && (request.sparsity.topk_val || request.sparsity.topk_ratio)) {
      VORTEX_ASSIGN_OR_RETURN(generation->budget(),
                              budget_->with(request.sparsity.topk_val, request.sparsity.topk_ratio));
    }
    const uint64_t answer = id + static_cast<uint64_t>(index);
    auto sequence = make_sequence(answer, *generation, request);
    generations_.emplace(answer, std::move(generation));
    if (leader == nullptr) {
      leader = std::move(sequence);
    } else {
      leader->followers.push_back(std::move(sequence));
    }
  }
  scheduler_->add(std::move(leader));
  return {};
}

std::unique_ptr<sched::Sequence> EngineCore::make_sequence(uint64_t id, const Generation& generation,
                                                           const GenerateRequest& request) const {
  sched::SequenceOptions options;
  options.priority = request.priority;
  options.salt = request.cache_salt;
  options.share_prefix = !request.synthetic_context && !generation.wants_prompt_logprobs();
  options.replay_decodes = flow_ != nullptr && !generation.dense();
  if (generation.wants_prompt_logprobs()) options.max_chunk = std::max<int64_t>(kLogitFloats / config().vocab_size, 1);
  if (request.queue_timeout_s > 0) options.queue_deadline = now_s() + request.queue_timeout_s;
  auto sequence = std::make_unique<sched::Sequence>(id, request.prompt, allocator_.get(), store_->layout().slab_tokens,
                                                    std::move(options));
  if (request.synthetic_context) sequence->computed = sequence->length() - 1;
  return sequence;
}

void EngineCore::cancel(uint64_t id) {
  take_out(id, [](Generation& generation) { generation.cancel(); });
}

void EngineCore::forget(uint64_t id) {
  take_out(id, [](Generation&) {});
}

/// The answers of a request have ids one after the other.
void EngineCore::take_out(uint64_t id, FunctionRef<void(Generation&)> last_words) {
  auto next = generations_.lower_bound(id);
  while (next != generations_.end() && next->second->request_id() == id) {
    scheduler_->remove(next->first);
    last_words(*next->second);
    next = generations_.erase(next);
  }
}

void EngineCore::cancel_all() {
  while (!generations_.empty()) cancel(generations_.begin()->second->request_id());
}

void EngineCore::fail_all(const Error& error) {
  abandon(error);
  open_books();
}

/// What stopped the engine may have been a callback, which must not keep the others from hearing of it.
void EngineCore::abandon(const Error& error) {
  for (auto& [id, generation] : std::exchange(generations_, {})) {
    try {
      generation->fail(error);
    } catch (const std::exception& second) {
      log_error("request {}: {}", generation->request_id(), second.what());
    }
  }
}

void EngineCore::expire() {
  for (uint64_t id : scheduler_->expired(now_s())) {
    scheduler_->remove(id);
    fail(id, {ErrorCode::kUnavailable, "queue", "the request waited too long for its turn", "try again later"});
  }
}

/// Asked for what the last step decoded, which the next one will nearly repeat.
int64_t EngineCore::paced_tokens() const { return last_decodes_ == 0 ? INT64_MAX : pacer_->allowance(last_decodes_); }

void EngineCore::step() {
  expire();
  sched::StepBatch scheduled = scheduler_->next_step(paced_tokens());
  VORTEX_CHECK(!scheduled.empty() || scheduler_->idle(), "nothing to run with {} waiting", scheduler_->waiting());
  if (scheduled.empty()) return;
  const double start = now_s();
  fill_batch(&scheduled);
  logits_.resize(batch_.logit_tokens.size() * static_cast<size_t>(config().vocab_size));
  const model::StepResult& result = model_.decoder->forward(batch_, views_, sparsity_, logits_.data());
  report_decodes(scheduled, result);
  scheduler_->finish_step(scheduled);
  count_step(scheduled, now_s() - start);
  for (const model::FlowFailure& failure : result.failures)
    fail(scheduled[static_cast<size_t>(failure.sequence)].sequence->id, failure.error);
  sample(scheduled);
}

void EngineCore::fill_batch(sched::StepBatch* scheduled) {
  batch_.clear();
  if (recorder_) recorder_->clear();
  const VortexConfig* vortex = options_.vortex ? &*options_.vortex : nullptr;
  batch_.plan.kv_heads = config().kv_heads;
  batch_.plan.reserved_bos = vortex ? static_cast<int>(vortex->block_reserved_bos) : 1;
  batch_.plan.reserved_eos = vortex ? static_cast<int>(vortex->block_reserved_eos) : 1;
  for (sched::Chunk& chunk : *scheduled) {
    const sched::Sequence& s = *chunk.sequence;
    if (generations_.at(s.id)->on_start(s))
      fill_synthetic_context(s.table.slabs(), s.computed, views_, config().latent(), sparsity_, model_.attention.get());
    for (int64_t i = s.computed; i < s.computed + chunk.count; ++i) {
      batch_.ids.push_back(s.tokens[static_cast<size_t>(i)]);
      batch_.positions.push_back(static_cast<int32_t>(i));
    }
    batch_.slices.push_back({s.table.slabs(), s.computed, chunk.count});
    add_logit_tokens(chunk);
    if (chunk.decode) plan_decode(&chunk);
  }
  sparsity_.hook = recorder_ && !recorder_->idle() ? recorder_.get() : nullptr;
}

/// Of the whole chunk for the log-probabilities of a prompt, else of its last token.
void EngineCore::add_logit_tokens(const sched::Chunk& chunk) {
  const int64_t end = batch_.tokens();
  const bool whole = generations_.at(chunk.sequence->id)->wants_prompt_logprobs() && !chunk.decode;
  for (int64_t i = whole ? end - chunk.count : end - (chunk.last ? 1 : 0); i < end; ++i)
    batch_.logit_tokens.push_back(i);
}

void EngineCore::plan_decode(sched::Chunk* chunk) {
  const sched::Sequence& s = *chunk->sequence;
  Generation& generation = *generations_.at(s.id);
  const PageBudget* budget = generation.budget() ? &*generation.budget() : budget_ ? &*budget_ : nullptr;
  ++batch_.decodes;
  batch_.plan.sequences.push_back(plan_sequence(s.table.slabs(), s.computed + 1, store_->layout().page_tokens,
                                                generation.dense() ? nullptr : budget));
  if (flow_ != nullptr && flow_->plan().saves()) batch_.plan.sequences.back().state = generation.flow_state(s);
  chunk->sparse = batch_.plan.sequences.back().sparse();
  if (generation.selections() != nullptr) record_decode(generation.selections());
}

/// Of the sequence that was planned last.
void EngineCore::record_decode(SelectionRecord* record) {
  record->layers = report_template_.layers_sparse;
  record->kv_heads = config().kv_heads;
  record->page_tokens = report_template_.page_size;
  recorder_->watch(static_cast<int>(batch_.plan.sequences.size()) - 1, batch_.plan.sequences.back(), record);
}

void EngineCore::report_decodes(const sched::StepBatch& scheduled, const model::StepResult& result) {
  stats_.attention_s += result.attention_s;
  if (flow_ == nullptr) return;
  const auto rows = static_cast<int64_t>(report_template_.layers_sparse.size()) * config().kv_heads;
  stats_.selection_s += result.selection_s;
  for (int64_t i = 0; i < batch_.decodes; ++i) {
    const SequencePlan& plan = batch_.plan.sequences[static_cast<size_t>(i)];
    const int64_t held = rows * plan.pages, read = result.pages_read[static_cast<size_t>(i)];
    generations_.at(scheduled[static_cast<size_t>(i)].sequence->id)->on_decode(held, read, plan.sparse());
    stats_.sparse_pages_held += held;
    stats_.sparse_pages_read += read;
    ++(plan.sparse() ? stats_.decodes_sparse : stats_.decodes_dense);
  }
}

void EngineCore::count_step(const sched::StepBatch& scheduled, double seconds) {
  int64_t tokens = 0;
  for (const sched::Chunk& chunk : scheduled) tokens += chunk.count;
  last_decodes_ = batch_.decodes;
  pacer_->observe(batch_.decodes, tokens - batch_.decodes, seconds);
  stats_.step_s += seconds;
  stats_.iteration_tokens += tokens;
  ++stats_.iteration_counts[iteration_bucket(tokens)];
}

void EngineCore::sample(const sched::StepBatch& scheduled) {
  size_t row = 0, token = 0;
  const auto vocab = static_cast<size_t>(config().vocab_size);
  for (const sched::Chunk& chunk : scheduled) {
    const size_t first = row;
    token += static_cast<size_t>(chunk.count);
    while (row < batch_.logit_tokens.size() && static_cast<size_t>(batch_.logit_tokens[row]) < token) ++row;
    sample_chunk(chunk, std::span(logits_).subspan(first * vocab, (row - first) * vocab));
  }
}

/// `rows` are the logits of the chunk that were asked for. A generation that failed in the step is not there any more.
void EngineCore::sample_chunk(const sched::Chunk& chunk, std::span<float> rows) {
  sched::Sequence* sequence = chunk.sequence;
  const uint64_t id = sequence->id;
  const auto found = generations_.find(id);
  if (found == generations_.end()) {
    scheduler_->remove(id);
    return;
  }
  if (!sample::all_finite(rows)) return end_corrupted(sequence);
  Generation& generation = *found->second;
  const auto vocab = static_cast<size_t>(config().vocab_size);
  const auto count = static_cast<int64_t>(rows.size() / vocab);
  if (generation.wants_prompt_logprobs() && !chunk.decode) {
    for (int64_t i = 0; i < count; ++i)
      generation.on_prompt_logits(sequence->computed - count + i, rows.subspan(static_cast<size_t>(i) * vocab, vocab),
                                  *sequence);
  }
  if (sequence->computed == sequence->prompt_tokens) {
    scheduler_->publish(sequence);
    stats_.prompt_tokens += sequence->prompt_tokens;
  }
  if (!chunk.last) return generation.on_progress(sequence->computed);
  const size_t before = sequence->tokens.size();
  const bool done = generation.on_logits(rows.last(vocab), sequence);
  stats_.generation_tokens += static_cast<int64_t>(sequence->tokens.size() - before);
  if (!done) return;
  scheduler_->publish(sequence);
  end(id);
}

/// A NaN would spread to whoever met these pages: they are overwritten, and none of them is kept.
void EngineCore::end_corrupted(sched::Sequence* sequence) {
  for (SlabId slab : sequence->table.slabs())
    if (allocator_->references(slab) == 1) store_->erase(slab);
  ++stats_.corrupted_requests;
  const uint64_t id = sequence->id;
  fail(id, {ErrorCode::kInternal, "logits", "the model computed numbers that are not finite", ""});
  scheduler_->remove(id);
}

/// The request may have failed in an earlier layer of the same step.
void EngineCore::fail(uint64_t id, const Error& error) {
  const auto found = generations_.find(id);
  if (found == generations_.end()) return;
  found->second->fail(error);
  generations_.erase(found);
}

void EngineCore::end(uint64_t id) {
  generations_.erase(id);
  scheduler_->remove(id);
}

EngineStats EngineCore::stats() const {
  EngineStats s = stats_;
  s.running = scheduler_->running();
  s.waiting = scheduler_->waiting();
  s.pages_total = allocator_->capacity();
  s.pages_cached = allocator_->idle_slabs();
  s.pages_used = s.pages_total - allocator_->free_slabs() - s.pages_cached;
  sched::Counters counted = counted_;
  counted += scheduler_->counters();
  s.preemptions = counted.preemptions;
  s.prefix_queries = counted.prefix_queries;
  s.prefix_hits = counted.prefix_hits;
  return s;
}

Status EngineCore::check_integrity() const {
  VORTEX_RETURN_IF_ERROR(allocator_->check_integrity());
  if (prefix_cache_) VORTEX_RETURN_IF_ERROR(prefix_cache_->check_integrity());
  const EngineStats s = stats();
  if (idle() && (s.pages_used != 0 || !generations_.empty())) {
    return Error{ErrorCode::kInternal, "engine",
                 fmt::format("{} pages and {} answers are left behind", s.pages_used, generations_.size()), ""};
  }
  return {};
}

}  // namespace vortex
