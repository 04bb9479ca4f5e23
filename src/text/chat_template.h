// Chat templates: the subset of Jinja that Hugging Face models use, rendered as transformers renders it, with
// every byte of the result marked as the template's own or the caller's.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/text_range.h"

namespace vortex::text {

/// Limits on one rendering. Passing one is a kResourceExhausted error that names it.
struct RenderCaps {
  int64_t max_steps = 2'000'000;         // statements, expressions and items touched; 256 bytes of text count as one
  int max_depth = 64;                    // nested macro calls; 16 nested statements and expressions for each
  size_t max_output = size_t{64} << 20;  // bytes of the prompt, and of any string on the way to it
  std::time_t (*now)() = nullptr;        // clock of strftime_now; null: the system's
};

struct RenderedPrompt {
  std::string text;
  /// Bytes that came from the caller (message contents, tool schemas, documents, keyword arguments): sorted,
  /// disjoint. Special tokens must not be recognised inside them.
  std::vector<TextRange> untrusted;
};

/// A compiled template; immutable, safe to share between threads.
class ChatTemplate {
 public:
  /// kInvalidArgument with `where` "chat_template:LINE" when the source is not a template we can run.
  static Result<ChatTemplate> compile(std::string source);

  /// `inputs` is an object: messages, tools, documents, add_generation_prompt, bos_token, eos_token and further
  /// variables. Strings are untrusted, except `*_token` at the top and the well-known values of a message's
  /// `role`. Errors carry the template's line; the text of raise_exception is the message.
  Result<RenderedPrompt> render(const nlohmann::ordered_json& inputs, const RenderCaps& caps = {}) const;

 private:
  struct Program;
  explicit ChatTemplate(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace vortex::text
