// Flows in Python as the engine sees them: what it asks of the front end, what it keeps, what it makes of bad answers.
// The front end of most tests is a stand-in of a few lines that answers with a graph and counts its runs.
#include "flow/source/python_file.h"

#include <gmock/gmock.h>

#include "flow/ir/json.h"
#include "flow/source/python_front_end.h"
#include "toolchain/testing.h"

namespace vortex::flow {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr GraphShape kShape{.group = 4, .head_dim = 64, .page_tokens = 16};

// Centroids, whatever the flow's file says; the file's text is a statement that may interfere.
constexpr const char* kStandIn = R"py(
import json, os, sys

def graph(shape):
    return {"format": "vortex-flow/1", "name": "mine", "shape": shape,
            "fields": [{"name": "c", "rows": 1, "cols": shape["head_dim"], "storage": "flow"}],
            "cache": [{"op": "Mean", "inputs": ["@k"], "dim": 1, "at": "mine.py:1:1"},
                      {"op": "Write", "inputs": ["%0"], "field": "c"}],
            "indexer": [{"op": "Mean", "inputs": ["q"], "dim": 1}, {"op": "GeMM", "inputs": ["%0", "@c"]},
                        {"op": "topK", "inputs": ["%1"]}]}

def main(text):
    request = json.loads(text)
    with open(os.environ["RUNS"], "a") as log:
        log.write(f"{len(request['shapes'])}\n")
    here = os.path.dirname(request["path"])
    answer = {"name": request["name"] or "mine", "attention": "gqa", "flows": ["mine"],
              "files": [request["path"], __file__] + [f for f in [os.path.join(here, "helper.py")] if os.path.exists(f)],
              "graphs": [graph(shape) for shape in request["shapes"]]}
    exec(open(request["path"]).read())
    with open(request["out"], "w") as out:
        json.dump(answer, out)
    return 0
)py";

class PythonFileTest : public toolchain::ToolchainTest {
 protected:
  PythonFileTest() {
    fs::create_directories(folder_ / "front/vortex/flow");
    write("front/vortex/flow/trace_main.py", kStandIn);
    set_variable("VORTEX_PYTHON_DIR", (folder_ / "front").string());
    set_variable("RUNS", (folder_ / "runs").string());
  }
  std::string file(const std::string& text) { return write("mine.py", text).string(); }
  Result<std::unique_ptr<FlowSource>> load(const std::string& path, std::optional<std::string> name = {}) const {
    return load_flow_source({path, std::move(name), (folder_ / "cache").string()});
  }
  std::string error_of(const std::string& path, const GraphShape& shape = kShape) const {
    const auto source = load(path);
    if (!source.ok()) return source.error().to_string();
    const auto graph = (*source)->trace(shape);
    return graph.ok() ? "no error" : graph.error().to_string();
  }
  std::vector<std::string> runs() const { return lines_of(read(folder_ / "runs")); }
  static std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
};

TEST_F(PythonFileTest, AsksOnceForEachShapeAndKeepsTheGraph) {
  const std::string path = file("pass");
  const auto source = load(path);
  ASSERT_TRUE(source.ok()) << source.error().to_string();
  EXPECT_EQ((*source)->name(), "mine");
  EXPECT_EQ((*source)->attention(), AttentionKind::kGqa);
  const auto graph = (*source)->trace(kShape);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(graph->fields[0], (FieldDecl{"c", 1, 64}));
  EXPECT_EQ(graph->cache.nodes[0].where, "mine.py:1:1");
  for (int again = 0; again < 3; ++again) EXPECT_EQ(write_json(*(*load(path))->trace(kShape)), write_json(*graph));
  EXPECT_EQ(runs(), (std::vector<std::string>{"0", "1"}));
  EXPECT_TRUE((*load(path))->trace({4, 128, 16}).ok());
  EXPECT_EQ(runs().size(), 3u);
}

