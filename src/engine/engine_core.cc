#include "engine/engine_core.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/cpu_features.h"
#include "base/log.h"
#include "engine/flow_setup.h"
#include "model/kv_fields.h"

namespace vortex {
namespace {

constexpr int kDefaultBlockSize = 16;
constexpr int kMostAnswers = 1024;           // of one request
constexpr int64_t kLogitFloats = 4'194'304;  // held at once for the log-probabilities of a prompt: 16 MiB

double now_s() { return std::chrono::duration<double>(Generation::Clock::now().time_since_epoch()).count(); }

}  // namespace

Result<std::unique_ptr<EngineCore>> EngineCore::create(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                                       const text::Tokenizer* tokenizer, const RunnerWrapper& wrap,
                                                       comm::Group* group) {
  std::unique_ptr<EngineCore> core(new EngineCore);
  // Before the weights, which may take a minute to load.
  if (options.vortex) {
    VORTEX_RETURN_IF_ERROR(check_flow_fits(*options.vortex, files->config()));
    VORTEX_ASSIGN_OR_RETURN(core->budget_, PageBudget::create(*options.vortex));
  }
  core->options_ = options;
  core->tokenizer_ = tokenizer;
  VORTEX_ASSIGN_OR_RETURN(core->model_, LoadedModel::load(options, std::move(files), group));
  if (wrap) core->model_.runner = wrap(std::move(core->model_.runner));
  core->eos_ids_.assign(core->config().eos_ids.begin(), core->config().eos_ids.end());
  VORTEX_RETURN_IF_ERROR(core->compile_flow());
  VORTEX_RETURN_IF_ERROR(core->set_limits());
  VORTEX_RETURN_IF_ERROR(core->allocate_pages());
  VORTEX_RETURN_IF_ERROR(core->runner().prepare(core->runner_limits(), core->views_, core->sparsity_));
  return core;
}

EngineCore::~EngineCore() {
  if (model_.runner) discard_flights();
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
  kv::KvLayout layout{.kv_heads = kv_heads_here(), .page_tokens = page_tokens};
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

model::RunnerLimits EngineCore::runner_limits() const {
  model::RunnerLimits limits;
  limits.sequences = limits_.max_sequences;
  limits.batched_tokens = limits_.max_batched_tokens;
  limits.max_length = max_length_ > 0 ? max_length_ : limits_.max_length;
  if (!options_.vortex) return limits;
  limits.reserved_bos = static_cast<int>(options_.vortex->block_reserved_bos);
  limits.reserved_eos = static_cast<int>(options_.vortex->block_reserved_eos);
  return limits;
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
  int64_t slabs = std::min(bytes / slab_bytes, most);
  if (slabs < 1) {
    return Error{ErrorCode::kResourceExhausted, "kv cache",
                 fmt::format("{} bytes are less than the {} that {} tokens take", bytes, slab_bytes, pages.slab_tokens),
                 "raise --kv-cache-memory-bytes or lower --page-size"};
  }
  VORTEX_ASSIGN_OR_RETURN(slabs, agreed_slabs(slabs, pages));
  max_length_ = std::min(limits_.max_length, slabs * pages.slab_tokens);
  VORTEX_ASSIGN_OR_RETURN(store_, kv::KvStore::create(pages, static_cast<int32_t>(slabs), runner().device()));
  for (int i = 0; i < config().layers; ++i) views_.push_back(store_->layer(i));
  slabs_ = static_cast<int32_t>(slabs);
  open_books();
  return {};
}

/// Ranks hold the same slabs, so there are as many as the one with the least room can hold.
Result<int64_t> EngineCore::agreed_slabs(int64_t slabs, const kv::KvLayout& pages) {
  if (model_.ranks == nullptr) return slabs;
  const ModelConfig& c = config();
  std::string alike = fmt::format("{} {} {} {} {} {} {}", c.architecture, c.layers, c.hidden_size, c.heads,
                                  model_.files->file_bytes(), isa_name(best_isa().value()), pages.slab_tokens);
  for (const auto& fields : pages.layer_fields)
    for (const FieldSpec& field : fields)
      alike += fmt::format(" {} {} {} {}", field.name, field.rows, field.cols, dtype_info(field.dtype).name);
  VORTEX_RETURN_IF_ERROR(model_.ranks->check_alike(std::hash<std::string>()(alike)));
  return model_.ranks->least(slabs);
}

Status EngineCore::follow() {
  return model::follow_rank_0(&runner(), model_.ranks.get(), [this](SlabId slab) { return store_->erase(slab); });
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

/// Room for every sequence at full length, but at most what the device has to give: of the host's memory, where that
/// is known, 40 % of what this process may use.
int64_t EngineCore::default_pool_bytes(const kv::KvLayout& pages) const {
  const int64_t slabs = (limits_.max_length + pages.slab_tokens - 1) / pages.slab_tokens;
  const double wanted =
      static_cast<double>(slabs) * static_cast<double>(limits_.max_sequences) * static_cast<double>(pages.slab_bytes());
  const int64_t own = runner().page_memory(runner_limits(), options_.gpu_memory_utilization);
  const int sharers = model_.ranks == nullptr ? 1 : model_.ranks->comm().size();
  const double limit = own > 0 ? static_cast<double>(own) : 0.4 * static_cast<double>(memory_limit_bytes()) / sharers;
  return static_cast<int64_t>(limit > 0 ? std::min(wanted, limit) : wanted);
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
  if (request.selections != nullptr && device_name() != "cpu")
    return Error{ErrorCode::kUnsupported, "selections", "they are recorded on the CPU only", "use --device cpu"};
  if (request.selections != nullptr && model_.ranks != nullptr)
    return Error{ErrorCode::kUnsupported, "selections", "they are recorded on one rank only",
                 "use --tensor-parallel-size 1"};
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
    remove(next->first);
    last_words(*next->second);
    next = generations_.erase(next);
  }
}

void EngineCore::cancel_all() {
  while (!generations_.empty()) cancel(generations_.begin()->second->request_id());
}

void EngineCore::fail_all(const Error& error) {
  discard_flights();
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
    remove(id);
    fail(id, {ErrorCode::kUnavailable, "queue", "the request waited too long for its turn", "try again later"});
  }
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
  remove(id);
}

/// A step that is under way may still write to its pages: whoever gets them next is queued behind it.
void EngineCore::remove(uint64_t id) {
  for (Flight& flight : flights_)
    for (sched::Chunk& chunk : flight.scheduled)
      if (chunk.sequence != nullptr && chunk.sequence->id == id) chunk.sequence = nullptr;
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
