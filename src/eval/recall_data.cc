#include "eval/recall_data.h"

#include "eval/json_lines.h"

namespace vortex::eval {
namespace {

Result<RecallRow> parse_row(JsonLine& line) {
  nlohmann::ordered_json& object = line.object;
  if (!object.contains("messages") || !object["messages"].is_array() || object["messages"].empty() ||
      !line.has_string("answer"))
    return Error{ErrorCode::kDataLoss, line.where, "needs messages (a list) and answer (a string)", ""};
  RecallRow row;
  row.messages = std::move(object["messages"]);
  row.answer = object["answer"].get<std::string>();
  row.task = line.has_string("task") ? object["task"].get<std::string>() : "recall";
  if (object.contains("length") && object["length"].is_number_integer()) row.length = object["length"].get<int64_t>();
  row.where = line.where;
  return row;
}

}  // namespace

Result<std::vector<RecallRow>> read_recall_data(const std::string& path) {
  std::vector<RecallRow> rows;
  VORTEX_RETURN_IF_ERROR(read_json_lines(path, [&](JsonLine& line) -> Status {
    VORTEX_ASSIGN_OR_RETURN(RecallRow row, parse_row(line));
    rows.push_back(std::move(row));
    return {};
  }));
  return rows;
}

}  // namespace vortex::eval
