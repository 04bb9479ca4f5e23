#include "engine/vortex_config.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/nearest_name.h"
#include "loader/json.h"

namespace vortex {
namespace {

using nlohmann::json;

Error bad(const std::string& where, const std::string& key, const std::string& problem, const std::string& hint) {
  return {ErrorCode::kConfiguration, where, fmt::format("{}: {}", key, problem), hint};
}

/// A whole number: an integer, or a float equal to one (spec/config.md 3.1).
std::optional<int64_t> whole(const json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double x = value.get<double>();
  if (std::floor(x) != x || std::abs(x) > 0x1p53) return std::nullopt;
  return static_cast<int64_t>(x);
}

bool read(const json& value, int64_t* out) {
  const auto n = whole(value);
  if (n) *out = *n;
  return n.has_value();
}

bool read(const json& value, double* out) {
  if (!value.is_number()) return false;
  *out = value.get<double>();
  return true;
}

bool read(const json& value, bool* out) {
  if (!value.is_boolean()) return false;
  *out = value.get<bool>();
  return true;
}

bool read(const json& value, std::string* out) {
  if (!value.is_string()) return false;
  *out = value.get<std::string>();
  return true;
}

bool read(const json& value, std::vector<int64_t>* out) {
  if (!value.is_array()) return false;
  out->clear();
  for (const json& item : value) {
    const auto n = whole(item);
    if (!n) return false;
    out->push_back(*n);
  }
  return true;
}

template <class T>
bool read(const json& value, std::optional<T>* out) {
  if (value.is_null()) {
    out->reset();
    return true;
  }
  return read(value, &out->emplace());
}

struct Field {
  const char* name;
  const char* type;
  std::function<bool(VortexConfig&, const json&)> set;
  std::function<json(const VortexConfig&)> get;
};

template <class T>
json as_json(const T& value) {
  return value;
}
template <class T>
json as_json(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

template <class T>
Field field(const char* name, const char* type, T VortexConfig::*member) {
  return {name, type, [member](VortexConfig& c, const json& v) { return read(v, &(c.*member)); },
          [member](const VortexConfig& c) { return as_json(c.*member); }};
}

const std::vector<Field>& fields() {
  static const std::vector<Field> table = {
      field("topk_val", "a whole number", &VortexConfig::topk_val),
      field("max_topk_val", "a whole number or null", &VortexConfig::max_topk_val),
      field("layers_skip", "a list of layer numbers such as [0, 1], or null", &VortexConfig::layers_skip),
      field("block_reserved_bos", "a whole number", &VortexConfig::block_reserved_bos),
      field("block_reserved_eos", "a whole number", &VortexConfig::block_reserved_eos),
      field("max_seq_lens", "a whole number", &VortexConfig::max_seq_lens),
      field("workload_chunk_size", "a whole number", &VortexConfig::workload_chunk_size),
      field("dtype", "a string", &VortexConfig::dtype),
      field("module_path", "a string or null", &VortexConfig::module_path),
      field("module_name", "a string or null", &VortexConfig::module_name),
      field("block_size", "a whole number", &VortexConfig::block_size),
      field("topk_ratio", "a number", &VortexConfig::topk_ratio),
      field("compilation_cache_dir", "a string or null", &VortexConfig::compilation_cache_dir),
      field("schedule_policy", "a string or null", &VortexConfig::schedule_policy),
      field("attention_backend", "a string", &VortexConfig::attention_backend),
      field("impl_backend", "a string", &VortexConfig::impl_backend),
      field("use_tensor_core", "true or false", &VortexConfig::use_tensor_core),
  };
  return table;
}

/// Keys of the original's engine files that are no part of a VortexConfig, and what does the same here.
struct EngineKey {
  std::string_view name;
  const char* hint;
};
constexpr EngineKey kEngineKeys[] = {
    {"model_path", "the model is an argument of the command"},
    {"page_size", "use --page-size"},
    {"kv_cache_dtype", "use --kv-cache-dtype"},
    {"mem_fraction_static", "use --kv-cache-memory-bytes"},
    {"context_length", "use --max-model-len"},
    {"tp_size", "use --tensor-parallel-size"},
    {"disable_radix_cache", "use --no-enable-prefix-caching; flows that save state do not need it"},
    {"disable_overlap_schedule", "leave it out"},
    {"disable_cuda_graph", "leave it out"},
};

Error unknown_key(const std::string& key, const std::string& name, const std::string& where) {
  for (const EngineKey& engine : kEngineKeys)
    if (name == engine.name) return bad(where, key, "an engine option, no part of a VortexConfig", engine.hint);
  std::vector<std::string> names;
  for (const Field& f : fields()) names.emplace_back(f.name);
  const std::string nearest = nearest_name(name, names);
  return bad(where, key, "unknown key",
             nearest.empty() ? "see docs/configuration.md" : "did you mean " + nearest + "?");
}

bool is_quoted_json(const json& value) { return value.is_string() && json::accept(value.get<std::string>()); }

Status set_field(const std::string& key, const json& value, const std::string& where, std::set<std::string>* seen,
                 VortexConfig* config) {
  constexpr std::string_view kPrefix = "vortex_";
  const std::string name = key.starts_with(kPrefix) ? key.substr(kPrefix.size()) : key;
  if (!seen->insert(name).second) return bad(where, key, "given with and without the prefix vortex_", "keep one");
  for (const Field& f : fields()) {
    if (name != f.name) continue;
    if (f.set(*config, value)) return {};
    return bad(where, key, fmt::format("{} is not {}", value.dump(), f.type),
               is_quoted_json(value) ? "write it without quotes" : "");
  }
  return unknown_key(key, name, where);
}

Status in_range(const char* key, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return bad("vortex config", key, fmt::format("{} is out of range", value), fmt::format("give {} to {}", low, high));
}

Status one_of(const char* key, const std::string& value, std::initializer_list<const char*> choices) {
  std::string list;
  for (const char* choice : choices) {
    if (value == choice) return {};
    list += list.empty() ? choice : fmt::format(", {}", choice);
  }
  return bad("vortex config", key, fmt::format("'{}' is not known", value), "give one of " + list);
}

Status power_of_two(const char* key, int64_t value) {
  const auto below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(value)));
  if (value == below) return {};
  return bad("vortex config", key, fmt::format("{} is not a power of two", value),
             fmt::format("give {} or {}", below, 2 * below));
}

}  // namespace

