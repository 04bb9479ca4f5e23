#include "text/tokenizer_json_steps.h"

#include <fmt/core.h>

#include <optional>

#include "text/patterns.h"

namespace vortex::text {
namespace {

constexpr const char* kWordsPattern =  // \w+|[^\w\s]+ with \w as Unicode (UTS 18) defines it
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\s]+)";
constexpr const char* kPunctuationPattern = R"([\p{P}!-/:-@\[-`{-~])";

std::optional<NormalForm> normal_form(std::string_view name) {
  if (name == "NFC") return NormalForm::kNfc;
  if (name == "NFD") return NormalForm::kNfd;
  if (name == "NFKC") return NormalForm::kNfkc;
  if (name == "NFKD") return NormalForm::kNfkd;
  return std::nullopt;
}

Result<NormalizerStep> read_replace(const JsonField& field) {
  VORTEX_ASSIGN_OR_RETURN(Regex pattern, read_pattern(field["pattern"]));
  VORTEX_ASSIGN_OR_RETURN(std::string content, field["content"].string());
  return NormalizerStep{ReplaceStep{std::move(pattern), std::move(content)}};
}

Result<NormalizerStep> read_strip(const JsonField& field) {
  StripStep step;
  VORTEX_ASSIGN_OR_RETURN(step.left, field["strip_left"].bool_or(true));
  VORTEX_ASSIGN_OR_RETURN(step.right, field["strip_right"].bool_or(true));
  return NormalizerStep{step};
}

Result<NormalizerStep> read_normalizer_step(const JsonField& field) {
  VORTEX_ASSIGN_OR_RETURN(const std::string type, field["type"].string());
  if (const auto form = normal_form(type)) return NormalizerStep{*form};
  if (type == "Lowercase") return NormalizerStep{LowercaseStep{}};
  if (type == "Replace") return read_replace(field);
  if (type == "Strip") return read_strip(field);
  if (type == "Prepend") {
    VORTEX_ASSIGN_OR_RETURN(std::string prefix, field["prepend"].string());
    return NormalizerStep{PrependStep{std::move(prefix)}};
  }
  return field.unsupported(fmt::format("normalizer '{}' is not supported", type));
}

Result<SplitBehavior> read_behavior(const JsonField& field, SplitBehavior fallback) {
  if (field.is_null()) return fallback;
  VORTEX_ASSIGN_OR_RETURN(const std::string name, field.string());
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return field.unsupported(fmt::format("split behavior '{}' is not supported", name));
}

using Steps = std::vector<PreTokenizerStep>;

Status add_splitter(const char* pattern, SplitBehavior behavior, bool invert, Steps& steps) {
  VORTEX_ASSIGN_OR_RETURN(Regex regex, Regex::compile(pattern));
  steps.emplace_back(Splitter{std::move(regex), behavior, invert});
  return {};
}

Status add_split(const JsonField& field, Steps& steps) {
  VORTEX_ASSIGN_OR_RETURN(Regex pattern, read_pattern(field["pattern"]));
  VORTEX_ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(field["behavior"], SplitBehavior::kIsolated));
  VORTEX_ASSIGN_OR_RETURN(const bool invert, field["invert"].bool_or(false));
  steps.emplace_back(Splitter{std::move(pattern), behavior, invert});
  return {};
}

Status add_byte_level(const JsonField& field, Steps& steps) {
  VORTEX_ASSIGN_OR_RETURN(const bool prefix_space, field["add_prefix_space"].bool_or(true));
  VORTEX_ASSIGN_OR_RETURN(const bool use_regex, field["use_regex"].bool_or(true));
  if (prefix_space) steps.emplace_back(PrefixSpaceStep{});
  if (use_regex) VORTEX_RETURN_IF_ERROR(add_splitter(kGpt2Pattern, SplitBehavior::kIsolated, false, steps));
  steps.emplace_back(ByteAlphabetStep{});
  return {};
}

Status add_digits(const JsonField& field, Steps& steps) {
  VORTEX_ASSIGN_OR_RETURN(const bool each, field["individual_digits"].bool_or(false));
  return add_splitter(kDigitPattern, each ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false, steps);
}

Status add_punctuation(const JsonField& field, Steps& steps) {
  VORTEX_ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(field["behavior"], SplitBehavior::kIsolated));
  return add_splitter(kPunctuationPattern, behavior, false, steps);
}

