// What the engine says, as plain Python: dicts, lists, numbers.
#pragma once

#include <nanobind/nanobind.h>

#include "native/engine_handle.h"

namespace vortex::python {

nanobind::dict info_dict(const EngineHandle& handle, const Engine& engine);
nanobind::dict stats_dict(const EngineStats& stats);
/// Seconds, and tokens a second, as `vortex run --json` names them.
nanobind::dict timings_dict(const Completion& completion);
/// The block `sparsity` of docs/json.md.
nanobind::object sparsity_object(const SparsityReport& report);
/// (logprob, token, [(logprob, token), ...]) for each, the likeliest first.
nanobind::list logprobs_list(const std::vector<TokenLogprobs>& logprobs);
/// None, the token or the text that ended it.
nanobind::object stop_reason(const Completion& completion);

}  // namespace vortex::python
