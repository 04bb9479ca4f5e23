// One step of EngineCore: what is to run, launched; what has run, reported and sampled.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/stopwatch.h"
#include "engine/engine_core.h"
#include "engine/step_plan.h"

namespace vortex {
namespace {

double now_s() { return std::chrono::duration<double>(Generation::Clock::now().time_since_epoch()).count(); }

/// Where to count a step of `tokens`.
size_t iteration_bucket(int64_t tokens) {
  const auto& bounds = EngineStats::kIterationBuckets;
  return static_cast<size_t>(std::ranges::lower_bound(bounds, tokens) - bounds.begin());
}

constexpr int32_t kKnown = -1;

/// Of a step of decodes, where each chunk has one row of logits: that of `s`, which comes after `row`.
int32_t next_row(const sched::StepBatch& step, int32_t row, const sched::Sequence& s) {
  do {
    ++row;
  } while (step[static_cast<size_t>(row)].sequence != &s);
  return row;
}

bool drawn_on_device(const model::Batch& batch, size_t row) {
  return !batch.draws.empty() && batch.draws[row].on_device;
}

}  // namespace

void EngineCore::step() {
  double seconds = 0;
  waited_s_ = 0;
  {
    const Stopwatch watch(&seconds);
    expire();
    if (in_flight_ == 0 && !launch_next()) return;
    launch_ahead();
    finish_oldest();
  }
  if (!last_only_decodes_) return;
  ++stats_.decode_steps;
  stats_.decode_host_s += seconds - waited_s_;
}

/// Asked for what the last step decoded, which the next one will nearly repeat.
int64_t EngineCore::paced_tokens() const { return last_decodes_ == 0 ? INT64_MAX : pacer_->allowance(last_decodes_); }

bool EngineCore::launch_next() {
  sched::StepBatch scheduled = scheduler_->next_step(paced_tokens());
  VORTEX_CHECK(!scheduled.empty() || scheduler_->idle(), "nothing to run with {} waiting", scheduler_->waiting());
  if (scheduled.empty()) return false;
  launch(std::move(scheduled), nullptr);
  return true;
}

/// The step after the one that is under way, where only the device needs to know that one's tokens.
bool EngineCore::launch_ahead() {
  if (in_flight_ != 1 || runner().depth() < 2) return false;
  const Flight& before = flights_[oldest_];
  const auto& draws = before.batch.draws;
  if (draws.empty() || !std::ranges::all_of(draws, &model::TokenDraw::on_device)) return false;
  if (recorder_ && !recorder_->idle()) return false;
  const auto ends = [this](const sched::Sequence& s) { return generations_.at(s.id)->ends_after(0); };
  sched::StepBatch scheduled = scheduler_->next_decodes(before.scheduled, ends);
  if (scheduled.empty()) return false;
  launch(std::move(scheduled), &before);
  return true;
}

/// `before`: the step under way whose tokens this one continues.
void EngineCore::launch(sched::StepBatch scheduled, const Flight* before) {
  Flight& flight = flights_[(oldest_ + in_flight_) % 2];
  flight.scheduled = std::move(scheduled);
  flight.launched = now_s();
  fill_batch(before, &flight);
  const Status launched = runner().launch(flight.batch, recorder_ && !recorder_->idle() ? recorder_.get() : nullptr);
  if (!launched.ok()) throw StepFailed(launched.error());
  ++in_flight_;
}

void EngineCore::finish_oldest() {
  Flight& flight = flights_[oldest_];
  oldest_ = 1 - oldest_;
  --in_flight_;
  const auto result = wait_for(flight.batch);
  if (!result.ok()) throw StepFailed(result.error());
  report_decodes(flight, **result);
  scheduler_->finish_step(flight.scheduled);
  count_step(flight);
  for (const model::FlowFailure& failure : (*result)->failures)
    if (const auto* failed = flight.scheduled[static_cast<size_t>(failure.sequence)].sequence; failed != nullptr)
      fail(failed->id, failure.error);
  sample(flight, **result);
  flight.scheduled.clear();
}

Result<const model::StepResult*> EngineCore::wait_for(const model::Batch& batch) {
  const Stopwatch watch(&waited_s_);
  return runner().finish(logits_of(batch));
}

/// What is under way is waited for, and nobody hears of it.
void EngineCore::discard_flights() {
  for (; in_flight_ > 0; --in_flight_, oldest_ = 1 - oldest_) {
    const auto result = runner().finish(logits_of(flights_[oldest_].batch));
    if (!result.ok()) log_error("{}", result.error().to_string());
  }
  for (Flight& flight : flights_) flight.scheduled.clear();
}

/// Null when none go to the host.
float* EngineCore::logits_of(const model::Batch& batch) {
  if (!batch.draws.empty() && std::ranges::all_of(batch.draws, &model::TokenDraw::on_device)) return nullptr;
  logits_.resize(batch.logit_tokens.size() * static_cast<size_t>(config().vocab_size));
  return logits_.data();
}

void EngineCore::fill_batch(const Flight* before, Flight* flight) {
  model::Batch& batch = flight->batch;
  batch.clear();
  if (recorder_) recorder_->clear();
  const model::RunnerLimits limits = runner_limits();
  batch.plan.kv_heads = kv_heads_here();
  batch.plan.reserved_bos = limits.reserved_bos;
  batch.plan.reserved_eos = limits.reserved_eos;
  int32_t row = kKnown;
  for (sched::Chunk& chunk : flight->scheduled) {
    const sched::Sequence& s = *chunk.sequence;
    if (before != nullptr) row = next_row(before->scheduled, row, s);
    if (generations_.at(s.id)->on_start(s)) runner().fill_synthetic(s.table.slabs(), s.computed);
    add_tokens(chunk, row, &batch);
    batch.slices.push_back({s.table.slabs(), chunk.begin, chunk.count});
    add_logit_rows(chunk, before == nullptr ? 0 : 1, &batch);
    if (chunk.decode) plan_decode(&batch, &chunk);
  }
  if (std::ranges::none_of(batch.draws, &model::TokenDraw::on_device)) batch.draws.clear();
}

/// `row`: of the logits that the token is drawn from where only the device will know it, else kKnown.
void EngineCore::add_tokens(const sched::Chunk& chunk, int32_t row, model::Batch* batch) const {
  const sched::Sequence& s = *chunk.sequence;
  for (int64_t i = chunk.begin; i < chunk.begin + chunk.count; ++i) {
    batch->ids.push_back(row == kKnown ? s.tokens[static_cast<size_t>(i)] : 0);
    batch->positions.push_back(static_cast<int32_t>(i));
    if (row != kKnown) batch->draw_of.push_back(row);
  }
}

/// Of the whole chunk for the log-probabilities of a prompt, else of its last token.
void EngineCore::add_logit_rows(const sched::Chunk& chunk, int64_t ahead, model::Batch* batch) {
  Generation& generation = *generations_.at(chunk.sequence->id);
  const int64_t end = batch->tokens();
  const bool whole = generation.wants_prompt_logprobs() && !chunk.decode;
  for (int64_t i = whole ? end - chunk.count : end - (chunk.last ? 1 : 0); i < end; ++i)
    batch->logit_tokens.push_back(i);
  if (!runner().draws_on_device()) return;
  batch->draws.resize(batch->logit_tokens.size());
  if (!chunk.last) return;
  if (const auto draw = generation.next_draw(ahead)) batch->draws.back() = *draw;
}

void EngineCore::plan_decode(model::Batch* batch, sched::Chunk* chunk) {
  const sched::Sequence& s = *chunk->sequence;
  Generation& generation = *generations_.at(s.id);
  const PageBudget* budget = generation.budget() ? &*generation.budget() : budget_ ? &*budget_ : nullptr;
  ++batch->decodes;
  batch->plan.sequences.push_back(plan_sequence(s.table.slabs(), chunk->begin + 1, store_->layout().page_tokens,
                                                generation.dense() ? nullptr : budget));
  if (flow_ != nullptr && flow_->plan().saves()) batch->plan.sequences.back().state = generation.flow_state(s);
  chunk->sparse = batch->plan.sequences.back().sparse();
  if (generation.selections() != nullptr) record_decode(*batch, generation.selections());
}

/// Of the sequence that was planned last.
void EngineCore::record_decode(const model::Batch& batch, SelectionRecord* record) {
  record->layers = report_template_.layers_sparse;
  record->kv_heads = config().kv_heads;
  record->page_tokens = report_template_.page_size;
  recorder_->watch(static_cast<int>(batch.plan.sequences.size()) - 1, batch.plan.sequences.back(), record);
}

void EngineCore::report_decodes(const Flight& flight, const model::StepResult& result) {
  stats_.attention_s += result.attention_s;
  if (flow_ == nullptr) return;
  const auto rows = static_cast<int64_t>(report_template_.layers_sparse.size()) * config().kv_heads;
  stats_.selection_s += result.selection_s;
  for (int64_t i = 0; i < flight.batch.decodes; ++i) {
    const sched::Sequence* sequence = flight.scheduled[static_cast<size_t>(i)].sequence;
    if (sequence == nullptr) continue;
    const SequencePlan& plan = flight.batch.plan.sequences[static_cast<size_t>(i)];
    const int64_t held = rows * plan.pages, read = result.pages_read[static_cast<size_t>(i)];
    generations_.at(sequence->id)->on_decode(held, read, plan.sparse());
    stats_.sparse_pages_held += held;
    stats_.sparse_pages_read += read;
    ++(plan.sparse() ? stats_.decodes_sparse : stats_.decodes_dense);
  }
}

/// A step that waited for the one before it took what passed since that one ended.
void EngineCore::count_step(const Flight& flight) {
  const double now = now_s();
  const double seconds = now - std::max(flight.launched, std::exchange(last_finish_, now));
  int64_t tokens = 0;
  for (const sched::Chunk& chunk : flight.scheduled) tokens += chunk.count;
  last_decodes_ = flight.batch.decodes;
  last_only_decodes_ = last_decodes_ == tokens;
  pacer_->observe(last_decodes_, tokens - last_decodes_, seconds);
  stats_.step_s += seconds;
  stats_.iteration_tokens += tokens;
  ++stats_.iteration_counts[iteration_bucket(tokens)];
}

void EngineCore::sample(const Flight& flight, const model::StepResult& result) {
  const model::Batch& batch = flight.batch;
  size_t row = 0, token = 0;
  const auto vocab = static_cast<size_t>(config().vocab_size);
  for (const sched::Chunk& chunk : flight.scheduled) {
    const size_t first = row;
    token += static_cast<size_t>(chunk.count);
    while (row < batch.logit_tokens.size() && static_cast<size_t>(batch.logit_tokens[row]) < token) ++row;
    if (chunk.sequence == nullptr) continue;
    if (row > first && drawn_on_device(batch, row - 1)) {
      sample_chunk(chunk, {}, result.tokens[row - 1]);
    } else {
      const std::span<float> rows =
          row == first ? std::span<float>() : std::span(logits_).subspan(first * vocab, (row - first) * vocab);
      sample_chunk(chunk, rows, model::kHostLogits);
    }
  }
}

/// `rows` are the logits of the chunk that were asked for, unless the device has `drawn` the token. A generation that
/// failed in the step is not there any more.
void EngineCore::sample_chunk(const sched::Chunk& chunk, std::span<float> rows, int32_t drawn) {
  sched::Sequence* sequence = chunk.sequence;
  const uint64_t id = sequence->id;
  const auto found = generations_.find(id);
  if (found == generations_.end()) return remove(id);
  if (drawn == model::kCorruptedLogits || !sample::all_finite(rows)) return end_corrupted(sequence);
  Generation& generation = *found->second;
  const auto vocab = static_cast<size_t>(config().vocab_size);
  const auto count = static_cast<int64_t>(rows.size() / vocab);
  if (generation.wants_prompt_logprobs() && !chunk.decode) {
    for (int64_t i = 0; i < count; ++i)
      generation.on_prompt_logits(sequence->computed - count + i, rows.subspan(static_cast<size_t>(i) * vocab, vocab),
                                  *sequence);
  }
  if (sequence->computed == sequence->prompt_tokens) publish_prompt(sequence);
  if (!chunk.last) return generation.on_progress(sequence->computed);
  const size_t before = sequence->tokens.size();
  const bool done = drawn == model::kHostLogits ? generation.on_logits(rows.last(vocab), sequence)
                                                : generation.on_token(drawn, sequence);
  stats_.generation_tokens += static_cast<int64_t>(sequence->tokens.size() - before);
  if (!done) return;
  scheduler_->publish(sequence);
  end(id);
}

void EngineCore::publish_prompt(sched::Sequence* sequence) {
  scheduler_->publish(sequence);
  stats_.prompt_tokens += sequence->prompt_tokens;
}

/// A NaN would spread to whoever met these pages: they are overwritten, and none of them is kept.
void EngineCore::end_corrupted(sched::Sequence* sequence) {
  for (SlabId slab : sequence->table.slabs())
    if (allocator_->references(slab) == 1) erase(slab);
  ++stats_.corrupted_requests;
  const uint64_t id = sequence->id;
  fail(id, {ErrorCode::kInternal, "logits", "the model computed numbers that are not finite", ""});
  remove(id);
}

void EngineCore::erase(SlabId slab) {
  Status erased = store_->erase(slab);
  if (erased.ok() && model_.leader != nullptr) erased = model_.leader->erase_elsewhere(slab);
  if (!erased.ok()) log_error("{}", erased.error().to_string());
}

}  // namespace vortex