// Older files say add_prefix_space where newer ones say prepend_scheme.
Result<MetaspaceStep::Prepend> read_prepend(const JsonField& field) {
  VORTEX_ASSIGN_OR_RETURN(const bool prefix_space, field["add_prefix_space"].bool_or(true));
  VORTEX_ASSIGN_OR_RETURN(const std::string scheme,
                          field["prepend_scheme"].string_or(prefix_space ? "always" : "never"));
  if (scheme == "always") return MetaspaceStep::Prepend::kAlways;
  if (scheme == "first") return MetaspaceStep::Prepend::kFirst;
  if (scheme == "never") return MetaspaceStep::Prepend::kNever;
  return field["prepend_scheme"].unsupported(fmt::format("prepend scheme '{}' is not supported", scheme));
}

Status add_metaspace(const JsonField& field, Steps& steps) {
  MetaspaceStep step;
  VORTEX_ASSIGN_OR_RETURN(step.replacement, field["replacement"].string());
  VORTEX_ASSIGN_OR_RETURN(step.prepend, read_prepend(field));
  VORTEX_ASSIGN_OR_RETURN(const bool split, field["split"].bool_or(true));
  const std::string pattern = escaped_pattern(step.replacement);
  steps.emplace_back(std::move(step));
  if (split) return add_splitter(pattern.c_str(), SplitBehavior::kMergedWithNext, false, steps);
  return {};
}

Status add_pre_tokenizer(const JsonField& field, Steps& steps) {
  VORTEX_ASSIGN_OR_RETURN(const std::string type, field["type"].string());
  if (type == "ByteLevel") return add_byte_level(field, steps);
  if (type == "Split") return add_split(field, steps);
  if (type == "Digits") return add_digits(field, steps);
  if (type == "Punctuation") return add_punctuation(field, steps);
  if (type == "Metaspace") return add_metaspace(field, steps);
  if (type == "Whitespace") return add_splitter(kWordsPattern, SplitBehavior::kRemoved, true, steps);
  if (type == "WhitespaceSplit") return add_splitter(R"(\s)", SplitBehavior::kRemoved, false, steps);
  return field.unsupported(fmt::format("pre-tokenizer '{}' is not supported", type));
}

Status flatten(const JsonField& field, const char* list_key, std::vector<JsonField>& out) {
  if (field.is_null()) return {};
  VORTEX_ASSIGN_OR_RETURN(const std::string type, field["type"].string());
  if (type != "Sequence") {
    out.push_back(field);
    return {};
  }
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> elements, field[list_key].elements());
  for (const JsonField& element : elements) VORTEX_RETURN_IF_ERROR(flatten(element, list_key, out));
  return {};
}

}  // namespace

Result<Regex> read_pattern(const JsonField& field) {
  const bool literal = !field["String"].is_null();
  VORTEX_ASSIGN_OR_RETURN(const std::string text, field[literal ? "String" : "Regex"].string());
  Result<Regex> regex = Regex::compile(literal ? escaped_pattern(text) : text);
  if (regex.ok()) return regex;
  Error error = regex.error();
  error.where = fmt::format("{}: {}", field.path(), error.where);
  return error;
}

Result<std::vector<JsonField>> flattened(const JsonField& field, const char* list_key) {
  std::vector<JsonField> out;
  VORTEX_RETURN_IF_ERROR(flatten(field, list_key, out));
  return out;
}

Result<Normalizer> read_normalizer(const JsonField& field) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> fields, flattened(field, "normalizers"));
  std::vector<NormalizerStep> steps;
  for (const JsonField& step_field : fields) {
    VORTEX_ASSIGN_OR_RETURN(NormalizerStep step, read_normalizer_step(step_field));
    steps.push_back(std::move(step));
  }
  return Normalizer(std::move(steps));
}

Result<PreTokenizer> read_pre_tokenizer(const JsonField& field) {
  VORTEX_ASSIGN_OR_RETURN(const std::vector<JsonField> fields, flattened(field, "pretokenizers"));
  Steps steps;
  for (const JsonField& step_field : fields) VORTEX_RETURN_IF_ERROR(add_pre_tokenizer(step_field, steps));
  return PreTokenizer(std::move(steps));
}

}  // namespace vortex::text
