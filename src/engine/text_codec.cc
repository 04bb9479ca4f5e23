#include "engine/text_codec.h"

namespace vortex {
namespace {

template <class To, class From>
std::vector<To> copy_array(const std::vector<From>* from) {
  return from == nullptr ? std::vector<To>() : std::vector<To>(from->begin(), from->end());
}

int32_t token_id(const GgufFile& file, std::string_view key) {
  const int64_t id = file.integer(key).value_or(-1);
  return id >= 0 && id <= INT32_MAX ? static_cast<int32_t>(id) : -1;
}

text::GgufVocab vocabulary(const GgufFile& file) {
  text::GgufVocab v;
  v.model = file.string("tokenizer.ggml.model").value_or("");
  v.pre = file.string("tokenizer.ggml.pre").value_or("");
  v.tokens = copy_array<std::string>(file.strings("tokenizer.ggml.tokens"));
  v.token_types = copy_array<int32_t>(file.integers("tokenizer.ggml.token_type"));
  v.scores = copy_array<float>(file.numbers("tokenizer.ggml.scores"));
  v.merges = copy_array<std::string>(file.strings("tokenizer.ggml.merges"));
  v.bos = token_id(file, "tokenizer.ggml.bos_token_id");
  v.eos = token_id(file, "tokenizer.ggml.eos_token_id");
  v.unk = token_id(file, "tokenizer.ggml.unknown_token_id");
  v.pad = token_id(file, "tokenizer.ggml.padding_token_id");
  for (std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (const int32_t id = token_id(file, key); id >= 0) v.extra_end_ids.push_back(id);
  // llama.cpp's defaults: a SentencePiece vocabulary wants a begin token and a leading space.
  const bool sentencepiece = v.model == "llama";
  v.add_bos = file.boolean("tokenizer.ggml.add_bos_token").value_or(sentencepiece);
  v.add_eos = file.boolean("tokenizer.ggml.add_eos_token").value_or(false);
  v.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(sentencepiece);
  return v;
}

Result<std::unique_ptr<text::Tokenizer>> make_tokenizer(const ModelFiles& files) {
  if (files.gguf() != nullptr) return text::Tokenizer::from_gguf(vocabulary(*files.gguf()));
  if (files.tokenizer_json())
    return text::Tokenizer::from_json(*files.tokenizer_json(), files.tokenizer_config_json().value_or(""));
  return Error{ErrorCode::kNotFound, files.path(), "no tokenizer.json beside the weights",
               "copy it from the model's repository"};
}

}  // namespace

Result<std::unique_ptr<TextCodec>> TextCodec::create(const ModelFiles& files) {
  std::unique_ptr<TextCodec> codec(new TextCodec);
  VORTEX_ASSIGN_OR_RETURN(codec->tokenizer_, make_tokenizer(files));
  if (files.chat_template()) {
    codec->template_source_ = *files.chat_template();
    VORTEX_ASSIGN_OR_RETURN(codec->template_, text::ChatTemplate::compile(codec->template_source_));
  }
  return codec;
}

std::vector<int32_t> TextCodec::encode(std::string_view prompt) const {
  return tokenizer_->with_bos_eos(tokenizer_->encode(prompt, text::SpecialTokens::kIgnore));
}

Result<text::RenderedPrompt> TextCodec::render_chat(nlohmann::ordered_json inputs) const {
  if (!template_)
    return Error{ErrorCode::kUnsupported, "chat", "the model has no chat template", "send plain text instead"};
  const auto piece = [&](int32_t id) { return id < 0 ? std::string() : std::string(tokenizer_->token_piece(id)); };
  if (!inputs.contains("add_generation_prompt")) inputs["add_generation_prompt"] = true;
  inputs["bos_token"] = piece(tokenizer_->bos_id());
  inputs["eos_token"] = piece(tokenizer_->eos_id());
  return template_->render(inputs);
}

std::vector<int32_t> TextCodec::encode_rendered(const text::RenderedPrompt& prompt) const {
  return tokenizer_->encode_marked(prompt.text, prompt.untrusted);
}

Result<std::vector<int32_t>> TextCodec::encode_chat(nlohmann::ordered_json inputs) const {
  VORTEX_ASSIGN_OR_RETURN(const text::RenderedPrompt prompt, render_chat(std::move(inputs)));
  return encode_rendered(prompt);
}

}  // namespace vortex
