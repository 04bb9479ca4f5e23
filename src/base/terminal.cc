#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace vortex {

bool is_terminal(std::FILE* stream) { return isatty(fileno(stream)) == 1; }

bool wants_colour(std::FILE* stream) {
  const char* refused = std::getenv("NO_COLOR");
  return is_terminal(stream) && (refused == nullptr || *refused == '\0');
}

int terminal_columns(std::FILE* stream) {
  constexpr int kUsual = 80, kMost = 1000;
  if (const char* text = std::getenv("COLUMNS")) {
    const std::string_view view(text);
    int columns = 0;
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), columns);
    if (error == std::errc() && columns > 0 && columns <= kMost) return columns;
  }
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kUsual;
}

}  // namespace vortex
