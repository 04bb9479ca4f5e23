// Where a flow comes from: the built-in list, or a file (module_path). Whoever needs the graph asks for one shape after
// another; the file is read and compiled once.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/ir/graph.h"
#include "vortex/flow.h"

namespace vortex::flow {

/// A flow that can be recorded for any shape of its kind of attention.
class FlowSource {
 public:
  virtual ~FlowSource() = default;
  /// The registered name: what reports show.
  virtual const std::string& name() const = 0;
  virtual AttentionKind attention() const = 0;
  /// kConfiguration, naming flows that fit, when the flow is for the other kind of attention than the model's.
  Status check_attention(const GraphShape& model) const;
  /// Hint: these shapes will be asked for. A source that starts a program for each can do so once for all.
  virtual void prepare(std::span<const GraphShape> shapes) const { (void)shapes; }
  /// The graph for one shape. Errors: that of check_attention, those of frontend/trace.h. A graph from JSON was
  /// recorded for one shape; any other is kInvalidArgument.
  Result<Graph> trace(const GraphShape& shape) const;

 private:
  virtual Result<Graph> record(const GraphShape& shape) const = 0;
};

/// Which flow, as VortexConfig names it.
struct FlowRequest {
  std::optional<std::string> module_path;  // .py, .cc, .so or .json; absent: built in
  std::optional<std::string> module_name;  // absent: the only flow of the file
  std::optional<std::string> cache_dir;    // of what .cc and .py files become; absent: the default place
};

/// Finds the flow, compiling and loading its file when it has one. Code in a .cc or .so file runs in this process, that
/// of a .py file in another: it is the operator's own. Errors name the file, its line and column when the compiler
/// refused it, the flows that are there when the name is not among them.
Result<std::unique_ptr<FlowSource>> load_flow_source(const FlowRequest& request);

/// A command line's NAME|FILE: a file when it has a '/' or ends like a flow's file.
FlowRequest flow_request(const std::string& name_or_file);

}  // namespace vortex::flow
