#include "eval/fidelity_text.h"

namespace vortex::eval {

std::vector<EvalVariant> with_dense_first(std::vector<EvalVariant> variants) {
  if (variants.empty() || variants.front().lab.config) variants.insert(variants.begin(), dense_variant());
  return variants;
}

Result<std::vector<int32_t>> first_tokens(const FlowLab& lab, const std::string& text, int64_t count,
                                          const std::string& where) {
  if (lab.codec() == nullptr)
    return Error{ErrorCode::kUnsupported, "eval fidelity", "the model has no tokenizer", "use one that has"};
  std::vector<int32_t> tokens = lab.codec()->encode(text);
  if (static_cast<int64_t>(tokens.size()) < count)
    return Error{ErrorCode::kInvalidArgument, where,
                 fmt::format("has {} tokens, {} are asked for", tokens.size(), count),
                 "ask for fewer or give a longer text"};
  tokens.resize(static_cast<size_t>(count));
  return tokens;
}

}  // namespace vortex::eval
