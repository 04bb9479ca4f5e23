// What a fidelity measurement is taken on: the first tokens of a text, and a dense variant to hold the others against.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/flow_lab.h"
#include "eval/variants.h"

namespace vortex::eval {

/// The variants, dense attention first.
std::vector<EvalVariant> with_dense_first(std::vector<EvalVariant> variants);

/// The first `count` tokens of `text`, which `where` names. kUnsupported without a tokenizer; kInvalidArgument when the
/// text is shorter.
Result<std::vector<int32_t>> first_tokens(const FlowLab& lab, const std::string& text, int64_t count,
                                          const std::string& where);

}  // namespace vortex::eval
