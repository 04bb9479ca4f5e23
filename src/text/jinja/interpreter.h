// Runs a syntax tree.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

/// Renders `template_body` with the variables of `inputs`. Throws Fault; runtime.line then tells where.
MarkedString render(const Block& template_body, const Dict& inputs, Runtime& runtime);

}  // namespace vortex::text::jinja
