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

Fields create_cache(FlowBase& flow, const GraphShape& s) {
  if (!s.latent()) return static_cast<Flow&>(flow).create_cache({s.page_tokens, s.head_dim, s.group, s.logit_scale()});
  return static_cast<FlowMLA&>(flow).create_cache(
      {s.page_tokens, s.kv_lora_rank, s.head_dim - s.kv_lora_rank, s.group, s.logit_scale()});
}

std::string_view attention_text(AttentionKind kind) {
  return kind == AttentionKind::kMla ? "latent attention (mla)" : "grouped-query attention (gqa)";
}

Result<Graph> record(FlowBase& flow, const std::string& name, const GraphShape& shape) {
  VORTEX_RETURN_IF_ERROR(check_attention(name, flow.attention(), attention_of(shape)));
  const Fields fields = create_cache(flow, shape);
  VORTEX_ASSIGN_OR_RETURN(std::vector<FieldDecl> declarations, to_declarations(fields, name));
  VORTEX_ASSIGN_OR_RETURN(GraphBuilder builder, GraphBuilder::start(name, shape, std::move(declarations)));
  return Tracer(std::move(builder)).record(flow);
}

}  // namespace

AttentionKind attention_of(const GraphShape& shape) {
  return shape.latent() ? AttentionKind::kMla : AttentionKind::kGqa;
}

Status check_attention(const std::string& flow, AttentionKind made_for, AttentionKind model) {
  if (made_for == model) return {};
  return Error{ErrorCode::kConfiguration, flow,
               fmt::format("this flow is for {}, the model has {}", attention_text(made_for), attention_text(model)),
               ""};
}

Result<Graph> trace(FlowBase& flow, const std::string& name, const GraphShape& shape) {
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
