// Equal requests with random prompts, all at once: the load of benchmarks.
#pragma once

#include <cstdint>
#include <vector>

#include "base/function_ref.h"
#include "vortex/engine.h"

namespace vortex::eval {

struct RequestShape {
  int64_t input_len = 0;           // prompt tokens: random, the same for the same number of a request
  int64_t output_len = 0;          // tokens to generate, greedily; end tokens are ignored
  int64_t count = 0;               // requests
  bool synthetic_context = false;  // noise in place of the prompt's keys and values
};

/// Asked now and then while it waits, on the caller's thread. False: cancel the requests and stop.
using KeepGoing = FunctionRef<bool()>;

/// kInvalidArgument, naming `where`: lengths or counts below 1 or beyond all sense, or more tokens than the context
/// holds (a run cut short would report a length that it did not measure).
Status check(const RequestShape& shape, int64_t context, const char* where);

/// Submits all of them and waits for the last: completions in order, or the first error. kCancelled, naming `where`,
/// when `keep_going` says so.
Result<std::vector<Completion>> run_random_requests(Engine& engine, const RequestShape& shape, KeepGoing keep_going,
                                                    const char* where);

}  // namespace vortex::eval
