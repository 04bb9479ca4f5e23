#include "eval/ruler_data.h"

#include "eval/json_lines.h"

namespace vortex::eval {
namespace {

Result<RulerRow> parse_row(const JsonLine& line) {
  const auto outputs = line.object.find("outputs");
  if (!line.has_string("input") || outputs == line.object.end() || !outputs->is_array() || outputs->empty() ||
      !outputs->front().is_string())
    return Error{ErrorCode::kDataLoss, line.where, "needs input (a string) and outputs (a list of strings)", ""};
  return RulerRow{line.object["input"].get<std::string>(), outputs->front().get<std::string>(), line.where};
}

}  // namespace

Result<std::vector<RulerRow>> read_ruler_data(const std::string& path) {
  std::vector<RulerRow> rows;
  VORTEX_RETURN_IF_ERROR(read_json_lines(path, [&](JsonLine& line) -> Status {
    VORTEX_ASSIGN_OR_RETURN(RulerRow row, parse_row(line));
    rows.push_back(std::move(row));
    return {};
  }));
  return rows;
}

}  // namespace vortex::eval
