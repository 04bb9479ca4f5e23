#include "toolchain/compiler_errors.h"

#include <algorithm>
#include <array>
#include <optional>

namespace vortex::toolchain {
namespace {

struct Complaint {
  std::string where;  // "flow.cc:9:30", or the program that complains ("c++")
  std::string message;
};

/// "WHERE: error: MESSAGE", the form of both compilers and of what they call.
std::optional<Complaint> parse_line(std::string_view line) {
  constexpr std::array<std::string_view, 2> kMarks = {": fatal error: ", ": error: "};
  for (std::string_view mark : kMarks) {
    const size_t at = line.find(mark);
    if (at != std::string_view::npos)
      return Complaint{std::string(line.substr(0, at)), std::string(line.substr(at + mark.size()))};
  }
  return std::nullopt;
}

std::string_view next_line(std::string_view* rest) {
  const std::string_view line = rest->substr(0, rest->find('\n'));
  rest->remove_prefix(std::min(rest->size(), line.size() + 1));
  return line;
}

/// The linker's errors and a killed compiler have no mark: their last words say what happened.
std::string last_line(std::string_view output) {
  std::string_view last = "it wrote nothing";
  while (!output.empty())
    if (const std::string_view line = next_line(&output); !line.empty()) last = line;
  return std::string(last.substr(0, 300));
}

/// A driver's word that its linker failed; what failed stands in the linker's own line before it.
bool speaks_for_linker(const Complaint& complaint) {
  return complaint.message.starts_with("ld returned ") || complaint.message.starts_with("linker command failed");
}

}  // namespace

Error first_compiler_error(std::string_view output, const std::string& file) {
  std::optional<Complaint> first, own;
  int count = 0;
  std::string_view before;
  for (std::string_view rest = output; !rest.empty();) {
    const std::string_view line = next_line(&rest);
    auto complaint = parse_line(line);
    if (complaint && speaks_for_linker(*complaint) && !before.empty())
      complaint = Complaint{file, "the linker failed: " + last_line(before)};
    before = line;
    if (!complaint) continue;
    ++count;
    if (!first) first = complaint;
    if (!own && complaint->where.starts_with(file + ":")) own = complaint;
  }
  const Complaint best = own ? *own : first ? *first : Complaint{file, "the compiler failed: " + last_line(output)};
  const std::string more = count > 1 ? fmt::format("{} more; VORTEX_LOG_LEVEL=debug shows all", count - 1) : "";
  return {ErrorCode::kConfiguration, best.where, best.message, more};
}

}  // namespace vortex::toolchain
