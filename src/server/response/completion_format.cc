#include <map>

#include "server/response/answer_format.h"

namespace vortex::server {
namespace {

class CompletionFormat final : public AnswerFormat {
 public:
  CompletionFormat(const OutputOptions& output, CompletionOutput completion, TokenNames names)
      : output_(output), completion_(std::move(completion)), names_(names) {}

  const char* id_prefix() const override { return "cmpl-"; }
  const char* object(bool) const override { return "text_completion"; }
  std::unique_ptr<OutputParser> make_parser() const override {
    return *make_output_parser({});  // all is content
  }

  Json opening(int index) override {
    if (completion_.echoes.empty()) return nullptr;
    return piece(index, echo_of(index), nullptr, nullptr);
  }

  std::vector<Json> pieces(int index, const Delta& delta, const Ending* ending) override {
    const bool shown = delta.has_text() || shows_logprobs(delta) || (output_.token_ids && !delta.tokens.empty());
    if (!shown && ending == nullptr) return {};
    Json logprobs;
    if (shows_logprobs(delta)) {
      int64_t& offset = offsets_[index];
      CompletionLogprobs lists(names_, offset);
      for (const TokenLogprobs& entry : delta.logprobs) lists.add(entry, completion_.logprobs);
      offset = lists.offset();
      logprobs = lists.take();
    }
    Json out = piece(index, delta.content, std::move(logprobs), ending);
    if (output_.token_ids && !delta.tokens.empty()) out["token_ids"] = delta.tokens;
    return {std::move(out)};
  }

  Json choice(const FinishedAnswer& answer) override {
    Json out = piece(answer.index, echo_of(answer.index) + answer.delta->content, logprobs(answer), answer.ending);
    if (output_.token_ids) {
      out["token_ids"] = answer.delta->tokens;
      out["prompt_token_ids"] = *answer.prompt;
    }
    if (output_.prompt_logprobs >= 0)
      out["prompt_logprobs"] =
          prompt_logprobs_json(answer.completion->prompt_logprobs, output_.prompt_logprobs, names_);
    return out;
  }

  void finish_object(const FinishedAnswer&, Json*) override {}

 private:
  bool shows_logprobs(const Delta& delta) const { return completion_.logprobs >= 0 && !delta.logprobs.empty(); }

  std::string echo_of(int index) const {
    if (completion_.echoes.empty()) return "";
    return completion_.echoes[static_cast<size_t>(index / output_.n)];
  }

  Json logprobs(const FinishedAnswer& answer) const {
    if (completion_.logprobs < 0) return nullptr;
    CompletionLogprobs lists(names_, 0);
    if (!completion_.echoes.empty()) {
      lists.add_first(answer.prompt->front());
      for (const TokenLogprobs& entry : answer.completion->prompt_logprobs) lists.add(entry, completion_.logprobs);
    }
    for (const TokenLogprobs& entry : answer.delta->logprobs) lists.add(entry, completion_.logprobs);
    return lists.take();
  }

  Json piece(int index, const std::string& text, Json logprobs, const Ending* ending) const {
    Json out = {{"index", index}, {"text", text}, {"logprobs", std::move(logprobs)}};
    out["finish_reason"] = ending == nullptr ? Json(nullptr) : Json(ending->finish_reason);
    out["stop_reason"] = ending == nullptr ? Json(nullptr) : stop_reason_json(*ending);
    return out;
  }

  OutputOptions output_;
  CompletionOutput completion_;
  TokenNames names_;
  std::map<int, int64_t> offsets_;  // by choice: characters streamed so far
};

}  // namespace

std::unique_ptr<AnswerFormat> make_completion_format(const OutputOptions& output, CompletionOutput completion,
                                                     TokenNames names) {
  return std::make_unique<CompletionFormat>(output, std::move(completion), names);
}

}  // namespace vortex::server
