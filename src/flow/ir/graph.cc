#include "flow/ir/graph.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <numeric>

namespace vortex::flow {
namespace {

struct StorageName {
  Storage storage;
  std::string_view name;
};
constexpr std::array kStorages = {StorageName{Storage::kFlow, "flow"},       StorageName{Storage::kF32, "float32"},
                                  StorageName{Storage::kBF16, "bfloat16"},   StorageName{Storage::kF16, "float16"},
                                  StorageName{Storage::kF8E4M3, "fp8_e4m3"}, StorageName{Storage::kF8E5M2, "fp8_e5m2"},
                                  StorageName{Storage::kInt8, "int8"},       StorageName{Storage::kInt4, "int4"},
                                  StorageName{Storage::kInt2, "int2"},       StorageName{Storage::kInt1, "int1"}};

std::string_view base_field_name(const GraphShape& shape, int field) {
  if (shape.latent()) return "latent";
  return field == 0 ? "k" : "v";
}

}  // namespace

std::string_view format_name(Format format) {
  constexpr std::array<std::string_view, 4> kNames = {"batched", "paged", "ragged", "pages"};
  return kNames[static_cast<size_t>(format)];
}

std::string to_string(const Type& type, Side side) {
  if (side == kCache) return fmt::format("[1, {}, {}]", type.rows, type.cols);
  if (type.format == Format::kPages) return "set of pages";
  const char lead = type.format == Format::kBatched ? '1' : 'S';
  return fmt::format("{} [{}, {}, {}]", format_name(type.format), lead, type.rows, type.cols);
}

std::string_view storage_name(Storage storage) { return kStorages[static_cast<size_t>(storage)].name; }

std::optional<Storage> parse_storage(std::string_view name) {
  for (const StorageName& s : kStorages)
    if (s.name == name) return s.storage;
  return std::nullopt;
}

std::vector<std::string_view> storage_names() {
  std::vector<std::string_view> names;
  for (const StorageName& s : kStorages) names.push_back(s.name);
  return names;
}

float GraphShape::logit_scale() const { return scale > 0 ? scale : 1.0f / std::sqrt(static_cast<float>(head_dim)); }

bool GraphShape::operator==(const GraphShape& other) const {
  return group == other.group && head_dim == other.head_dim && page_tokens == other.page_tokens &&
         kv_lora_rank == other.kv_lora_rank && logit_scale() == other.logit_scale();
}

std::string to_string(const GraphShape& shape) {
  std::string text =
      fmt::format("group {}, head_dim {}, page of {} tokens", shape.group, shape.head_dim, shape.page_tokens);
  if (shape.latent()) text += fmt::format(", kv_lora_rank {}", shape.kv_lora_rank);
  if (shape.scale > 0) text += fmt::format(", scale {}", shape.scale);
  return text;
}

std::string_view Graph::field_name(int field) const {
  if (field < base_fields()) return base_field_name(shape, field);
  return fields[static_cast<size_t>(field - base_fields())].name;
}

std::optional<int> Graph::find_field(std::string_view wanted) const {
  for (int f = 0; f < field_count(); ++f)
    if (field_name(f) == wanted) return f;
  return std::nullopt;
}

Type Graph::field_type(int field) const {
  if (field < base_fields()) return {Format::kPaged, shape.page_tokens, shape.head_dim};
  const FieldDecl& decl = fields[static_cast<size_t>(field - base_fields())];
  return {Format::kPaged, decl.rows, decl.cols};
}

void reset_groups(Program* program) {
  program->groups.clear();
  for (NodeId n = 0; n < static_cast<NodeId>(program->nodes.size()); ++n) program->groups.push_back({n});
}

std::vector<int> group_of_nodes(const Program& program) {
  std::vector<int> group(program.nodes.size(), -1);
  for (size_t g = 0; g < program.groups.size(); ++g)
    for (NodeId n : program.groups[g]) group[static_cast<size_t>(n)] = static_cast<int>(g);
  return group;
}

std::vector<bool> values_leaving_group(const Program& program) {
  const std::vector<int> group = group_of_nodes(program);
  std::vector<bool> leaves(program.values.size(), false);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    for (ValueId v : program.nodes[n].inputs) {
      const NodeId producer = program.values[static_cast<size_t>(v)].producer;
      if (producer >= 0 && group[static_cast<size_t>(producer)] != group[n]) leaves[static_cast<size_t>(v)] = true;
    }
  }
  return leaves;
}

}  // namespace vortex::flow
