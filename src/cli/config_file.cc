#include "cli/config_file.h"

#include "loader/mmap_file.h"

namespace vortex::cli {

Result<std::string> read_config_file(const std::string& path) {
  constexpr int64_t kMaxBytes = 1 << 20;
  auto text = read_text_file(path, kMaxBytes);
  if (text.ok()) return text;
  return Error{ErrorCode::kConfiguration, path, text.error().message, "check the path"};
}

}  // namespace vortex::cli
