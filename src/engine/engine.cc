#include "vortex/engine.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <variant>

#include "base/log.h"
#include "comm/processors.h"
#include "engine/engine_core.h"
#include "engine/rank_options.h"

namespace vortex {
namespace {

struct Submit {
  uint64_t id;
  GenerateRequest request;
  StreamCallback callback;
};
struct Cancel {
  uint64_t id;
};
/// What the engine needs outside itself is gone.
struct Fail {
  Error error;
};
using Message = std::variant<Submit, Cancel, Fail>;

sample::SamplingParams sampling_from(const GenerationDefaults& d) {
  sample::SamplingParams p;
  if (d.do_sample.has_value() && !*d.do_sample) p.temperature = 0.0;
  if (d.temperature && p.temperature > 0) p.temperature = *d.temperature;
  if (d.top_p) p.top_p = *d.top_p;
  if (d.min_p) p.min_p = *d.min_p;
  if (d.top_k) p.top_k = *d.top_k;
  if (d.repetition_penalty) p.repetition_penalty = *d.repetition_penalty;
  return p;
}

void report_refusal(uint64_t id, int n, const StreamCallback& callback, const Error& error) {
  if (!callback) return;
  Completion refused;
  refused.finish_reason = FinishReason::kError;
  refused.error = error;
  for (int index = 0; index < std::max(n, 1); ++index) {
    StreamEvent event;
    event.id = id;
    event.index = index;
    event.completion = &refused;
    callback(event);
  }
}

Error engine_stopped(std::string why) {
  return {ErrorCode::kInternal, "engine", std::move(why), "restart it, and report this"};
}

/// What every request hears, now and later.
Error engine_lost(const Error& why) {
  return {ErrorCode::kInternal, "engine", fmt::format("{}: {}", why.where, why.message), why.hint};
}

Error no_memory(const char* what) {
  return {ErrorCode::kUnavailable, "engine", fmt::format("no memory {}", what), "try again, or send less at once"};
}

int64_t now_ns() { return Generation::Clock::now().time_since_epoch().count(); }

}  // namespace

struct Engine::State {
  std::unique_ptr<TextCodec> codec;
  std::unique_ptr<comm::Group> group;
  std::unique_ptr<EngineCore> core;
  EngineInfo info;
  sample::SamplingParams default_sampling;

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Message> inbox;               // guarded by mutex
  bool stopping = false;                   // guarded by mutex
  uint64_t next_id = 1;                    // guarded by mutex
  EngineStats stats;                       // guarded by mutex
  std::optional<Error> failure;            // guarded by mutex
  std::atomic<int64_t> step_began_ns = 0;  // 0 between steps
  std::thread thread;

  void run();
  void run_step();
  Status add(Submit* submit);
  void stop_for_good(const Error& why);
  bool take_messages(std::deque<Message>* out);
  void handle(Message message);
  void post(Message message);
};

/// Waits for work when the core is idle. False when the engine stops.
bool Engine::State::take_messages(std::deque<Message>* out) {
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return stopping || !inbox.empty() || (!core->idle() && !failure); });
  out->swap(inbox);
  return !stopping;
}

void Engine::State::handle(Message message) {
  if (const auto* cancel = std::get_if<Cancel>(&message)) return core->cancel(cancel->id);
  if (const auto* fail = std::get_if<Fail>(&message)) return stop_for_good(engine_lost(fail->error));
  Submit& submit = std::get<Submit>(message);
  const int n = submit.request.n;
  const Status status = failure ? Status(*failure) : add(&submit);
  if (!status.ok()) report_refusal(submit.id, n, submit.callback, status.error());
}

Status Engine::State::add(Submit* submit) {
  try {
    return core->add(submit->id, std::move(submit->request), submit->callback);
  } catch (const std::bad_alloc&) {
    core->forget(submit->id);
    return no_memory("for the request");
  }
}

void Engine::State::run() {
  const ThrowOnCheckFailure scope;
  const comm::BoundThread bound(group->processors());
  std::deque<Message> messages;
  while (take_messages(&messages)) {
    try {
      for (Message& message : messages) handle(std::move(message));
      messages.clear();
      if (!core->idle() && !failure) run_step();
    } catch (const StepFailed& failed) {
      stop_for_good(engine_lost(failed.error));
    } catch (const std::exception& error) {
      stop_for_good(engine_stopped(error.what()));
    }
    const std::lock_guard lock(mutex);
    stats = core->stats();
  }
  for (Message& message : messages) handle(std::move(message));
  core->cancel_all();
}

