#include "server/call.h"

#include <algorithm>
#include <ctime>

#include "engine/sparsity_json.h"
#include "server/response/error_answer.h"
#include "server/response/response_json.h"

namespace vortex::server {
namespace {

constexpr std::chrono::seconds kPingInterval{15};

HttpResponse stream_head() {
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}};
  return head;
}

std::string openai_reason(const Completion& completion, bool called_tool) {
  if (called_tool && completion.finish_reason == FinishReason::kStop) return "tool_calls";
  return std::string(finish_reason_name(completion.finish_reason));
}

ApiError answer_error(const Completion& completion) {
  if (completion.error) return engine_error(*completion.error);
  return unavailable("cancelled", "The request was cancelled.");
}

}  // namespace

Call::Call(CallHost& host, const HttpRequest& request, std::shared_ptr<Responder> responder,
           SequenceQuota::Ticket ticket)
    : host_(host),
      responder_(std::move(responder)),
      request_id_(request.id),
      arrived_(request.arrived),
      created_(std::time(nullptr)),
      ticket_(std::move(ticket)),
      cancelled_(std::make_shared<std::atomic<bool>>(false)) {}

void Call::refuse(const ApiError& error, int retry_after_s) {
  answered_ = true;
  host_.on_refused(error);
  responder_->send(error_answer(error, retry_after_s));
}

const std::vector<uint64_t>& Call::start(PreparedRequest prepared) {
  prepared_ = std::move(prepared);
  made_ = prepared_.prompts.front().n;
  answers_.resize(prepared_.prompts.size() * static_cast<size_t>(made_));
  running_ = answers_.size();
  for (Answer& answer : answers_) answer.parser = prepared_.format->make_parser();
  for (GenerateRequest& request : prepared_.prompts) {
    prompts_.push_back(request.prompt);
    ids_.push_back(host_.submit(std::move(request)));
  }
  prepared_.prompts.clear();
  return ids_;
}

size_t Call::answer_number(const AnswerEvent& event) const {
  const auto prompt = std::find(ids_.begin(), ids_.end(), event.id) - ids_.begin();
  return static_cast<size_t>(prompt) * static_cast<size_t>(made_) + static_cast<size_t>(event.index);
}

int Call::choice_index(size_t number) const {
  const auto made = static_cast<size_t>(made_);
  return static_cast<int>(number / made) * prepared_.output.n + static_cast<int>(number % made);
}

void Call::on_event(AnswerEvent event) {
  const size_t number = answer_number(event);
  Answer& answer = answers_[number];
  if (event.completion != nullptr) {
    --running_;
    host_.on_answer(*event.completion, std::chrono::duration<double>(Clock::now() - arrived_).count());
  }
  if (answered_) return;
  const bool failed = event.completion != nullptr && (event.completion->error.has_value() ||
                                                      event.completion->finish_reason == FinishReason::kCancelled);
  if (failed) return fail(answer_error(*event.completion));
  leave_queue();
  Delta delta(answer.parser->push(event.text));
  if (event.completion != nullptr) append(Delta(answer.parser->finish()), &delta);
  if (event.token) {
    ++answer.tokens;
    if (prepared_.output.token_ids) delta.tokens.push_back(*event.token);
  }
  if (event.logprobs) delta.logprobs.push_back(*std::move(event.logprobs));
  answer.called_tool |= !delta.calls.empty();
  if (event.completion != nullptr) end_answer(&answer, std::move(event.completion));
  if (prepared_.output.stream) {
    stream_delta(number, std::move(delta));
  } else {
    append(std::move(delta), &answer.whole);
  }
  const auto is_over = [](const Answer& a) { return a.ending.has_value(); };
  if (answer.ending && std::all_of(answers_.begin(), answers_.end(), is_over)) finish();
}

/// The status of a stream waits for this: until then an error has a status of its own.
void Call::leave_queue() {
  if (std::exchange(left_queue_, true)) return;
  ticket_.leave_queue();
  if (!prepared_.output.stream) return;
  responder_->begin(stream_head());
  last_write_ = Clock::now();
  for (size_t number = 0; number < answers_.size(); ++number)
    if (Json choice = prepared_.format->opening(choice_index(number)); !choice.is_null()) {
      Json chunk = envelope(/*chunk=*/true);
      chunk["choices"] = Json::array({std::move(choice)});
      write_event(chunk);
    }
}

void Call::end_answer(Answer* answer, std::shared_ptr<const Completion> completion) {
  const bool named = prepared_.output.forced_call;
  answer->ending = Ending{openai_reason(*completion, answer->called_tool && !named), completion->stop_reason};
  answer->completion = std::move(completion);
}