TEST_F(PythonFileTest, OneChildForManyShapes) {
  const auto source = load(file("pass"));
  const std::vector<GraphShape> shapes = {kShape, {1, 64, 16}, {1, 128, 32}};
  (*source)->prepare(shapes);
  for (const GraphShape& shape : shapes) EXPECT_EQ((*source)->trace(shape)->shape, shape);
  EXPECT_EQ(runs(), (std::vector<std::string>{"0", "3"}));
  (*load(file("pass")))->prepare(shapes);
  EXPECT_EQ(runs().size(), 2u);
}

TEST_F(PythonFileTest, AChangeIsSeen) {
  write("helper.py", "one");
  const std::string path = file("pass");
  EXPECT_EQ(error_of(path), "no error");
  write("helper.py", "two");
  EXPECT_EQ(error_of(path), "no error");
  EXPECT_EQ(runs().size(), 4u) << "a module that the flow imports has changed";
  file("answer['name'] = 'other'");
  EXPECT_EQ((*load(path))->name(), "other");
  EXPECT_EQ((*load(path, "chosen"))->name(), "other");
  write("front/vortex/flow/trace_main.py", std::string(kStandIn) + "# a new version\n");
  EXPECT_EQ((*load(path))->name(), "other");
  EXPECT_EQ(runs().size(), 7u);
}

TEST_F(PythonFileTest, TheAuthorsMistakesHaveTheirPlace) {
  EXPECT_EQ(error_of(file("answer['error'] = {'where': 'mine.py:3:5', 'message': 'no such name', 'hint': 'try'}")),
            "mine.py:3:5: no such name (try)");
  const std::string path = file(
      "answer['graphs'] = [{'error': {'where': 'mine.py:9:1', 'message': 'GeMM: 4 against 5', 'hint': ''}}"
      " for _ in answer['graphs']]");
  EXPECT_EQ(error_of(path), "mine.py:9:1: GeMM: 4 against 5");
  EXPECT_EQ(error_of(path), "mine.py:9:1: GeMM: 4 against 5");
  EXPECT_EQ(runs().size(), 4u) << "a mistake is not kept";
}

TEST_F(PythonFileTest, AChildThatEndsOtherwise) {
  EXPECT_THAT(error_of(file("raise SystemError('broken')")),
              AllOf(StartsWith((folder_ / "mine.py").string()), HasSubstr("status 1: SystemError: broken")));
  EXPECT_THAT(error_of(file("os._exit(7)")), HasSubstr("status 7: it wrote nothing"));
  EXPECT_THAT(error_of(file("os.kill(os.getpid(), 11)")), HasSubstr("status 139"));
  EXPECT_THAT(error_of(file("answer.clear()")), HasSubstr("an answer that is not one"));
  EXPECT_THAT(error_of(file("answer['graphs'] = answer['graphs'] * 2 + [1]")), HasSubstr("an answer that is not one"));
  EXPECT_THAT(error_of(file("request['out'] = '/dev/null'")), HasSubstr("No such file"));
  EXPECT_THAT(error_of(file("print('x' * (1 << 20))")), "no error");
}

TEST_F(PythonFileTest, GraphsAreCheckedHereToo) {
  EXPECT_THAT(error_of(file("for g in answer['graphs']: g['indexer'][1]['inputs'] = ['%0', '%7']")),
              HasSubstr("no such input '%7'"));
  EXPECT_THAT(error_of(file("for g in answer['graphs']: g['shape'] = dict(g['shape'], group=9)")),
              HasSubstr("recorded for group 9"));
}

TEST_F(PythonFileTest, AHangingFileIsEnded) {
  auto front_end = PythonFrontEnd::find();
  ASSERT_TRUE(front_end.ok());
  front_end->set_limits({.time = std::chrono::milliseconds(400)});
  const auto answer = front_end->record(file("import time; time.sleep(60)"), {}, {}, folder_);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(answer.error().to_string(), HasSubstr("mine.py: recording the flow did not end within 400 ms"));
}

TEST_F(PythonFileTest, WithoutPython) {
  set_variable("VORTEX_PYTHON", (folder_ / "none").string());
  EXPECT_THAT(error_of(file("pass")), AllOf(StartsWith("VORTEX_PYTHON: "), HasSubstr("Python 3.11")));
}

}  // namespace
}  // namespace vortex::flow
