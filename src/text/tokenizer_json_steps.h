// Readers of the parts of tokenizer.json that are lists of steps.
#pragma once

#include "base/result.h"
#include "text/json_fields.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/token_decoder.h"
#include "text/vocabulary.h"

namespace vortex::text {

/// Names the component in the error if it is not known here. null is the identity.
Result<Normalizer> read_normalizer(const JsonField& field);
Result<PreTokenizer> read_pre_tokenizer(const JsonField& field);

/// `verbatim`: by id, tokens that stand for their own text whatever the byte alphabet says (added to the model).
/// null joins the pieces as they are.
Result<TokenDecoder> read_decoder(const JsonField& field, const Vocabulary& vocabulary,
                                  const std::vector<bool>& verbatim);

/// {"String": ...} or {"Regex": ...}.
Result<Regex> read_pattern(const JsonField& field);

/// The components of a Sequence (nested ones too) in order; any other component alone.
Result<std::vector<JsonField>> flattened(const JsonField& field, const char* list_key);

}  // namespace vortex::text
