// Streaming: runs one request with its progress on stderr and its text on stdout; Ctrl-C ends it.
#pragma once

#include "vortex/engine.h"

namespace vortex::cli {

struct StreamOptions {
  bool print_text = true;  // on stdout, as it comes
  bool quiet = false;      // no progress bar
};

/// kCancelled after Ctrl-C.
Result<Completion> stream_completion(Engine& engine, GenerateRequest request, const StreamOptions& options);

}  // namespace vortex::cli