Result<std::optional<VortexConfig>> parse_vortex_config(std::string_view text, const std::string& where) {
  const auto parsed = parse_json(text, where);
  if (!parsed.ok()) {
    const bool object = text.find('{') != std::string_view::npos;
    return Error{ErrorCode::kConfiguration, where, parsed.error().message,
                 object ? "quote keys and strings with \"" : "write @FILE for a file, --flow NAME for a flow"};
  }
  const json& object = *parsed;
  if (!object.is_object())
    return Error{ErrorCode::kConfiguration, where, "not a JSON object", "write {\"topk_val\": 30}"};
  VortexConfig config;
  bool enabled = true;
  std::set<std::string> seen;
  for (const auto& [key, value] : object.items()) {
    if (key == "enable_vortex_sparsity") {
      if (!read(value, &enabled)) return bad(where, key, fmt::format("{} is not true or false", value.dump()), "");
      continue;
    }
    VORTEX_RETURN_IF_ERROR(set_field(key, value, where, &seen, &config));
  }
  if (!enabled) return std::optional<VortexConfig>();
  if (const Status valid = validate(config, 0); !valid.ok()) {
    Error error = valid.error();
    error.where = where;
    return error;
  }
  return std::optional<VortexConfig>(std::move(config));
}

Status validate(const VortexConfig& c, int layers) {
  VORTEX_RETURN_IF_ERROR(in_range("topk_val", c.topk_val, 1, 1 << 20));
  if (c.max_topk_val) VORTEX_RETURN_IF_ERROR(in_range("max_topk_val", *c.max_topk_val, 1, 1 << 20));
  VORTEX_RETURN_IF_ERROR(in_range("block_reserved_bos", c.block_reserved_bos, 0, 1 << 16));
  VORTEX_RETURN_IF_ERROR(in_range("block_reserved_eos", c.block_reserved_eos, 1, 1 << 16));
  VORTEX_RETURN_IF_ERROR(in_range("max_seq_lens", c.max_seq_lens, -1, int64_t{1} << 30));
  if (c.max_seq_lens == 0) return bad("vortex config", "max_seq_lens", "0 leaves no room", "give -1 for the context");
  VORTEX_RETURN_IF_ERROR(in_range("workload_chunk_size", c.workload_chunk_size, 1, 1 << 20));
  VORTEX_RETURN_IF_ERROR(power_of_two("workload_chunk_size", c.workload_chunk_size));
  VORTEX_RETURN_IF_ERROR(in_range("block_size", c.block_size, 4, 1024));
  VORTEX_RETURN_IF_ERROR(power_of_two("block_size", c.block_size));
  if (!(c.topk_ratio >= 0.0 && c.topk_ratio <= 1.0))
    return bad("vortex config", "topk_ratio", fmt::format("{} is out of range", c.topk_ratio), "give 0 to 1");
  VORTEX_RETURN_IF_ERROR(one_of("dtype", c.dtype, {"bfloat16", "float16", "float32", "fp8_e5m2", "fp8_e4m3"}));
  VORTEX_RETURN_IF_ERROR(one_of("attention_backend", c.attention_backend, {"flashinfer", "trtllm"}));
  VORTEX_RETURN_IF_ERROR(one_of("impl_backend", c.impl_backend, {"triton", "cuda"}));
  if (c.use_tensor_core && c.impl_backend != "triton")
    return bad("vortex config", "use_tensor_core", "needs impl_backend triton", "");
  for (int64_t layer : c.layers_skip.value_or(std::vector<int64_t>{}))
    VORTEX_RETURN_IF_ERROR(in_range("layers_skip", layer, 0, layers > 0 ? layers - 1 : 1 << 16));
  return {};
}

std::string fields_without_effect(const VortexConfig& config) {
  constexpr std::string_view kHints[] = {"workload_chunk_size", "attention_backend", "impl_backend", "use_tensor_core"};
  std::string out;
  for (const Field& f : fields()) {
    if (std::ranges::find(kHints, f.name) == std::end(kHints) || f.get(config) == f.get(VortexConfig{})) continue;
    out += out.empty() ? f.name : fmt::format(", {}", f.name);
  }
  return out;
}

std::string to_json(const VortexConfig& config) {
  nlohmann::ordered_json out;
  for (const Field& f : fields()) out[f.name] = f.get(config);
  return out.dump();
}

}  // namespace vortex
