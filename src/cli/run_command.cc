#include <unistd.h>

#include <cstdio>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/report.h"
#include "cli/sampling_options.h"
#include "cli/streaming.h"

namespace vortex::cli {
namespace {

class RunCommand final : public Command {
 public:
  std::string_view name() const override { return "run"; }
  std::string_view summary() const override { return "Answer one prompt"; }
  unsigned settings() const override { return kRunCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/true);
    app.add_option("prompt", prompt_, "The question; standard input when it is left out or -");
    app.add_option("--file,-f", file_, "A document to put before the question");
    app.add_option("--system", system_, "System message");
    app.add_flag("--raw", raw_, "Continue the prompt as plain text, without the chat template");
    app.add_flag("--json", json_, "Print one JSON object instead of the text");
    sampling_.add_to(app);
  }

  Status run(const Settings& settings) override {
    VORTEX_RETURN_IF_ERROR(sampling_.check());
    VORTEX_ASSIGN_OR_RETURN(const std::string question, question_text());
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(settings));
    GenerateRequest request;
    VORTEX_ASSIGN_OR_RETURN(request.prompt, encode(*engine, question));
    request.sampling = sampling_.apply(engine->default_sampling(), /*default_max_tokens=*/-1);
    const StreamOptions stream{.print_text = !json_, .quiet = model_.quiet};
    VORTEX_ASSIGN_OR_RETURN(const Completion completion, stream_completion(*engine, std::move(request), stream));
    if (json_) {
      print_json(completion_json(completion, engine->info()));
    } else if (!model_.quiet) {
      std::fprintf(stderr, "%s\n", summary_line(completion).c_str());
    }
    return {};
  }

 private:
  Result<std::string> question_text() const {
    std::string question = prompt_;
    if (question == "-" || (question.empty() && file_.empty())) {
      if (!isatty(STDIN_FILENO) || question == "-") {
        VORTEX_ASSIGN_OR_RETURN(question, read_text("-"));
      }
      if (question.empty())
        return Error{ErrorCode::kUsage, "run", "no prompt", "give one as the second argument, or pipe it in"};
    }
    if (file_.empty()) return question;
    VORTEX_ASSIGN_OR_RETURN(std::string document, read_text(file_));
    if (question.empty()) return document;
    while (document.ends_with('\n')) document.pop_back();
    return document + "\n\n" + question;
  }

  Result<std::vector<int32_t>> encode(const Engine& engine, const std::string& question) const {
    if (raw_ && engine.codec() != nullptr) return engine.codec()->encode(question);
    Json messages = Json::array();
    if (!system_.empty()) messages.push_back({{"role", "system"}, {"content", system_}});
    messages.push_back({{"role", "user"}, {"content", question}});
    return encode_messages(engine, messages);
  }

  ModelOptions model_;
  SamplingOptions sampling_;
  std::string prompt_, file_, system_;
  bool raw_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace vortex::cli
