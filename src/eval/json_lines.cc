#include "eval/json_lines.h"

#include <zlib.h>

#include <algorithm>
#include <memory>

#include "loader/json.h"

namespace vortex::eval {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 30;

/// zlib reads plain files too.
Result<std::string> read_gzip(const std::string& path) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) return Error{ErrorCode::kNotFound, path, "cannot be read", "check the path of the data"};
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

}  // namespace

Status read_json_lines(const std::string& path, FunctionRef<Status(JsonLine&)> take) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, read_gzip(path));
  int64_t number = 0;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    ++number;
    if (end == begin) continue;
    JsonLine line{.where = fmt::format("{}:{}", path, number), .line = number};
    VORTEX_ASSIGN_OR_RETURN(line.object, parse_json(std::string_view(text).substr(begin, end - begin), line.where));
    if (!line.object.is_object()) return Error{ErrorCode::kDataLoss, line.where, "not a JSON object", ""};
    VORTEX_RETURN_IF_ERROR(take(line));
  }
  return {};
}

Error at_line(const std::string& where, Error error) {
  error.where = error.where.empty() ? where : fmt::format("{}: {}", where, error.where);
  return error;
}

}  // namespace vortex::eval
