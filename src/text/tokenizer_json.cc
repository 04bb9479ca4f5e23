#include "text/tokenizer_json.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "text/bpe_tables.h"
#include "text/json_fields.h"
#include "text/tokenizer_json_steps.h"

namespace vortex::text {
namespace {

Status check_model(const JsonField& model) {
  VORTEX_ASSIGN_OR_RETURN(const std::string type, model["type"].string_or("BPE"));
  if (type != "BPE") return model["type"].unsupported(fmt::format("tokenizer model '{}' is not supported", type));
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    VORTEX_ASSIGN_OR_RETURN(const std::string affix, model[key].string_or(""));
    if (!affix.empty()) return model[key].unsupported(fmt::format("'{}' is not supported", affix));
  }
  const JsonField dropout = model["dropout"];
  const bool off = dropout.is_null() || (dropout.value().is_number() && dropout.value().get<double>() == 0.0);
  return off ? Status() : dropout.unsupported("BPE dropout is not supported");
}

Status place(int64_t id, Token token, const JsonField& where, std::vector<Token>& tokens) {
  if (static_cast<size_t>(id) >= tokens.size()) tokens.resize(static_cast<size_t>(id) + 1);
  if (!tokens[id].piece.empty()) {
    return where.damaged(fmt::format("id {} is both '{}' and '{}'", id, tokens[id].piece, token.piece));
  }
  tokens[id] = std::move(token);
  return {};
}

Result<std::vector<Token>> read_vocab(const JsonField& field) {
  if (!field.value().is_object() || field.value().empty()) return field.damaged("is not an object of pieces and ids");
  std::vector<Token> tokens;
  tokens.reserve(field.value().size());
  for (const auto& [piece, id_value] : field.value().items()) {
    VORTEX_ASSIGN_OR_RETURN(
        const int64_t id,
        JsonField(id_value, fmt::format("{}['{}']", field.path(), piece)).integer(0, kMaxVocabSize - 1));
    VORTEX_RETURN_IF_ERROR(place(id, {piece, true, false}, field, tokens));
  }
  return tokens;
}

Result<AddedToken> read_added_token(const JsonField& field) {
  AddedToken token;
  VORTEX_ASSIGN_OR_RETURN(const int64_t id, field["id"].integer(0, kMaxVocabSize - 1));
  token.id = static_cast<int32_t>(id);
  VORTEX_ASSIGN_OR_RETURN(token.content, field["content"].string());
  VORTEX_ASSIGN_OR_RETURN(token.special, field["special"].bool_or(false));
  VORTEX_ASSIGN_OR_RETURN(token.normalized, field["normalized"].bool_or(!token.special));
  VORTEX_ASSIGN_OR_RETURN(token.single_word, field["single_word"].bool_or(false));
  VORTEX_ASSIGN_OR_RETURN(token.lstrip, field["lstrip"].bool_or(false));
  VORTEX_ASSIGN_OR_RETURN(token.rstrip, field["rstrip"].bool_or(false));
  return token;
}

// Adds the tokens to the list by id, those of the vocabulary under the id they have there.
Result<std::vector<AddedToken>> read_added_tokens(const JsonField& field, std::vector<Token>& tokens) {
  std::unordered_map<std::string, int32_t> known;
  for (size_t id = 0; id < tokens.size(); ++id) known.emplace(tokens[id].piece, static_cast<int32_t>(id));
  std::vector<AddedToken> added;
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> elements, field.elements());
  for (const JsonField& element : elements) {
    VORTEX_ASSIGN_OR_RETURN(AddedToken token, read_added_token(element));
    if (token.content.empty()) continue;
    const auto it = known.find(token.content);
    if (it != known.end()) {
      token.id = it->second;
    } else {
      VORTEX_RETURN_IF_ERROR(place(token.id, {token.content, false, false}, element, tokens));
    }
    if (token.special) tokens[token.id] = {token.content, false, true};
    added.push_back(std::move(token));
  }
  return added;
}

