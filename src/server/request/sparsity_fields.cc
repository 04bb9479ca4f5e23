#include "server/request/sparsity_fields.h"

#include "server/request/fields.h"

namespace vortex::server {
namespace {

ApiStatus read_flag(const std::string& param, const Json& value, bool* out) {
  if (!value.is_boolean()) return invalid_type(param, param + " must be a boolean.");
  *out = value.get<bool>();
  return {};
}

ApiStatus read_topk(const std::string& param, const Json& value, const RequestContext& context, SparsityRequest* out) {
  const std::optional<int64_t> topk = as_integer(value);
  if (!topk) return invalid_type(param, param + " must be an integer.");
  const int64_t most = context.limits.max_topk.value_or(context.max_model_len);
  if (*topk < 0 || *topk > most)
    return invalid_value(param, fmt::format("{} must be from 0 to {}, not {}.", param, most, *topk));
  out->topk_val = *topk;
  return {};
}

ApiStatus read_ratio(const std::string& param, const Json& value, SparsityRequest* out) {
  if (!value.is_number()) return invalid_type(param, param + " must be a number.");
  const double ratio = value.get<double>();
  if (!(ratio >= 0 && ratio <= 1)) return invalid_value(param, fmt::format("{} must be from 0 to 1.", param));
  out->topk_ratio = ratio;
  return {};
}

ApiStatus read_key(const std::string& key, const Json& value, const RequestContext& context, SparsityFields* out) {
  const std::string param = "vortex." + key.substr(0, 64);
  if (key == "report") return read_flag(param, value, &out->report);
  if (key != "dense" && key != "topk_val" && key != "topk_ratio")
    return invalid_value(param, param + " is not known; dense, report, topk_ratio and topk_val are.");
  if (!context.limits.request_budgets)
    return unsupported_parameter(param, "This server does not let requests choose their pages.");
  if (key == "topk_val") return read_topk(param, value, context, &out->request);
  if (key == "topk_ratio") return read_ratio(param, value, &out->request);
  return read_flag(param, value, &out->request.dense);
}

}  // namespace

ApiResult<SparsityFields> read_sparsity(const Json& object, const RequestContext& context) {
  SparsityFields fields;
  if (object.is_null()) return fields;
  for (const auto& [key, value] : object.items())
    if (!value.is_null()) VORTEX_RETURN_IF_ERROR(read_key(key, value, context, &fields));
  return fields;
}

}  // namespace vortex::server
