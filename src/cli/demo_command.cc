#include <cstdio>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/report.h"
#include "cli/streaming.h"
#include "loader/hub/resolve.h"

namespace vortex::cli {
namespace {

constexpr const char* kModel = "recall-gqa";
constexpr const char* kFlow = "gqa_quest_sparse_attention";

/// The main job: one long document, one question, answered dense and then sparse by the shipped model.
class DemoCommand final : public Command {
 public:
  std::string_view name() const override { return "demo"; }
  std::string_view summary() const override { return "Answer a question over a 16K-token document, dense and sparse"; }
  unsigned settings() const override { return kRunCommand; }
  void add_options(CLI::App& app) override {
    app.add_option("--file", file_, "Another document");
    app.add_option("--question", question_, "Another question");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(const std::string folder, resolve_model(kModel, {}));
    VORTEX_ASSIGN_OR_RETURN(const std::string document, text_or_default(file_, folder + "/demo/document.txt"));
    VORTEX_ASSIGN_OR_RETURN(const std::string question, question_.empty()
                                                            ? text_or_default("", folder + "/demo/question.txt")
                                                            : Result<std::string>(question_));
    Json messages = Json::array();
    messages.push_back({{"role", "user"}, {"content", document + "\n\n" + question}});
    fmt::print("question: {}\n", question);
    VORTEX_ASSIGN_OR_RETURN(const Completion dense, answer(settings, "", messages));
    VORTEX_ASSIGN_OR_RETURN(const Completion sparse, answer(settings, kFlow, messages));
    print_comparison(dense, sparse);
    return {};
  }

 private:
  static Result<Completion> answer(const Settings& settings, const std::string& flow, const Json& messages) {
    ModelOptions model;
    model.model = kModel;
    if (!flow.empty())
      model.vortex_config = fmt::format(R"({{"module_name": "{}", "topk_val": 29, "block_reserved_eos": 2}})", flow);
    VORTEX_ASSIGN_OR_RETURN(auto engine, model.start(settings));
    GenerateRequest request;
    VORTEX_ASSIGN_OR_RETURN(request.prompt, encode_messages(*engine, messages));
    request.sampling.temperature = 0.0;
    request.sampling.max_tokens = 96;
    fmt::print("\n{}, {} prompt tokens:\n", flow.empty() ? "dense attention" : flow, request.prompt.size());
    std::fflush(stdout);
    return stream_completion(*engine, std::move(request), {});
  }

  static void print_comparison(const Completion& dense, const Completion& sparse) {
    const double dense_rate = dense.timings.decode_tokens_per_s(), sparse_rate = sparse.timings.decode_tokens_per_s();
    const SparsityReport& s = sparse.sparsity;
    fmt::print("\n{:<10}{:>16}{:>16}{:>14}{:>14}\n", "", "prefill tok/s", "decode tok/s", "pages read", "pages held");
    const auto row = [](const char* name, const Completion& c, double rate, int64_t read, int64_t held) {
      fmt::print("{:<10}{:>16.0f}{:>16.1f}{:>14}{:>14}\n", name, c.timings.prefill_tokens_per_s(c.usage.prompt_tokens),
                 rate, read, held);
    };
    row("dense", dense, dense_rate, s.pages_held, s.pages_held);
    row("sparse", sparse, sparse_rate, s.pages_read, s.pages_held);
    fmt::print("\nsparse decode is {:.1f}x as fast and read {:.1f} % of the pages; the answers {}\n",
               sparse_rate / dense_rate, 100 * s.read_fraction(), dense.text == sparse.text ? "agree" : "differ");
  }

  /// Without the line ends a text file closes with.
  static Result<std::string> text_or_default(const std::string& path, const std::string& fallback) {
    VORTEX_ASSIGN_OR_RETURN(std::string text, read_text(path.empty() ? fallback : path));
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }

  std::string file_, question_;
};

}  // namespace

std::unique_ptr<Command> make_demo_command() { return std::make_unique<DemoCommand>(); }

}  // namespace vortex::cli
