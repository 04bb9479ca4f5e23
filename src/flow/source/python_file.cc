#include "flow/source/python_file.h"

#include <fmt/core.h>

#include <map>
#include <span>
#include <vector>

#include "base/files.h"
#include "flow/ir/json.h"
#include "flow/source/python_front_end.h"
#include "toolchain/code_cache.h"

namespace vortex::flow {
namespace {
namespace fs = std::filesystem;
using toolchain::CodeCache;

constexpr int64_t kMaxSourceBytes = 4 << 20;
constexpr int64_t kMaxGraphBytes = int64_t{16} << 20;

/// What the front end said about one file, kept on disk by content.
class Recordings {
 public:
  static Result<Recordings> open(const std::string& path, const std::optional<std::string>& name,
                                 const std::optional<std::string>& cache_dir) {
    VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kMaxSourceBytes));
    VORTEX_ASSIGN_OR_RETURN(PythonFrontEnd front_end, PythonFrontEnd::find());
    VORTEX_ASSIGN_OR_RETURN(const fs::path folder, toolchain::code_cache_folder(cache_dir));
    VORTEX_ASSIGN_OR_RETURN(CodeCache cache, CodeCache::open(folder, ".json"));
    // The path too: places in the graph are written with it.
    const std::string subject = fmt::format("vortex {} graph of python\n{}\n{}\n{}\n{}\n", VORTEX_VERSION,
                                            front_end.identity(), fs::absolute(path).string(), path, name.value_or(""));
    return Recordings(path, name, sha256_of(subject + text), std::move(front_end), std::move(cache));
  }

  const std::string& path() const { return path_; }

  /// The text that was kept for `what`: a shape, or the flow itself.
  std::optional<std::string> find(const std::string& what) const {
    const auto file = cache_.find(key(what));
    if (!file) return std::nullopt;
    const auto text = read_small_file(*file, kMaxGraphBytes);
    return text.ok() ? std::optional(*text) : std::nullopt;
  }

  /// Runs the front end; keeps what it says, but for mistakes: the graphs, or without shapes what the flow is.
  Result<PythonAnswer> record(std::span<const GraphShape> shapes) const {
    VORTEX_ASSIGN_OR_RETURN(const auto scratch, toolchain::ScratchFolder::create(cache_.folder()));
    VORTEX_ASSIGN_OR_RETURN(const PythonAnswer answer, front_end_.record(path_, name_, shapes, scratch.path()));
    if (shapes.empty()) VORTEX_RETURN_IF_ERROR(keep("", describe(answer), answer.files, scratch.path()));
    for (size_t i = 0; i < shapes.size(); ++i)
      if (answer.graphs[i].ok())
        VORTEX_RETURN_IF_ERROR(keep(to_string(shapes[i]), *answer.graphs[i], answer.files, scratch.path()));
    return answer;
  }

  /// "gqa NAME".
  static std::string describe(const PythonAnswer& answer) {
    return (answer.attention == AttentionKind::kMla ? "mla " : "gqa ") + answer.name;
  }

 private:
  Recordings(std::string path, std::optional<std::string> name, std::string subject, PythonFrontEnd front_end,
             CodeCache cache)
      : path_(std::move(path)),
        name_(std::move(name)),
        subject_(std::move(subject)),
        front_end_(std::move(front_end)),
        cache_(std::move(cache)) {}

  std::string key(const std::string& what) const { return sha256_of(subject_ + what); }

  Status keep(const std::string& what, const std::string& text, const std::vector<fs::path>& files,
              const fs::path& scratch) const {
    const fs::path draft = scratch / "draft";
    VORTEX_RETURN_IF_ERROR(write_file_atomically(draft, text));
    const auto kept = cache_.publish(key(what), draft, files);
    return kept.ok() ? Status() : kept.error();
  }

  std::string path_;
  std::optional<std::string> name_;
  std::string subject_;  // digest of all that a graph depends on but its shape
  PythonFrontEnd front_end_;
  CodeCache cache_;
};

class PythonSource final : public FlowSource {
 public:
  /// `description` as Recordings::describe wrote it.
  PythonSource(Recordings recordings, const std::string& description)
      : recordings_(std::move(recordings)),
        name_(description.substr(4)),
        attention_(description.starts_with("mla") ? AttentionKind::kMla : AttentionKind::kGqa) {}

  const std::string& name() const override { return name_; }
  AttentionKind attention() const override { return attention_; }

  /// One child for all of them: starting Python costs more than recording.
  void prepare(std::span<const GraphShape> shapes) const override {
    std::vector<GraphShape> missing;
    for (const GraphShape& shape : shapes)
      if (!recordings_.find(to_string(shape))) missing.push_back(shape);
    if (missing.empty()) return;
    const auto answer = recordings_.record(missing);
    for (size_t i = 0; i < missing.size(); ++i)
      recorded_.insert_or_assign(to_string(missing[i]),
                                 answer.ok() ? answer->graphs[i] : Result<std::string>(answer.error()));
  }

 private:
  Result<Graph> record(const GraphShape& shape) const override {
    VORTEX_ASSIGN_OR_RETURN(const std::string text, graph_text(shape));
    VORTEX_ASSIGN_OR_RETURN(Graph graph, read_json(text, recordings_.path()));
    if (graph.shape == shape) return graph;
    return Error{ErrorCode::kInvalidArgument, recordings_.path(),
                 fmt::format("recorded for {}, asked for {}", to_string(graph.shape), to_string(shape)),
                 "does VORTEX_PYTHON_DIR name a package of another version?"};
  }

  Result<std::string> graph_text(const GraphShape& shape) const {
    const std::string what = to_string(shape);
    if (const auto known = recorded_.find(what); known != recorded_.end()) return known->second;
    if (const auto kept = recordings_.find(what)) return *kept;
    VORTEX_ASSIGN_OR_RETURN(const PythonAnswer answer, recordings_.record({&shape, 1}));
    return answer.graphs[0];
  }

  const Recordings recordings_;
  const std::string name_;
  const AttentionKind attention_;
  mutable std::map<std::string, Result<std::string>> recorded_;  // by shape: what prepare() was given
};

}  // namespace

Result<std::unique_ptr<FlowSource>> load_python_file(const std::string& path, const std::optional<std::string>& name,
                                                     const std::optional<std::string>& cache_dir) {
  VORTEX_ASSIGN_OR_RETURN(Recordings recordings, Recordings::open(path, name, cache_dir));
  std::optional<std::string> description = recordings.find("");
  if (!description) {
    VORTEX_ASSIGN_OR_RETURN(const PythonAnswer answer, recordings.record({}));
    description = Recordings::describe(answer);
  }
  return std::unique_ptr<FlowSource>(std::make_unique<PythonSource>(std::move(recordings), *description));
}

}  // namespace vortex::flow
