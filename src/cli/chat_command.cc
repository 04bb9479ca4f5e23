#include <cstdio>
#include <iostream>

#include "base/terminal.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/report.h"
#include "cli/sampling_options.h"
#include "cli/streaming.h"

namespace vortex::cli {
namespace {

constexpr const char* kHelp =
    "/help        this list\n"
    "/clear       forget the conversation\n"
    "/system TEXT set the system message and forget the conversation\n"
    "/stats       what the last answer cost\n"
    "/exit        leave (also Ctrl-D); Ctrl-C ends an answer\n";

class ChatCommand final : public Command {
 public:
  std::string_view name() const override { return "chat"; }
  std::string_view summary() const override { return "Talk with a model"; }
  unsigned settings() const override { return kChatCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/true);
    app.add_option("--system", system_, "System message");
    sampling_.add_to(app);
  }

  Status run(const Settings& settings) override {
    VORTEX_RETURN_IF_ERROR(sampling_.check());
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(settings));
    reset();
    if (is_terminal(stderr)) std::fprintf(stderr, "/help lists what you can type beside a message.\n");
    std::string line;
    while (read_line(&line)) {
      if (line.empty()) continue;
      if (line == "/exit" || line == "/quit") break;
      if (line.starts_with('/')) {
        obey(line);
      } else {
        answer(*engine, line);
      }
    }
    return {};
  }

 private:
  void reset() {
    messages_ = Json::array();
    if (!system_.empty()) messages_.push_back({{"role", "system"}, {"content", system_}});
  }

  bool read_line(std::string* line) {
    if (is_terminal(stderr)) std::fprintf(stderr, "> ");
    return static_cast<bool>(std::getline(std::cin, *line));
  }

  void obey(const std::string& line) {
    if (line == "/clear") {
      reset();
    } else if (line.starts_with("/system ")) {
      system_ = line.substr(8);
      reset();
    } else if (line == "/stats") {
      std::fprintf(stderr, "%s\n", stats_.empty() ? "no answer yet" : stats_.c_str());
    } else {
      std::fprintf(stderr, "%s%s", line == "/help" ? "" : (line + " is not known\n").c_str(), kHelp);
    }
  }

  /// A failed or interrupted turn is taken back, so that the conversation stays well formed.
  void answer(Engine& engine, const std::string& text) {
    messages_.push_back({{"role", "user"}, {"content", text}});
    const Result<Completion> completion = complete(engine);
    if (completion.ok()) {
      messages_.push_back({{"role", "assistant"}, {"content", completion->text}});
      stats_ = summary_line(*completion);
      return;
    }
    messages_.erase(messages_.size() - 1);
    std::fprintf(stderr, "\n%s\n", completion.error().to_string().c_str());
  }

  Result<Completion> complete(Engine& engine) {
    GenerateRequest request;
    VORTEX_ASSIGN_OR_RETURN(request.prompt, encode_messages(engine, messages_));
    request.sampling = sampling_.apply(engine.default_sampling(), /*default_max_tokens=*/-1);
    return stream_completion(engine, std::move(request), {.print_text = true, .quiet = true});
  }

  ModelOptions model_;
  SamplingOptions sampling_;
  std::string system_, stats_;
  Json messages_;
};

}  // namespace

std::unique_ptr<Command> make_chat_command() { return std::make_unique<ChatCommand>(); }

}  // namespace vortex::cli
