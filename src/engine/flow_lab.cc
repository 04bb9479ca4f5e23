#include "engine/flow_lab.h"

#include <algorithm>
#include <numeric>

#include "base/cpu_features.h"
#include "base/log.h"
#include "engine/flow_setup.h"
#include "engine/selection_controls.h"
#include "engine/step_plan.h"
#include "flow/flow.h"
#include "model/kv_fields.h"
#include "sample/sampler.h"
#include "text/incremental_decoder.h"

namespace vortex {
namespace {

constexpr int kDensePage = 16;
constexpr uint64_t kControlSeed = 1;

/// Calls both: the control chooses, the observer looks.
struct HookPair final : model::SelectionHook {
  model::SelectionHook* first = nullptr;
  model::SelectionHook* second = nullptr;

  void on_selection(const model::Selection& selection, PageList* list) override {
    if (first != nullptr) first->on_selection(selection, list);
    if (second != nullptr) second->on_selection(selection, list);
  }
};

bool uses_control(const VortexConfig& config) {
  return !config.module_path && is_control(config.module_name.value_or(""));
}

/// Two configs that compile to the same flow over the same pages.
bool same_flow(const VortexConfig& a, const VortexConfig& b) {
  return a.module_name == b.module_name && a.module_path == b.module_path && a.block_size == b.block_size &&
         a.dtype == b.dtype;
}

/// `view` of whole slabs, cut into pages of `tokens` tokens: the same memory, because the tokens of a head lie in
/// order.
FieldView cut(const FieldView& view, int tokens) {
  FieldView page = view;
  page.page_bytes = view.page_bytes * tokens / view.rows;
  page.rows = tokens;
  return page;
}

}  // namespace

/// The pool seen in pages of one size, with the fields of one flow (or of none) beside K and V.
struct FlowLab::Lens {
  std::optional<VortexConfig> config;  // of the first variant that uses it; absent: dense and controls
  int page_tokens = kDensePage;
  std::unique_ptr<flow::CompiledFlow> flow;
  std::vector<bool> layers;  // some variant selects there
  std::unique_ptr<kv::KvStore> store;
  std::vector<std::vector<FieldView>> fields;  // by layer
  std::vector<PageView> views;
};

/// How one variant decodes.
struct FlowLab::Runner {
  const VortexConfig* config = nullptr;  // null: dense
  std::optional<PageBudget> budget;      // with a config
  Lens* lens = nullptr;
  std::vector<bool> layers;
  SparsityReport report;  // with nothing read yet
};

double LabReads::byte_fraction() const {
  if (held_bytes == 0) return 1.0;
  return static_cast<double>(metadata_bytes + page_bytes) / static_cast<double>(held_bytes);
}

void LabReads::add(const LabReads& other) {
  sparsity.add(other.sparsity);
  metadata_bytes += other.metadata_bytes;
  page_bytes += other.page_bytes;
  held_bytes += other.held_bytes;
}

FlowLab::FlowLab() = default;
FlowLab::~FlowLab() = default;

Result<std::unique_ptr<FlowLab>> FlowLab::create(const EngineOptions& options, std::vector<LabVariant> variants) {
  VORTEX_RETURN_IF_ERROR(validate(options));
  if (options.device == "cuda")
    return Error{ErrorCode::kUnsupported, "--device", "flows are measured on the CPU", "use --device cpu or auto"};
  if (options.tensor_parallel_size > 1)
    return Error{ErrorCode::kUnsupported, "--tensor-parallel-size", "flows are measured on one rank", "leave it out"};
  std::unique_ptr<FlowLab> lab(new FlowLab);
  lab->options_ = options;
  lab->options_.device = "cpu";
  lab->variants_ = std::move(variants);
  VORTEX_ASSIGN_OR_RETURN(auto files, open_model(options));
  for (const LabVariant& variant : lab->variants_)  // before the weights, which may take a minute to load
    if (variant.config && !uses_control(*variant.config))
      VORTEX_RETURN_IF_ERROR(check_flow_fits(*variant.config, files->config()));
  if (options.load_format != "dummy" || files->tokenizer_json()) {
    VORTEX_ASSIGN_OR_RETURN(lab->codec_, TextCodec::create(*files));
  }
  VORTEX_ASSIGN_OR_RETURN(lab->model_, LoadedModel::load(lab->options_, std::move(files), nullptr));
  for (const LabVariant& variant : lab->variants_) VORTEX_RETURN_IF_ERROR(lab->add_runner(variant));
  VORTEX_RETURN_IF_ERROR(lab->choose_slab());
  return lab;
}

Status FlowLab::add_runner(const LabVariant& variant) {
  const int layers = config().layers;
  Runner runner;
  VORTEX_ASSIGN_OR_RETURN(runner.lens, find_lens(variant.config ? &*variant.config : nullptr));
  runner.report.page_size = runner.lens->page_tokens;
  if (variant.config) {
    const VortexConfig& c = *variant.config;
    VORTEX_RETURN_IF_ERROR(validate(c, layers));
    runner.config = &c;
    const flow::CompiledFlow* flow = runner.lens->flow.get();
    VORTEX_ASSIGN_OR_RETURN(
        runner.budget, PageBudget::create(c, flow == nullptr ? std::optional<int>() : flow->plan().middle_pages()));
    runner.layers = sparse_layers(c, config());
    runner.report.active = true;
    runner.report.flow = uses_control(c) ? *c.module_name : runner.lens->flow->plan().graph.name;
    for (int i = 0; i < layers; ++i) {
      if (!runner.layers[static_cast<size_t>(i)]) continue;
      runner.report.layers_sparse.push_back(i);
      runner.lens->layers[static_cast<size_t>(i)] = true;
    }
  }
  runners_.push_back(std::move(runner));
  return {};
}

Result<FlowLab::Lens*> FlowLab::find_lens(const VortexConfig* config) {
  const bool plain = config == nullptr || uses_control(*config);
  const int page_tokens = config == nullptr ? kDensePage : static_cast<int>(config->block_size);
  for (const auto& lens : lenses_) {
    if (plain ? !lens->config && lens->page_tokens == page_tokens : lens->config && same_flow(*lens->config, *config))
      return lens.get();
  }
  auto lens = std::make_unique<Lens>();
  lens->page_tokens = page_tokens;
  lens->layers.assign(static_cast<size_t>(this->config().layers), false);
  if (!plain) {
    lens->config = *config;
    const std::string unused = fields_without_effect(*config);
    if (!unused.empty()) log_warn("vortex config: no effect on the CPU: {}", unused);
    VORTEX_ASSIGN_OR_RETURN(lens->flow,
                            compile_flow(*config, this->config(), {model_.kv_dtype, options_.compressor_ckpt, pool()}));
  }
  return lenses_.emplace_back(std::move(lens)).get();
}

Status FlowLab::choose_slab() {
  slab_tokens_ = static_cast<int>(options_.page_size);
  if (slab_tokens_ == 0)
    for (const auto& lens : lenses_) slab_tokens_ = std::max(slab_tokens_, lens->page_tokens);
  for (const auto& lens : lenses_) {
    if (slab_tokens_ % lens->page_tokens == 0) continue;
    return Error{ErrorCode::kConfiguration, "--page-size",
                 fmt::format("{} is not a multiple of the block size {}", slab_tokens_, lens->page_tokens), ""};
  }
  return {};
}

int64_t FlowLab::metadata_bytes_per_page(size_t variant) const {
  const Lens& lens = *runners_[variant].lens;
  return lens.flow ? lens.flow->plan().bytes_read_per_page() : 0;
}

int64_t FlowLab::kv_bytes_per_page(size_t variant) const {
  int64_t bytes = 0;
  for (const FieldSpec& field : model::kv_fields(config(), runners_[variant].lens->page_tokens, model_.kv_dtype))
    bytes += field.page_bytes();
  return bytes;
}

Status FlowLab::reserve(int64_t prompt, int64_t generated) {
  VORTEX_ASSIGN_OR_RETURN(const int64_t context, context_length(options_, config()));
  if (prompt > context)
    return Error{ErrorCode::kResourceExhausted, "context", fmt::format("{} tokens, it holds {}", prompt, context), ""};
  const int64_t tokens = std::min(prompt + generated, context);
  const int64_t slabs = (tokens + slab_tokens_ - 1) / slab_tokens_;
  kv::KvLayout layout{.kv_heads = config().kv_heads, .slab_tokens = slab_tokens_, .page_tokens = slab_tokens_};
  layout.layer_fields.assign(static_cast<size_t>(config().layers),
                             model::kv_fields(config(), slab_tokens_, model_.kv_dtype));
  const int64_t bytes = slabs * layout.slab_bytes();
  const int64_t most = options_.kv_cache_memory_bytes > 0 ? options_.kv_cache_memory_bytes
                                                          : static_cast<int64_t>(memory_limit_bytes() / 2);
  if (most > 0 && bytes > most)
    return Error{ErrorCode::kResourceExhausted, "kv cache",
                 fmt::format("{} tokens take {} bytes, {} are to be had", tokens, bytes, most),
                 "give shorter texts or raise --kv-cache-memory-bytes"};
  VORTEX_ASSIGN_OR_RETURN(store_, kv::KvStore::create(layout, static_cast<int32_t>(slabs), model_.device.get()));
  table_.resize(static_cast<size_t>(slabs));
  std::iota(table_.begin(), table_.end(), 0);
  for (const auto& lens : lenses_) VORTEX_RETURN_IF_ERROR(open_lens(lens.get(), static_cast<int32_t>(slabs)));
  capacity_ = std::min(slabs * slab_tokens_, context);
  prompt_tokens_ = length_ = 0;
  current_ = nullptr;
  return {};
}

Status FlowLab::open_lens(Lens* lens, int32_t slabs) {
  kv::KvLayout layout{.kv_heads = config().kv_heads, .slab_tokens = slab_tokens_, .page_tokens = lens->page_tokens};
  layout.layer_fields.resize(static_cast<size_t>(config().layers));
  if (lens->flow)
    for (auto& fields : layout.layer_fields) fields.assign(lens->flow->fields().begin(), lens->flow->fields().end());
  VORTEX_ASSIGN_OR_RETURN(lens->store, kv::KvStore::create(layout, slabs, model_.device.get()));
  lens->fields.clear();
  lens->views.clear();
  for (int layer = 0; layer < config().layers; ++layer) {
    auto& fields = lens->fields.emplace_back();
    for (const FieldView& field : store_->layer(layer).fields) fields.push_back(cut(field, lens->page_tokens));
    const auto own = lens->store->layer(layer).fields;
    fields.insert(fields.end(), own.begin(), own.end());
  }
  for (int layer = 0; layer < config().layers; ++layer) {
    PageView view = lens->store->layer(layer);
    view.fields = lens->fields[static_cast<size_t>(layer)];
    view.layer = layer;
    lens->views.push_back(view);
  }
  return {};
}

Status FlowLab::prefill(std::span<const int32_t> prompt, OnProgress on_progress) {
  const auto tokens = static_cast<int64_t>(prompt.size());
  if (tokens == 0 || tokens > capacity_)
    return Error{ErrorCode::kInvalidArgument, "prompt", fmt::format("{} tokens, room for {}", tokens, capacity_), ""};
  for (int32_t id : prompt)
    if (id < 0 || id >= config().vocab_size)
      return Error{ErrorCode::kInvalidArgument, "prompt",
                   fmt::format("token id {} is not in the vocabulary of {}", id, config().vocab_size), ""};
  prompt_logits_.resize(static_cast<size_t>(config().vocab_size));
  prompt_tokens_ = 0;
  for (length_ = 0; length_ < tokens;) {
    const int64_t count = std::min(options_.max_num_batched_tokens, tokens - length_);
    batch_.clear();
    for (int64_t i = length_; i < length_ + count; ++i) {
      batch_.ids.push_back(prompt[static_cast<size_t>(i)]);
      batch_.positions.push_back(static_cast<int32_t>(i));
    }
    batch_.slices.push_back({table_, length_, count});
    if (length_ + count == tokens) batch_.logit_tokens.push_back(count - 1);
    model_.decoder->forward(batch_, lenses_[0]->views, {}, prompt_logits_.data());
    length_ += count;
    if (!on_progress(length_)) return Error{ErrorCode::kCancelled, "prompt", "stopped", ""};
  }
  prompt_tokens_ = tokens;
  update_fields();
  return {};
}

void FlowLab::update_fields() {
  model::Batch whole;
  whole.slices.push_back({table_, 0, prompt_tokens_});
  std::vector<PageId> full_pages;
  for (const auto& lens : lenses_) {
    if (!lens->flow) continue;
    model::list_completed_pages(whole, lens->views[0], &full_pages);
    for (size_t layer = 0; layer < lens->views.size(); ++layer)
      if (lens->layers[layer] && !full_pages.empty()) lens->flow->update(lens->views[layer], full_pages);
  }
}

void FlowLab::start(size_t variant, model::SelectionHook* observer) {
  VORTEX_CHECK(prompt_tokens_ > 0, "start() needs a prompt");
  current_ = &runners_[variant];
  observer_ = observer;
  length_ = prompt_tokens_;
  state_ = SequenceState();
  reads_ = LabReads();
  reads_.sparsity = current_->report;
  control_.reset();
  if (current_->config != nullptr && uses_control(*current_->config))
    control_ = make_control(current_->report.flow, pool(), kControlSeed);
}

SequencePlan FlowLab::plan_step() {
  const Lens& lens = *current_->lens;
  const PageBudget* budget = current_->budget ? &*current_->budget : nullptr;
  SequencePlan plan = plan_sequence(table_, length_ + 1, lens.page_tokens, budget);
  if (lens.flow && lens.flow->plan().saves()) plan.state = &state_;
  return plan;
}

void FlowLab::fill_batch(int32_t token) {
  const VortexConfig* config = current_->config;
  batch_.clear();
  batch_.ids = {token};
  batch_.positions = {static_cast<int32_t>(length_)};
  batch_.slices.push_back({table_, length_, 1});
  batch_.logit_tokens = {0};
  batch_.decodes = 1;
  batch_.plan.kv_heads = this->config().kv_heads;
  batch_.plan.reserved_bos = config != nullptr ? static_cast<int>(config->block_reserved_bos) : 1;
  batch_.plan.reserved_eos = config != nullptr ? static_cast<int>(config->block_reserved_eos) : 1;
  batch_.plan.sequences.push_back(plan_step());
}

Result<std::span<const float>> FlowLab::step(int32_t token) {
  if (length_ == capacity_)
    return Error{ErrorCode::kResourceExhausted, "decode", fmt::format("{} tokens fill the pages", capacity_), ""};
  const Runner& runner = *current_;
  fill_batch(token);
  HookPair hooks;
  hooks.first = control_.get();
  hooks.second = observer_;
  model::Sparsity sparsity;
  if (runner.config != nullptr) sparsity = {runner.lens->flow.get(), runner.layers, &hooks};
  logits_.resize(static_cast<size_t>(config().vocab_size));
  const model::StepResult& result = model_.decoder->forward(batch_, runner.lens->views, sparsity, logits_.data());
  if (!result.failures.empty()) return result.failures[0].error;
  ++length_;
  if (runner.config != nullptr) count_step(batch_.plan.sequences[0], result.pages_read[0]);
  return std::span<const float>(logits_);
}

void FlowLab::count_step(const SequencePlan& plan, int64_t read) {
  const auto variant = static_cast<size_t>(current_ - runners_.data());
  const auto rows = static_cast<int64_t>(current_->report.layers_sparse.size()) * config().kv_heads;
  const int64_t held = rows * plan.pages;
  reads_.sparsity.pages_read += read;
  reads_.sparsity.pages_held += held;
  reads_.page_bytes += read * kv_bytes_per_page(variant);
  reads_.held_bytes += held * kv_bytes_per_page(variant);
  ++(plan.sparse() ? reads_.sparsity.steps_sparse : reads_.sparsity.steps_dense);
  if (!plan.sparse()) return;
  const int64_t scored = plan.pages - current_->config->block_reserved_eos;
  reads_.metadata_bytes += rows * scored * metadata_bytes_per_page(variant);
}

Result<LabAnswer> FlowLab::answer(size_t variant, int64_t max_tokens) {
  start(variant);
  const auto& ends = config().eos_ids;
  const int64_t most = std::min(max_tokens, capacity_ - prompt_tokens_);
  LabAnswer answer;
  for (std::span<const float> logits = prompt_logits_;;) {
    const int32_t token = sample::argmax(logits);
    answer.tokens.push_back(token);
    if (std::ranges::find(ends, token) != ends.end() || static_cast<int64_t>(answer.tokens.size()) >= most) break;
    VORTEX_ASSIGN_OR_RETURN(logits, step(token));
  }
  answer.text = decode_text(answer.tokens);
  answer.reads = reads_;
  return answer;
}

std::string FlowLab::decode_text(std::span<const int32_t> tokens) const {
  if (!codec_) return {};
  text::IncrementalDecoder decoder(codec_->tokenizer(), /*skip_special=*/true);
  const auto& ends = config().eos_ids;
  std::string text;
  for (int32_t token : tokens)
    if (std::ranges::find(ends, token) == ends.end()) text += decoder.push(token);
  return text + decoder.finish();
}

}  // namespace vortex