void set_added_tokens(std::vector<AddedToken> added, TokenizerParts& parts) {
  std::vector<AddedToken> raw, normalized;
  for (AddedToken& token : added) {
    const bool waits = token.normalized && !token.special && !parts.normalizer.is_identity();
    if (waits) token.content = parts.normalizer.apply(token.content);
    (waits ? normalized : raw).push_back(std::move(token));
  }
  parts.raw_added = AddedTokens(std::move(raw));
  parts.normalized_added = AddedTokens(std::move(normalized));
}

// "left right" in older files, ["left", "right"] in newer ones.
std::optional<MergeText> merge_text(const nlohmann::json& value) {
  if (value.is_string()) {
    const std::string_view text = value.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
    return MergeText{text.substr(0, space), text.substr(space + 1)};
  }
  if (!value.is_array() || value.size() != 2 || !value[0].is_string() || !value[1].is_string()) return std::nullopt;
  return MergeText{value[0].get_ref<const std::string&>(), value[1].get_ref<const std::string&>()};
}

Result<std::vector<MergeText>> read_merges(const JsonField& field) {
  std::vector<MergeText> merges;
  if (!field.value().is_array()) return field.damaged("is not a list");
  merges.reserve(field.value().size());
  for (const auto& value : field.value()) {
    const auto merge = merge_text(value);
    if (!merge) return field.damaged(fmt::format("entry {} is not a pair of pieces", merges.size()));
    merges.push_back(*merge);
  }
  return merges;
}

Result<int32_t> read_unknown(const JsonField& field, const Vocabulary& vocabulary) {
  VORTEX_ASSIGN_OR_RETURN(const std::string piece, field.string_or(""));
  if (piece.empty()) return -1;
  const int32_t id = vocabulary.id_of(piece);
  if (id < 0) return field.damaged(fmt::format("'{}' is not in the vocabulary", piece));
  return id;
}

Result<BpeTables> read_bpe(const JsonField& model, const Vocabulary& vocabulary) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<MergeText> merges, read_merges(model["merges"]));
  VORTEX_ASSIGN_OR_RETURN(BpeTables tables, tables_from_merges(vocabulary, merges));
  VORTEX_ASSIGN_OR_RETURN(tables.unknown, read_unknown(model["unk_token"], vocabulary));
  VORTEX_ASSIGN_OR_RETURN(tables.fuse_unknown, model["fuse_unk"].bool_or(false));
  VORTEX_ASSIGN_OR_RETURN(const bool byte_fallback, model["byte_fallback"].bool_or(false));
  if (byte_fallback) tables.byte_tokens = byte_tokens_of(vocabulary);
  VORTEX_ASSIGN_OR_RETURN(const bool ignore_merges, model["ignore_merges"].bool_or(false));
  for (int32_t id = 0; ignore_merges && id < vocabulary.size(); ++id) {
    if (vocabulary[id].mergeable) tables.words.emplace(vocabulary[id].piece, id);
  }
  return tables;
}

Status add_template_token(const JsonField& post_processor, const std::string& name, std::vector<int32_t>& ids) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> elements,
                          post_processor["special_tokens"][name.c_str()]["ids"].elements());
  for (const JsonField& element : elements) {
    VORTEX_ASSIGN_OR_RETURN(const int64_t id, element.integer(0, kMaxVocabSize - 1));
    ids.push_back(static_cast<int32_t>(id));
  }
  return {};
}

// The template of one text: tokens before the sequence, and after it.
Status read_template(const JsonField& field, TokenizerParts& parts) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> elements, field["single"].elements());
  bool after = false;
  for (const JsonField& element : elements) {
    if (!element["Sequence"].is_null()) {
      after = true;
      continue;
    }
    VORTEX_ASSIGN_OR_RETURN(const std::string name, element["SpecialToken"]["id"].string());
    VORTEX_RETURN_IF_ERROR(add_template_token(field, name, after ? parts.suffix : parts.prefix));
  }
  return {};
}

Status read_post_processor(const JsonField& field, TokenizerParts& parts) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> fields, flattened(field, "processors"));
  for (const JsonField& step : fields) {
    VORTEX_ASSIGN_OR_RETURN(const std::string type, step["type"].string());
    if (type == "ByteLevel") continue;  // adjusts offsets only
    if (type != "TemplateProcessing") {
      return step.unsupported(fmt::format("post-processor '{}' is not supported", type));
    }
    VORTEX_RETURN_IF_ERROR(read_template(step, parts));
  }
  return {};
}

