#include "cli/recall_data.h"

#include <zlib.h>

#include <memory>

#include "loader/json.h"

namespace vortex::cli {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxBytes = size_t{1} << 30;

/// zlib reads plain files too.
Result<std::string> read_gzip(const std::string& path) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) return Error{ErrorCode::kNotFound, path, "cannot be read", "check the path given to --data"};
  std::string text;
  char buffer[1 << 16];
  int count = 0;
  while ((count = gzread(file.get(), buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kMaxBytes) return Error{ErrorCode::kResourceExhausted, path, "is longer than 1 GiB", ""};
  }
  int state = Z_OK;  // a file cut short ends like a whole one, but for this
  gzerror(file.get(), &state);
  if (count < 0 || (state != Z_OK && state != Z_STREAM_END))
    return Error{ErrorCode::kDataLoss, path, "is not a whole gzip file", "download the file again"};
  return text;
}

Result<RecallRow> parse_row(const std::string& text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(ordered_json object, parse_json(text, where));
  if (!object.is_object()) return Error{ErrorCode::kDataLoss, where, "not a JSON object", ""};
  const auto is_string = [&](const char* key) { return object.contains(key) && object[key].is_string(); };
  if (!object.contains("messages") || !object["messages"].is_array() || object["messages"].empty() ||
      !is_string("answer"))
    return Error{ErrorCode::kDataLoss, where, "needs messages (a list) and answer (a string)", ""};
  RecallRow row;
  row.messages = std::move(object["messages"]);
  row.answer = object["answer"].get<std::string>();
  row.task = is_string("task") ? object["task"].get<std::string>() : "recall";
  if (object.contains("length") && object["length"].is_number_integer()) row.length = object["length"].get<int64_t>();
  return row;
}

}  // namespace

Result<std::vector<RecallRow>> read_recall_data(const std::string& path) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_gzip(path));
  std::vector<RecallRow> rows;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    ++line;
    if (end > begin) {
      VORTEX_ASSIGN_OR_RETURN(RecallRow row,
                              parse_row(text.substr(begin, end - begin), fmt::format("{}:{}", path, line)));
      row.line = line;
      rows.push_back(std::move(row));
    }
    begin = end + 1;
  }
  return rows;
}

}  // namespace vortex::cli
