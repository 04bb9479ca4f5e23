// HostCompiler: C++ text to a shared object, by the compiler of this machine. A program started with a list of
// arguments, never a shell; 20 seconds at most; the result is cached by content. Processes that need the same result at
// once wait for the one that builds it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "toolchain/code_cache.h"
#include "toolchain/process.h"

namespace vortex::toolchain {

class HostCompiler {
 public:
  /// $CXX ("ccache g++" is taken apart at its spaces), else c++, g++ or clang++ of $PATH. kNotFound, with what to
  /// install, when there is none.
  static Result<HostCompiler> find();

  /// Its path, for reports.
  const std::string& program() const { return command_[0]; }

  /// For tests: more or less patience.
  void set_limits(const ProcessLimits& limits) { limits_ = limits; }

  /// Compiles a file where it lies (its own includes work) with `flags` added. Found in the cache: nothing is run.
  /// Errors of the compiler have `where` FILE:LINE:COLUMN; kResourceExhausted past the time limit.
  Result<std::filesystem::path> compile_file(const std::filesystem::path& file, const std::vector<std::string>& flags,
                                             const CodeCache& cache) const;

  /// The same for text that has no file; it should call itself something by a #line.
  /// `name` is what errors are looked for under.
  Result<std::filesystem::path> compile_text(const std::string& text, const std::string& name,
                                             const std::vector<std::string>& flags, const CodeCache& cache) const;

 private:
  struct Job;
  Result<std::filesystem::path> build(const Job& job, const CodeCache& cache) const;
  Result<std::filesystem::path> run(const Job& job, const std::string& key, const CodeCache& cache) const;

  std::vector<std::string> command_;  // the compiler's path, then what $CXX adds
  std::string identity_;              // changes when the compiler does
  ProcessLimits limits_;
};

}  // namespace vortex::toolchain
