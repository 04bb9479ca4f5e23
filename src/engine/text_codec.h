// TextCodec: between text and token ids for one model: its tokenizer and its chat template.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/model_files.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace vortex {

class TextCodec {
 public:
  /// From a model folder's tokenizer.json or a GGUF file's vocabulary; kNotFound when there is neither.
  static Result<std::unique_ptr<TextCodec>> create(const ModelFiles& files);

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  bool has_chat_template() const { return template_.has_value(); }
  /// Empty without one.
  const std::string& chat_template_source() const { return template_source_; }

  /// Plain text: no special token is ever read from it; a begin-of-text token is added where the model wants one.
  std::vector<int32_t> encode(std::string_view prompt) const;

  /// A conversation through the chat template: `inputs` has `messages`, perhaps `tools` and more;
  /// add_generation_prompt is true unless given. kUnsupported without a template. What the caller wrote never becomes
  /// a special token.
  Result<std::vector<int32_t>> encode_chat(nlohmann::ordered_json inputs) const;
  /// The two halves of encode_chat().
  Result<text::RenderedPrompt> render_chat(nlohmann::ordered_json inputs) const;
  std::vector<int32_t> encode_rendered(const text::RenderedPrompt& prompt) const;

 private:
  TextCodec() = default;

  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::optional<text::ChatTemplate> template_;
  std::string template_source_;
};

}  // namespace vortex
