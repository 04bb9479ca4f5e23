#include "flow/source/python_front_end.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "flow/ir/json.h"
#include "flow/source/places.h"
#include "toolchain/program.h"

namespace vortex::flow {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int64_t kMaxAnswerBytes = int64_t{256} << 20;

/// -P: the working folder is nobody's package. The texts of the flow's author are UTF-8 whatever the locale is.
constexpr const char* kStart =
    "import sys; sys.path[:0] = [f for f in sys.argv[1:2] if f]; "
    "from vortex.flow.trace_main import main; sys.exit(main(sys.argv[2]))";

std::string request_text(const std::string& path, const std::optional<std::string>& name,
                         std::span<const GraphShape> shapes, const fs::path& out) {
  Json request = {{"path", path}, {"name", nullptr}, {"shapes", Json::array()}, {"out", out.string()}};
  if (name) request["name"] = *name;
  for (const GraphShape& shape : shapes) request["shapes"].push_back(Json::parse(write_shape(shape)));
  return request.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Error error_of(const Json& fault, const std::string& path, ErrorCode code) {
  const std::string where = text_of(fault, "where");
  return {code, where.empty() ? path : where, text_of(fault, "message"), text_of(fault, "hint")};
}

/// The last line that has something: of a traceback, what went wrong.
std::string last_line(const std::string& output) {
  const auto lines = toolchain::split(output, '\n');
  return lines.empty() ? "it wrote nothing" : lines.back().substr(0, 300);
}

Error strange_answer(const std::string& path) {
  return {ErrorCode::kConfiguration, path, "the Python front end gave an answer that is not one",
          "does VORTEX_PYTHON_DIR name a package of another version?"};
}

Result<PythonAnswer> read_answer(const std::string& text, const std::string& path, size_t shapes) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return strange_answer(path);
  if (const auto fault = json.find("error"); fault != json.end())
    return error_of(*fault, path, ErrorCode::kConfiguration);
  PythonAnswer answer;
  answer.name = text_of(json, "name");
  answer.attention = text_of(json, "attention") == "mla" ? AttentionKind::kMla : AttentionKind::kGqa;
  const Json files = json.value("files", Json::array()), graphs = json.value("graphs", Json::array());
  if (answer.name.empty() || !files.is_array() || !graphs.is_array() || graphs.size() != shapes)
    return strange_answer(path);
  for (const Json& file : files)
    if (file.is_string()) answer.files.emplace_back(file.get<std::string>());
  for (const Json& graph : graphs) {
    if (const auto fault = graph.find("error"); fault != graph.end())
      answer.graphs.emplace_back(error_of(*fault, path, ErrorCode::kInvalidArgument));
    else
      answer.graphs.emplace_back(graph.dump());
  }
  return answer;
}

}  // namespace

Result<PythonFrontEnd> PythonFrontEnd::find() {
  PythonFrontEnd front_end;
  VORTEX_ASSIGN_OR_RETURN(const fs::path interpreter, python_interpreter());
  front_end.interpreter_ = interpreter.string();
  if (const auto folder = python_package_folder()) front_end.package_ = fs::absolute(*folder).string();
  front_end.identity_ = fmt::format("{}\n{}", toolchain::program_identity(interpreter), front_end.package_);
  return front_end;
}

Result<PythonAnswer> PythonFrontEnd::record(const std::string& path, const std::optional<std::string>& name,
                                            std::span<const GraphShape> shapes, const fs::path& scratch) const {
  const fs::path out = scratch / "answer.json";
  VORTEX_ASSIGN_OR_RETURN(
      const toolchain::ProcessResult ran,
      toolchain::run_process(
          {interpreter_, "-P", "-X", "utf8", "-c", kStart, package_, request_text(path, name, shapes, out)}, limits_));
  for (const std::string& line : toolchain::split(ran.output, '\n')) log_debug("{}: {}", path, line);
  if (ran.timed_out)
    return Error{ErrorCode::kResourceExhausted, path,
                 fmt::format("recording the flow did not end within {} ms", limits_.time.count()),
                 "its methods run once and should only apply operators"};
  if (ran.status != 0)
    return Error{ErrorCode::kConfiguration, path,
                 fmt::format("Python ended with status {}: {}", ran.status, last_line(ran.output)),
                 fmt::format("run by {}, which must be Python 3.11 or newer", interpreter_)};
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_small_file(out, kMaxAnswerBytes));
  return read_answer(text, path, shapes.size());
}

}  // namespace vortex::flow
