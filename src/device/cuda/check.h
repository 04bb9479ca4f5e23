// Errors of CUDA calls inside the library: thrown where they happen, turned into an Error at its border (guard).
#pragma once

#include <cuda_runtime_api.h>

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "base/result.h"

namespace vortex::cuda {

/// A call that failed. Never leaves the library.
class Failure final : public std::exception {
 public:
  explicit Failure(Error error) : error_(std::move(error)), text_(error_.to_string()) {}
  const Error& error() const { return error_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Error error_;
  std::string text_;
};

/// Throws unless `status` is success; `what` is the call as it is written. Out of memory is kResourceExhausted, all
/// else kUnavailable.
void check(cudaError_t status, const char* what);

/// Throws what a library other than the runtime reported.
[[noreturn]] void fail(const char* library, const std::string& message);

/// Runs `work`, which returns Status or Result<T>, and turns a Failure or a lack of host memory into an Error.
template <class Work>
auto guard(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Failure& failure) {
    return failure.error();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResourceExhausted, "cuda", "no host memory", ""};
  }
}

}  // namespace vortex::cuda

#define VORTEX_CUDA_CHECK(call) ::vortex::cuda::check((call), #call)
