// vortex: the command-line program.
#include <cstdio>

#include "base/last_words.h"
#include "base/log_settings.h"
#include "cli/arguments.h"
#include "comm/launch.h"
#include "engine/rank_options.h"

namespace {

int fail(const vortex::Error& error) {
  std::fprintf(stderr, "vortex: %s\n", error.to_string().c_str());
  return vortex::exit_status(error.code);
}

}  // namespace

int main(int argc, char** argv) {
  vortex::install_last_words();
  if (const int rank = vortex::comm::rank_of_environment(); rank > 0) {
    const vortex::Status status = vortex::run_rank();
    if (!status.ok()) std::fprintf(stderr, "vortex rank %d: %s\n", rank, status.error().to_string().c_str());
    return status.ok() ? 0 : vortex::exit_status(status.error().code);
  }
  const auto commands = vortex::cli::make_commands();
  vortex::cli::Arguments arguments(commands);
  const auto command = arguments.parse(argc, argv);
  if (!command.ok()) return fail(command.error());
  if (*command == nullptr) return 0;
  const auto settings = arguments.resolve_settings();
  if (!settings.ok()) return fail(settings.error());
  configure_log_from(*settings);
  const vortex::Status status = (*command)->run(*settings);
  if (!status.ok()) return fail(status.error());
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return fail({vortex::ErrorCode::kUnavailable, "standard output", "cannot be written", "is the disk full?"});
  return 0;
}