// Either "<s>" or {"content": "<s>", ...}.
Result<int32_t> named_token(const JsonField& field, const Vocabulary& vocabulary) {
  if (field.is_null()) return -1;
  VORTEX_ASSIGN_OR_RETURN(const std::string piece,
                          field.value().is_object() ? field["content"].string() : field.string());
  return vocabulary.id_of(piece);
}

// add_bos_token and add_eos_token, where they are said, win over the template.
Status override_ends(const JsonField& field, int32_t id, std::vector<int32_t>& ends) {
  if (field.is_null()) return {};
  VORTEX_ASSIGN_OR_RETURN(const bool wanted, field.bool_or(false));
  if (!wanted) ends.clear();
  if (wanted && ends.empty() && id >= 0) ends.push_back(id);
  return {};
}

Status read_config(std::string_view text, TokenizerParts& parts) {
  if (text.empty()) return {};
  VORTEX_ASSIGN_OR_RETURN(const nlohmann::json document, parse_json(text, "tokenizer_config.json"));
  const JsonField root(document, "tokenizer_config.json: ");
  VORTEX_ASSIGN_OR_RETURN(parts.bos, named_token(root["bos_token"], parts.vocabulary));
  VORTEX_ASSIGN_OR_RETURN(parts.eos, named_token(root["eos_token"], parts.vocabulary));
  VORTEX_ASSIGN_OR_RETURN(parts.pad, named_token(root["pad_token"], parts.vocabulary));
  VORTEX_ASSIGN_OR_RETURN(const int32_t unk, named_token(root["unk_token"], parts.vocabulary));
  if (unk >= 0) parts.unk = unk;
  if (parts.eos >= 0) parts.end_ids = {parts.eos};
  VORTEX_RETURN_IF_ERROR(override_ends(root["add_bos_token"], parts.bos, parts.prefix));
  return override_ends(root["add_eos_token"], parts.eos, parts.suffix);
}

// Ids that the model has no piece for: what is added there stands for its own text.
std::vector<bool> outside_model(const std::vector<Token>& model_tokens) {
  std::vector<bool> outside;
  for (const Token& token : model_tokens) outside.push_back(token.piece.empty());
  return outside;
}

}  // namespace

Result<TokenizerParts> parts_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json) {
  VORTEX_ASSIGN_OR_RETURN(const nlohmann::json document, parse_json(tokenizer_json, "tokenizer.json"));
  const JsonField root(document, "tokenizer.json: ");
  const JsonField model = root["model"];
  VORTEX_RETURN_IF_ERROR(check_model(model));

  TokenizerParts parts;
  VORTEX_ASSIGN_OR_RETURN(std::vector<Token> tokens, read_vocab(model["vocab"]));
  std::vector<bool> verbatim = outside_model(tokens);
  VORTEX_ASSIGN_OR_RETURN(std::vector<AddedToken> added, read_added_tokens(root["added_tokens"], tokens));
  parts.vocabulary = Vocabulary(std::move(tokens));
  VORTEX_ASSIGN_OR_RETURN(parts.bpe, read_bpe(model, parts.vocabulary));
  parts.unk = parts.bpe.unknown;
  VORTEX_ASSIGN_OR_RETURN(parts.normalizer, read_normalizer(root["normalizer"]));
  VORTEX_ASSIGN_OR_RETURN(parts.pre_tokenizer, read_pre_tokenizer(root["pre_tokenizer"]));
  verbatim.resize(static_cast<size_t>(parts.vocabulary.size()), true);
  VORTEX_ASSIGN_OR_RETURN(parts.decoder, read_decoder(root["decoder"], parts.vocabulary, verbatim));
  set_added_tokens(std::move(added), parts);
  VORTEX_RETURN_IF_ERROR(read_post_processor(root["post_processor"], parts));
  VORTEX_RETURN_IF_ERROR(read_config(tokenizer_config_json, parts));
  return parts;
}

}  // namespace vortex::text
