#include "server/fields_markdown.h"

#include <fmt/ranges.h>

#include "server/request/field_tables.h"

namespace vortex::server {
namespace {

std::string values(const FieldSpec& field) {
  if (field.support == Support::kRefused) return "";
  if (field.support == Support::kOnly) return fmt::format("`{}`", fmt::join(field.accepted, "` or `"));
  if (!field.choices.empty()) return fmt::format("`{}`", fmt::join(field.choices, "` `"));
  std::string out = type_words(field.types);
  if (field.range) out += fmt::format(", {} to {}", field.range->low, field.range->high);
  if (field.max_size != FieldSpec::kNoLimit) out += fmt::format(", at most {} long", field.max_size);
  return out;
}

const char* support(const FieldSpec& field) {
  switch (field.support) {
    case Support::kWorks:
      return "works";
    case Support::kNoEffect:
      return "no effect";
    case Support::kOnly:
      return "this value only";
    case Support::kRefused:
      return "refused";
  }
  return "";
}

std::string table(const Schema& schema, const char* path) {
  std::string out =
      fmt::format("\n## {}\n| field | here | values | default | meaning |\n|---|---|---|---|---|\n", path);
  for (const FieldSpec& field : schema.fields)
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", field.name, support(field), values(field),
                       field.required ? "required" : field.default_text, field.doc);
  return out;
}

}  // namespace

std::string fields_markdown() {
  return "# Fields of requests\nDerived from the tables in `src/server/request/*_table.cc`; do not edit by hand. null "
         "counts as absence. A field that is *refused* gets 400 `unsupported_parameter` unless it is null.\n" +
         table(chat_schema(), "POST /v1/chat/completions") + table(completion_schema(), "POST /v1/completions") +
         table(tokenize_schema(), "POST /tokenize") + table(detokenize_schema(), "POST /detokenize");
}

}  // namespace vortex::server
