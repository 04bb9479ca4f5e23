#include "flow/frontend/trace.h"

#include <fmt/format.h>

#include <exception>

#include "base/nearest_name.h"
#include "flow/frontend/tracer.h"

namespace vortex::flow {
namespace {

Error unknown_storage(const Field& field, const std::string& flow) {
  const std::vector<std::string_view> names = storage_names();
  const std::string nearest = nearest_name_hint(field.shape.storage, names);
  return {ErrorCode::kInvalidArgument, flow,
          fmt::format("field '{}' has unknown storage '{}'", field.name, field.shape.storage),
          nearest.empty() ? fmt::format("use one of {}", fmt::join(names, ", ")) : nearest};
}

Result<std::vector<FieldDecl>> to_declarations(const Fields& fields, const std::string& name) {
  std::vector<FieldDecl> out;
  for (const Field& field : fields) {
    const auto storage = parse_storage(field.shape.storage);
    if (!storage) return unknown_storage(field, name);
    out.push_back({field.name, field.shape.rows, field.shape.cols, *storage});
  }
  return out;
}

Result<Graph> record(Flow& flow, const std::string& name, const GraphShape& shape) {
  const Fields fields = flow.create_cache({shape.page_tokens, shape.head_dim, shape.group});
  VORTEX_ASSIGN_OR_RETURN(std::vector<FieldDecl> declarations, to_declarations(fields, name));
  VORTEX_ASSIGN_OR_RETURN(GraphBuilder builder, GraphBuilder::start(name, shape, std::move(declarations)));
  return Tracer(std::move(builder)).record(flow);
}

}  // namespace

Result<Graph> trace(Flow& flow, const std::string& name, const GraphShape& shape) {
  const auto threw = [&](const char* what) {
    return Error{ErrorCode::kInvalidArgument, name, fmt::format("the flow threw an exception: {}", what), ""};
  };
  try {
    return record(flow, name, shape);
  } catch (const TraceFault& fault) {
    return fault.error;
  } catch (const std::exception& error) {
    return threw(error.what());
  } catch (...) {
    return threw("not a std::exception");
  }
}

}  // namespace vortex::flow
