// PythonFrontEnd: records a flow's .py file, in a child process. No Python runs in this one: what the author wrote can
// hang, crash or fill the memory of the child only.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "flow/ir/graph.h"
#include "toolchain/process.h"
#include "vortex/flow.h"

namespace vortex::flow {

/// What a .py file gave.
struct PythonAnswer {
  std::string name;  // of the flow
  AttentionKind attention = AttentionKind::kGqa;
  std::vector<std::filesystem::path> files;  // that went into it
  std::vector<Result<std::string>> graphs;   // as JSON, in the order of the shapes that were asked for
};

class PythonFrontEnd {
 public:
  /// The interpreter and the package of places.h. kNotFound when there is no Python.
  static Result<PythonFrontEnd> find();

  /// Changes when the interpreter or the place of the package does.
  const std::string& identity() const { return identity_; }

  /// For tests: more or less patience.
  void set_limits(const toolchain::ProcessLimits& limits) { limits_ = limits; }

  /// Runs the file and records its flow `name` (absent: its only one) for each shape; none: only what it is called.
  /// The child writes its answer in `scratch`. Errors: the author's mistakes with FILE:LINE:COLUMN; kResourceExhausted
  /// past the time limit; kConfiguration for a child that ended some other way, with the last line that it wrote.
  Result<PythonAnswer> record(const std::string& path, const std::optional<std::string>& name,
                              std::span<const GraphShape> shapes, const std::filesystem::path& scratch) const;

 private:
  std::string interpreter_, package_, identity_;
  toolchain::ProcessLimits limits_{.time = std::chrono::seconds(10)};
};

}  // namespace vortex::flow
