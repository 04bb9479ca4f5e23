#include "cli/prompt.h"

#include <fstream>
#include <iostream>
#include <iterator>

#include "eval/conversation.h"

namespace vortex::cli {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;

Result<std::string> read_stream(std::istream& in, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  while (in.read(buffer, sizeof(buffer)) || in.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxBytes) return Error{ErrorCode::kResourceExhausted, name, "is longer than 256 MiB", ""};
  }
  return text;
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  if (path == "-") return read_stream(std::cin, "standard input");
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::kNotFound, path, "cannot be read", "check the path"};
  return read_stream(in, path);
}

Result<std::vector<int32_t>> encode_messages(const Engine& engine, const nlohmann::ordered_json& messages) {
  return eval::encode_conversation(engine.codec(), {{"messages", messages}});
}

}  // namespace vortex::cli
