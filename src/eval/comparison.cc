#include "eval/comparison.h"

#include <array>

#include "base/files.h"
#include "base/median.h"
#include "loader/json.h"

namespace vortex::eval {
namespace {

using nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;

struct Figure {
  const char* path;  // of the result, as a JSON pointer
  bool more_is_better;
};
constexpr std::array kFigures = {Figure{"/prefill_tokens_per_s", true},
                                 Figure{"/decode_tokens_per_s", true},
                                 Figure{"/ttft_s", false},
                                 Figure{"/itl_ms/p50", false},
                                 Figure{"/itl_ms/p99", false},
                                 Figure{"/attention_ms", false},
                                 Figure{"/selection_ms", false},
                                 Figure{"/load_s", false}};
constexpr std::array kTask = {"input_len", "output_len", "batch", "synthetic_context"};

/// The texts of the objects that follow each other in `text`; a last one that has no end is left for the parser.
std::vector<std::string_view> split_objects(std::string_view text) {
  std::vector<std::string_view> objects;
  size_t begin = 0;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && text[i] == '{')
      ++depth;
    else if (!quoted && text[i] == '}' && --depth == 0) {
      objects.push_back(text.substr(begin, i + 1 - begin));
      begin = i + 1;
    }
  }
  if (text.find_first_not_of(" \t\r\n", begin) != std::string_view::npos) objects.push_back(text.substr(begin));
  return objects;
}

json task_of(const json& run) {
  json task;
  for (const char* key : kTask) task[key] = run.value(key, json());
  return task;
}

/// Of the runs that have the figure; nothing when none has (a synthetic context has no prefill).
std::optional<double> median_of(const Runs& contender, const char* path) {
  std::vector<double> values;
  const json::json_pointer at(path);
  for (const json& run : contender.runs)
    if (run.contains(at) && run[at].is_number()) values.push_back(run[at].get<double>());
  return values.empty() ? std::nullopt : std::optional(median(std::move(values)));
}

std::optional<ComparedFigure> compare_figure(std::span<const Runs> contenders, const Figure& figure) {
  ComparedFigure out{.name = figure.path + 1};
  for (const Runs& contender : contenders) {
    const auto value = median_of(contender, figure.path);
    if (!value) return std::nullopt;
    const double base = out.medians.empty() ? *value : out.medians[0];
    const double above = figure.more_is_better ? *value : base, below = figure.more_is_better ? base : *value;
    out.medians.push_back(*value);
    out.ratios.push_back(below > 0 ? above / below : 0);
  }
  return out;
}

}  // namespace

Result<Runs> read_runs(const std::string& path) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kMaxFileBytes));
  Runs out{.name = path};
  for (std::string_view object : split_objects(text)) {
    VORTEX_ASSIGN_OR_RETURN(json run, parse_json(object, path));
    if (!run.is_object() || !run.contains("decode_tokens_per_s"))
      return Error{ErrorCode::kDataLoss, path, "not a result of `vortex bench latency --json`", ""};
    out.runs.push_back(std::move(run));
  }
  if (out.runs.empty()) return Error{ErrorCode::kDataLoss, path, "holds no result", "write it with --json"};
  for (const json& run : out.runs)
    if (task_of(run) != task_of(out.runs[0]))
      return Error{ErrorCode::kInvalidArgument, path,
                   fmt::format("runs of {} and of {}", task_of(out.runs[0]).dump(), task_of(run).dump()),
                   "one file for each task"};
  return out;
}

Result<std::vector<ComparedFigure>> compare(std::span<const Runs> contenders) {
  const json task = task_of(contenders[0].runs[0]);
  for (const Runs& contender : contenders)
    if (task_of(contender.runs[0]) != task)
      return Error{ErrorCode::kInvalidArgument, contender.name,
                   fmt::format("measured {}, the first {}", task_of(contender.runs[0]).dump(), task.dump()), ""};
  std::vector<ComparedFigure> figures;
  for (const Figure& figure : kFigures)
    if (auto compared = compare_figure(contenders, figure)) figures.push_back(std::move(*compared));
  return figures;
}

}  // namespace vortex::eval
