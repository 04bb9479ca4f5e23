#include "vortex/engine.h"

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <variant>

#include "base/log.h"
#include "engine/engine_core.h"

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
using Message = std::variant<Submit, Cancel>;

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

void report_refusal(const Submit& submit, const Error& error) {
  if (!submit.callback) return;
  Completion refused;
  refused.finish_reason = FinishReason::kError;
  refused.error = error;
  StreamEvent event;
  event.id = submit.id;
  event.completion = &refused;
  submit.callback(event);
}

}  // namespace

struct Engine::State {
  std::unique_ptr<TextCodec> codec;
  std::unique_ptr<EngineCore> core;
  EngineInfo info;
  sample::SamplingParams default_sampling;

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Message> inbox;  // guarded by mutex
  bool stopping = false;      // guarded by mutex
  uint64_t next_id = 1;       // guarded by mutex
  std::thread thread;

  void run();
  bool take_messages(std::deque<Message>* out);
  void handle(Message message);
  void post(Message message);
};

/// Waits for work when the core is idle. False when the engine stops.
bool Engine::State::take_messages(std::deque<Message>* out) {
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return stopping || !inbox.empty() || !core->idle(); });
  out->swap(inbox);
  return !stopping;
}

void Engine::State::handle(Message message) {
  if (const auto* cancel = std::get_if<Cancel>(&message)) return core->cancel(cancel->id);
  Submit& submit = std::get<Submit>(message);
  const StreamCallback callback = submit.callback;
  const Status status = core->add(submit.id, std::move(submit.request), callback);
  if (!status.ok()) report_refusal({submit.id, {}, callback}, status.error());
}

void Engine::State::run() {
  std::deque<Message> messages;
  while (take_messages(&messages)) {
    for (Message& message : messages) handle(std::move(message));
    messages.clear();
    if (!core->idle()) core->step();
  }
  for (Message& message : messages) handle(std::move(message));
  core->cancel_all();
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
  if (!dummy || files->tokenizer_json()) {
    VORTEX_ASSIGN_OR_RETURN(state->codec, TextCodec::create(*files));
  }
  if (options.generation_config != "none") state->default_sampling = sampling_from(files->generation_defaults());
  const text::Tokenizer* tokenizer = state->codec ? &state->codec->tokenizer() : nullptr;
  state->info.file_bytes = files->file_bytes();
  VORTEX_ASSIGN_OR_RETURN(state->core, EngineCore::create(options, std::move(files), tokenizer));
  EngineInfo& info = state->info;
  info.config = state->core->config();
  info.max_model_len = state->core->max_length();
  info.kv_bytes = state->core->kv_bytes();
  info.threads = state->core->threads();
  info.flow = state->core->flow() != nullptr ? state->core->flow()->plan().graph.name : "";
  info.load_s = std::chrono::duration<double>(Generation::Clock::now() - start).count();
  log_debug("loaded {} in {:.2f} s: {} layers, context {}, {} threads", options.model, info.load_s, info.config.layers,
            info.max_model_len, info.threads);
  State* raw = state.get();
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
}

const EngineInfo& Engine::info() const { return state_->info; }
const TextCodec* Engine::codec() const { return state_->codec.get(); }
sample::SamplingParams Engine::default_sampling() const { return state_->default_sampling; }

uint64_t Engine::submit(GenerateRequest request, StreamCallback callback) {
  uint64_t id = 0;
  {
    const std::lock_guard lock(state_->mutex);
    id = state_->next_id++;
  }
  state_->post(Submit{id, std::move(request), std::move(callback)});
  return id;
}

void Engine::cancel(uint64_t id) { state_->post(Cancel{id}); }

Result<Completion> Engine::generate(GenerateRequest request, StreamCallback callback) {
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
