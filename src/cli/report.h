// Reports: completions and engines as JSON (docs/json.md) and as lines for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/sparsity_json.h"
#include "vortex/engine.h"

namespace vortex::cli {

using Json = nlohmann::ordered_json;

Json usage_json(const Usage& usage);
/// The object `vortex run --json` prints.
Json completion_json(const Completion& completion, const EngineInfo& info);

/// "1,024 tokens in 1.20 s (853/s), 12 generated at 35.1/s, 32 of 1,001 pages read (3.2 %)".
std::string summary_line(const Completion& completion);

/// Prints one object and a newline on stdout. Invalid UTF-8 is replaced, never thrown on.
void print_json(const Json& value);

}  // namespace vortex::cli
