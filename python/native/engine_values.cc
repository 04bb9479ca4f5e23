#include "native/engine_values.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "engine/sparsity_json.h"

namespace vortex::python {
namespace nb = nanobind;

nb::dict info_dict(const EngineHandle& handle, const Engine& engine) {
  const EngineInfo& info = engine.info();
  const ModelConfig& model = info.config;
  nb::dict out;
  out["model_path"] = handle.path();
  out["architecture"] = model.architecture;
  out["attention"] = model.latent() ? "mla" : "gqa";
  out["layers"] = model.layers;
  out["heads"] = model.heads;
  out["kv_heads"] = model.kv_heads;
  out["head_dim"] = model.head_dim;
  out["vocab_size"] = model.vocab_size;
  out["max_model_len"] = info.max_model_len;
  out["kv_tokens"] = info.kv_tokens;
  out["kv_bytes"] = info.kv_bytes;
  out["file_bytes"] = info.file_bytes;
  out["threads"] = info.threads;
  out["load_s"] = info.load_s;
  out["end_ids"] = nb::tuple(nb::cast(engine.end_ids()));
  out["has_chat_template"] = engine.codec() != nullptr && engine.codec()->has_chat_template();
  out["flow"] = info.flow.empty() ? nb::none() : nb::cast(info.flow);
  out["vortex_json"] = handle.vortex() ? nb::cast(to_json(*handle.vortex())) : nb::none();
  return out;
}

nb::dict stats_dict(const EngineStats& s) {
  nb::dict out;
  out["running"] = s.running;
  out["waiting"] = s.waiting;
  out["pages_total"] = s.pages_total;
  out["pages_used"] = s.pages_used;
  out["pages_cached"] = s.pages_cached;
  out["prompt_tokens"] = s.prompt_tokens;
  out["generation_tokens"] = s.generation_tokens;
  out["prefix_queries"] = s.prefix_queries;
  out["prefix_hits"] = s.prefix_hits;
  out["preemptions"] = s.preemptions;
  out["sparse_pages_held"] = s.sparse_pages_held;
  out["sparse_pages_read"] = s.sparse_pages_read;
  out["decodes_sparse"] = s.decodes_sparse;
  out["decodes_dense"] = s.decodes_dense;
  out["selection_s"] = s.selection_s;
  out["attention_s"] = s.attention_s;
  out["step_s"] = s.step_s;
  return out;
}

nb::dict timings_dict(const Completion& c) {
  nb::dict out;
  out["queue_s"] = c.timings.queue_s;
  out["prefill_s"] = c.timings.prefill_s;
  out["ttft_s"] = c.timings.ttft_s;
  out["decode_s"] = c.timings.decode_s;
  out["decode_tokens_per_s"] = c.timings.decode_tokens_per_s();
  out["prefill_tokens_per_s"] = c.timings.prefill_tokens_per_s(c.usage.prompt_tokens);
  return out;
}

nb::object sparsity_object(const SparsityReport& r) {
  return nb::module_::import_("json").attr("loads")(sparsity_json(r).dump());
}

nb::list logprobs_list(const std::vector<TokenLogprobs>& logprobs) {
  nb::list out;
  for (const TokenLogprobs& position : logprobs) {
    nb::list top;
    for (const TokenLogprob& one : position.top) top.append(nb::make_tuple(one.logprob, one.token));
    out.append(nb::make_tuple(position.chosen.logprob, position.chosen.token, top));
  }
  return out;
}

nb::object stop_reason(const Completion& c) {
  if (const auto* token = std::get_if<int32_t>(&c.stop_reason)) return nb::cast(*token);
  if (const auto* text = std::get_if<std::string>(&c.stop_reason)) return nb::cast(*text);
  return nb::none();
}

}  // namespace vortex::python