void Call::stream_delta(size_t number, Delta delta) {
  const Answer& answer = answers_[number];
  const Ending* const ending = answer.ending ? &*answer.ending : nullptr;
  const bool last = ending != nullptr && running_ == 0;
  std::vector<Json> choices = prepared_.format->pieces(choice_index(number), delta, ending);
  for (size_t i = 0; i < choices.size(); ++i) {
    Json chunk = envelope(/*chunk=*/true);
    chunk["choices"] = Json::array({std::move(choices[i])});
    if (prepared_.output.continuous_usage) chunk["usage"] = usage();
    if (last && i + 1 == choices.size() && prepared_.output.sparsity_report)
      chunk["vortex"] = sparsity_json(sparsity());
    write_event(chunk);
  }
}

void Call::finish() {
  if (prepared_.output.stream) return finish_stream();
  answered_ = true;
  Json object = envelope(/*chunk=*/false);
  Json choices = Json::array();
  for (size_t prompt = 0; prompt < prompts_.size(); ++prompt)
    for (const size_t number : best_answers(prompt))
      choices.push_back(prepared_.format->choice(finished(number, static_cast<int>(choices.size()))));
  object["choices"] = std::move(choices);
  object["usage"] = usage();
  prepared_.format->finish_object(finished(0, 0), &object);
  if (prepared_.output.sparsity_report) object["vortex"] = sparsity_json(sparsity());
  HttpResponse response;
  response.body = to_text(object);
  responder_->send(std::move(response));
}

void Call::finish_stream() {
  answered_ = true;
  if (prepared_.output.include_usage) {
    Json chunk = envelope(/*chunk=*/true);
    chunk["choices"] = Json::array();
    chunk["usage"] = usage();
    write_event(chunk);
  }
  out_ += "data: [DONE]\n\n";
  flush();
  responder_->end();
}

/// All answers to a prompt, or the best of them by mean log-probability.
std::vector<size_t> Call::best_answers(size_t prompt) const {
  const auto made = static_cast<size_t>(made_);
  std::vector<size_t> numbers(made);
  for (size_t i = 0; i < made; ++i) numbers[i] = prompt * made + i;
  const auto mean = [&](size_t number) {
    const Completion& c = *answers_[number].completion;
    return c.cumulative_logprob / static_cast<double>(std::max<size_t>(c.tokens.size(), 1));
  };
  const auto wanted = static_cast<size_t>(prepared_.output.n);
  if (wanted < made)
    std::stable_sort(numbers.begin(), numbers.end(), [&](size_t a, size_t b) { return mean(a) > mean(b); });
  numbers.resize(wanted);
  return numbers;
}

FinishedAnswer Call::finished(size_t number, int index) const {
  const Answer& answer = answers_[number];
  return {index, &answer.whole, &*answer.ending, answer.completion.get(),
          &prompts_[number / static_cast<size_t>(made_)]};
}

Json Call::envelope(bool chunk) const {
  const AnswerFormat& format = *prepared_.format;
  return {{"id", format.id_prefix() + request_id_},
          {"object", format.object(chunk)},
          {"created", created_},
          {"model", prepared_.output.model}};
}

Json Call::usage() const {
  UsageSums sums;
  for (const auto& prompt : prompts_) sums.prompt_tokens += static_cast<int64_t>(prompt.size());
  for (size_t i = 0; i < answers_.size(); ++i) {
    const Answer& answer = answers_[i];
    sums.completion_tokens += answer.tokens;
    if (answer.completion && i % static_cast<size_t>(made_) == 0)
      sums.cached_tokens += answer.completion->usage.cached_tokens;
  }
  return usage_json(sums);
}

SparsityReport Call::sparsity() const {
  SparsityReport sum;
  for (const Answer& answer : answers_)
    if (answer.completion) sum.add(answer.completion->sparsity);
  return sum;
}

void Call::write_event(const Json& object) {
  out_ += "data: ";
  out_ += to_text(object);
  out_ += "\n\n";
}

void Call::flush() {
  if (out_.empty()) return;
  last_write_ = Clock::now();
  responder_->write(std::exchange(out_, {}));
}

void Call::fail(const ApiError& error) {
  if (answered_) return;
  answered_ = true;
  cancel_all();
  host_.on_refused(error);
  if (!left_queue_ || !prepared_.output.stream) return responder_->send(error_answer(error));
  write_event(error_json(error));
  flush();
  responder_->end();
}

void Call::abandon() {
  if (std::exchange(answered_, true)) return;
  cancel_all();
}

void Call::cancel_all() {
  *cancelled_ = true;
  for (size_t prompt = 0; prompt < ids_.size(); ++prompt) host_.cancel(ids_[prompt]);
}

void Call::ping(Clock::time_point now) {
  if (answered_ || !left_queue_ || !prepared_.output.stream || now - last_write_ < kPingInterval) return;
  last_write_ = now;
  responder_->write(": ping\n\n");
}

}  // namespace vortex::server