/// A step that finds no memory ends the requests it was for; those that come next may be smaller.
void Engine::State::run_step() {
  step_began_ns = now_ns();
  try {
    core->step();
  } catch (const std::bad_alloc&) {
    core->fail_all(no_memory("for the step"));
  }
  step_began_ns = 0;
  if (core->idle()) {
    const Status books = core->check_integrity();
    VORTEX_CHECK(books.ok(), "{}", books.error().to_string());
  }
}

/// Our own bug, so that the books cannot be trusted any more, or a device or rank that is gone. Everybody hears of it,
/// and whoever comes later too.
void Engine::State::stop_for_good(const Error& why) {
  if (failure) return;
  log_error("the engine stopped: {}", why.to_string());
  {
    const std::lock_guard lock(mutex);
    failure = why;
  }
  step_began_ns = 0;
  core->abandon(*failure);
}

void Engine::State::post(Message message) {
  {
    const std::lock_guard lock(mutex);
    inbox.push_back(std::move(message));
  }
  wake.notify_one();
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Engine>> Engine::create(const EngineOptions& options) {
  const auto start = Generation::Clock::now();
  VORTEX_RETURN_IF_ERROR(validate(options));
  auto state = std::make_unique<State>();
  const bool dummy = options.load_format == "dummy";
  VORTEX_ASSIGN_OR_RETURN(auto files, open_model(options));
  VORTEX_RETURN_IF_ERROR(files->check_split(options.tensor_parallel_size));  // once, not by every rank
  if (!dummy || files->tokenizer_json()) {
    VORTEX_ASSIGN_OR_RETURN(state->codec, TextCodec::create(*files));
  }
  if (options.generation_config != "none") state->default_sampling = sampling_from(files->generation_defaults());
  const text::Tokenizer* tokenizer = state->codec ? &state->codec->tokenizer() : nullptr;
  state->info.file_bytes = files->file_bytes();
  VORTEX_ASSIGN_OR_RETURN(state->group, join_ranks(options));
  VORTEX_ASSIGN_OR_RETURN(state->core,
                          EngineCore::create(options, std::move(files), tokenizer, {}, state->group.get()));
  EngineInfo& info = state->info;
  info.config = state->core->config();
  info.max_model_len = state->core->max_length();
  info.kv_bytes = state->core->kv_bytes();
  info.kv_tokens = state->core->kv_tokens();
  info.device = state->core->device_name();
  info.threads = state->core->threads();
  info.flow = state->core->flow() != nullptr ? state->core->flow()->plan().graph.name : "";
  info.load_s = std::chrono::duration<double>(Generation::Clock::now() - start).count();
  log_debug("loaded {} in {:.2f} s: {} layers, context {}, {} threads", options.model, info.load_s, info.config.layers,
            info.max_model_len, info.threads);
  state->stats = state->core->stats();
  State* raw = state.get();
  state->group->communicator().on_failure([raw](const Error& error) { raw->post(Fail{error}); });
  state->thread = std::thread([raw] { raw->run(); });
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Engine::~Engine() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
  // The ranks leave when the core does, and nobody posts a failure after the group.
  state_->core.reset();
  state_->group.reset();
}

const EngineInfo& Engine::info() const { return state_->info; }
const TextCodec* Engine::codec() const { return state_->codec.get(); }
sample::SamplingParams Engine::default_sampling() const { return state_->default_sampling; }

EngineStats Engine::stats() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stats;
}

std::optional<Error> Engine::failure() const {
  const std::lock_guard lock(state_->mutex);
  return state_->failure;
}

double Engine::step_running_s() const {
  const int64_t began = state_->step_began_ns;
  return began == 0 ? 0 : static_cast<double>(now_ns() - began) * 1e-9;
}

const std::vector<int32_t>& Engine::end_ids() const { return state_->core->eos_ids(); }
Status Engine::check(const GenerateRequest& request) const { return state_->core->check(request); }

/// Its answers take as many numbers.
uint64_t Engine::submit(GenerateRequest request, StreamCallback callback) {
  uint64_t id = 0;
  {
    const std::lock_guard lock(state_->mutex);
    id = state_->next_id;
    state_->next_id += static_cast<uint64_t>(std::max(request.n, 1));
  }
  state_->post(Submit{id, std::move(request), std::move(callback)});
  return id;
}

void Engine::cancel(uint64_t id) { state_->post(Cancel{id}); }

Result<Completion> Engine::generate(GenerateRequest request, StreamCallback callback) {
  VORTEX_CHECK(request.n == 1, "generate() gives one answer, submit() {}", request.n);
  std::promise<Completion> done;
  submit(std::move(request), [&](const StreamEvent& event) {
    if (callback) callback(event);
    if (event.completion != nullptr) done.set_value(*event.completion);
  });
  Completion completion = done.get_future().get();
  if (completion.error) return *completion.error;
  return completion;
}

}  // namespace vortex
