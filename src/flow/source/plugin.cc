#include "flow/source/plugin.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>

#include "base/check.h"
#include "toolchain/shared_library.h"

namespace vortex::flow {
namespace {

// What compiled flows and the engine pass to each other. When one of these fails, raise VORTEX_FLOW_ABI in flow.h.
static_assert(sizeof(PageShape) == 16 && sizeof(LatentShape) == 20 && sizeof(FieldShape) == 8 + sizeof(std::string));
static_assert(sizeof(Field) == sizeof(std::string) + sizeof(FieldShape));
static_assert(sizeof(Tensor) == 16 && sizeof(Score) == 16 && sizeof(PageSet) == 16);
static_assert(sizeof(CacheScope) == 8 && sizeof(IndexerScope) == 8 && sizeof(FlowBase) == 8);
static_assert(sizeof(FlowEntry) == 24 && sizeof(FlowExports) == 24);
static_assert(sizeof(FieldName) == sizeof(std::string) + sizeof(SourceLocation));

constexpr std::string_view kRebuild = "build it again: `vortex flow build FILE.cc -o FILE.so`";

Error refused(const std::string& path, std::string message, std::string_view hint) {
  return {ErrorCode::kConfiguration, path, std::move(message), std::string(hint)};
}

}  // namespace

Result<Plugin> Plugin::open(const std::string& file, const std::string& path) {
  const auto library = toolchain::SharedLibrary::open(file);
  if (!library.ok()) {
    const bool other_version = library.error().message.find("undefined symbol") != std::string::npos;
    return refused(path, library.error().message, other_version ? kRebuild : "");
  }
  auto* const abi = library->function<const char*()>("vortex_flow_abi");
  auto* const begin = library->function<FlowList()>("vortex_flows_begin");
  auto* const end = library->function<FlowList()>("vortex_flows_end");
  if (abi == nullptr || begin == nullptr || end == nullptr)
    return refused(path, "has no flow", "its source must end in VORTEX_FLOW(\"name\", Class)");
  if (std::string_view(abi()) != VORTEX_FLOW_ABI)
    return refused(
        path,
        fmt::format("was built for {}, this program has {}", std::string_view(abi()).substr(0, 100), VORTEX_FLOW_ABI),
        kRebuild);
  return Plugin(path, begin(), end());
}

std::vector<std::string_view> Plugin::names() const {
  std::vector<std::string_view> names;
  for (FlowList entry = begin_; entry != end_; ++entry) names.emplace_back((*entry)->name);
  std::sort(names.begin(), names.end());  // the linker's order means nothing
  return names;
}

const FlowEntry* Plugin::find(std::string_view name) const {
  const auto* const found = std::find_if(begin_, end_, [&](const FlowEntry* entry) { return name == entry->name; });
  return found == end_ ? nullptr : *found;
}

Result<std::unique_ptr<FlowBase>> Plugin::make(std::string_view name) const {
  const auto threw = [&](const char* what) {
    return Error{ErrorCode::kInvalidArgument, path_, fmt::format("the constructor of '{}' threw: {}", name, what), ""};
  };
  const FlowEntry* const entry = find(name);
  VORTEX_CHECK(entry != nullptr, "no flow {} in {}", name, path_);
  try {
    return entry->make();
  } catch (const std::exception& error) {
    return threw(error.what());
  } catch (...) {
    return threw("not a std::exception");
  }
}

}  // namespace vortex::flow
