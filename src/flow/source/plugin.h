// Shared objects with flows: opened, their version checked, their flows listed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vortex/flow.h"

namespace vortex::flow {

class Plugin {
 public:
  /// Opens a shared object that was made from files with VORTEX_FLOW; `path` names it in errors. It stays loaded for
  /// the life of the process. kConfiguration: it cannot be loaded, was built for another version of flow.h, has no
  /// flow.
  static Result<Plugin> open(const std::string& file, const std::string& path);

  std::vector<std::string_view> names() const;
  /// The flow's entry; null when there is none of that name.
  const FlowEntry* find(std::string_view name) const;
  /// A fresh flow of a name that is there. Whatever its constructor throws is an Error.
  Result<std::unique_ptr<FlowBase>> make(std::string_view name) const;

 private:
  Plugin(std::string path, FlowList begin, FlowList end) : path_(std::move(path)), begin_(begin), end_(end) {}
  std::string path_;
  FlowList begin_, end_;
};

}  // namespace vortex::flow
