#include "cli/report.h"

#include <cstdio>

namespace vortex::cli {

Json usage_json(const Usage& u) {
  return {{"prompt_tokens", u.prompt_tokens},
          {"completion_tokens", u.completion_tokens},
          {"cached_tokens", u.cached_tokens}};
}

Json completion_json(const Completion& c, const EngineInfo& info) {
  return {{"text", c.text},
          {"finish_reason", finish_reason_name(c.finish_reason)},
          {"usage", usage_json(c.usage)},
          {"timings",
           {{"load_s", info.load_s},
            {"prefill_s", c.timings.prefill_s},
            {"ttft_s", c.timings.ttft_s},
            {"decode_s", c.timings.decode_s},
            {"decode_tokens_per_s", c.timings.decode_tokens_per_s()},
            {"prefill_tokens_per_s", c.timings.prefill_tokens_per_s(c.usage.prompt_tokens)}}},
          {"sparsity", sparsity_json(c.sparsity)}};
}

std::string summary_line(const Completion& c) {
  std::string line =
      fmt::format("{} prompt tokens in {:.2f} s ({:.0f}/s), {} generated", c.usage.prompt_tokens, c.timings.prefill_s,
                  c.timings.prefill_tokens_per_s(c.usage.prompt_tokens), c.usage.completion_tokens);
  if (!c.timings.intervals_s.empty()) line += fmt::format(" at {:.1f}/s", c.timings.decode_tokens_per_s());
  if (!c.sparsity.active) return line + ", dense";
  return line + fmt::format(", {}: {} of {} pages read ({:.1f} %)", c.sparsity.flow, c.sparsity.pages_read,
                            c.sparsity.pages_held, 100 * c.sparsity.read_fraction());
}

void print_json(const Json& value) {
  const std::string text = value.dump(2, ' ', false, Json::error_handler_t::replace);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

}  // namespace vortex::cli
