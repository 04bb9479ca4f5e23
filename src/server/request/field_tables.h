// The tables of every endpoint that takes a body.
#pragma once

#include "server/request/fields.h"

namespace vortex::server {

const Schema& chat_schema();
const Schema& completion_schema();
const Schema& tokenize_schema();
const Schema& detokenize_schema();

/// What both kinds of completion take: sampling, streaming, structured output, scheduling, sparsity.
std::vector<FieldSpec> generation_fields();

}  // namespace vortex::server
