#include "flow/backends/cpu/group_program.h"

#include <algorithm>

#include "flow/backends/cpu/bound_pattern.h"
#include "flow/backends/cpu/code_product.h"
#include "flow/backends/cpu/elements.h"
#include "flow/ir/rotation.h"

namespace vortex::flow {
namespace {

class Compiler {
 public:
  Compiler(const Plan& plan, const ProgramPlan& program, size_t group, int max_tile)
      : plan_(plan), program_plan_(program), program_(program.program), nodes_(program_.groups[group]) {
    out_.place.assign(program_.values.size(), Place::kNowhere);
    out_.offset.assign(program_.values.size(), 0);
    make_steps();
    place_values();
    lay_out(max_tile);
  }

  GroupProgram take() { return std::move(out_); }

 private:
  bool is_once(ValueId v) const { return program_.type(v).format == Format::kBatched; }

  void make_steps() {
    const auto bound = find_bound(plan_, program_, nodes_);
    const std::vector<CodeProductPattern> products = find_code_products(plan_, program_, nodes_);
    std::vector<bool> covered(program_.nodes.size(), false);
    const auto cover = [&](const std::vector<NodeId>& nodes) {
      for (NodeId n : nodes) covered[static_cast<size_t>(n)] = true;
    };
    if (bound) cover(bound->nodes);
    for (const CodeProductPattern& product : products) cover(product.nodes);
    for (NodeId n : nodes_) {
      if (!covered[static_cast<size_t>(n)]) add_node(n);
      if (bound && n == bound->nodes.back()) add_bound(*bound);
      for (const CodeProductPattern& product : products)
        if (n == product.nodes.back()) add_code_product(product);
    }
  }

  void add_node(NodeId n) {
    const Node& node = program_.node(n);
    Step step;
    step.node = &node;
    step.output = node.output;
    if (node.op == Op::kRotate) reserve_signs(program_.type(node.output).cols);
    if (plan_.rounds_query(program_, node)) {
      Step round{StepKind::kRoundQuery, nullptr, node.inputs[0]};
      round.scratch = step.scratch = add_scratch(program_.type(node.inputs[0]).elements(), 0);
      out_.row_steps.push_back(round);
    }
    const bool once = node.output != kNoValue && is_once(node.output);
    (once ? out_.row_steps : out_.page_steps).push_back(step);
  }

  void reserve_signs(int cols) {
    for (int i = static_cast<int>(out_.rotation_signs.size()); i < cols; ++i)
      out_.rotation_signs.push_back(rotation_sign(i));
  }

  int add_scratch(int64_t row_floats, int64_t page_floats) {
    out_.scratch.push_back({row_floats, page_floats});
    return static_cast<int>(out_.scratch.size()) - 1;
  }

  void add_bound(const BoundPattern& pattern) {
    Step step{StepKind::kSplitSigns, nullptr, pattern.x, pattern.high, pattern.low};
    step.scratch = add_scratch(2 * program_.type(pattern.x).elements(), 0);
    out_.row_steps.push_back(step);
    step.kind = StepKind::kBound;
    step.output = program_.node(pattern.nodes.back()).output;
    out_.page_steps.push_back(step);
  }

  void add_code_product(const CodeProductPattern& pattern) {
    Step step{StepKind::kPackQuery, &program_.node(pattern.nodes.back()), pattern.x, pattern.field};
    const FieldSpec& field = plan_.fields[static_cast<size_t>(pattern.field)];
    const int group = program_.type(pattern.x).rows;
    const bool sums = pattern.reduction == RowReduction::kLogSumExp;
    step.scratch = add_scratch(packed_query_floats({field.dtype, field.rows, field.cols}, group), sums ? group : 0);
    out_.row_steps.push_back(step);
    step.kind = StepKind::kCodeProduct;
    step.output = step.node->output;
    step.alpha = pattern.alpha;
    step.beta = pattern.beta;
    step.reduction = pattern.reduction;
    out_.page_steps.push_back(step);
  }

  void place_values() {
    for (const auto* steps : {&out_.row_steps, &out_.page_steps}) {
      for (const Step& step : *steps) {
        if (step.kind == StepKind::kOp) place_inputs(*step.node);
        if (step.x != kNoValue) place_input(step.x, false);
        if (step.output == kNoValue) continue;
        const auto v = static_cast<size_t>(step.output);
        out_.place[v] = is_once(step.output) ? Place::kOnce : Place::kTile;
        if (program_plan_.leaves[v]) out_.leaving.push_back(step.output);
      }
    }
  }

  void place_inputs(const Node& node) {
    for (size_t i = 0; i < node.inputs.size(); ++i)
      place_input(node.inputs[i], op_info(node.op).rule == TypeRule::kGemm && i == 1 && is_plain(node.inputs[i]));
  }

  bool is_plain(ValueId v) const {
    if (program_.type(v).format != Format::kPaged) return false;
    const int field = value_field(program_.side, v);
    return is_read_in_place(element_of(plan_.fields[static_cast<size_t>(field)].dtype));
  }

  /// A product reads the right side as it is stored where it can; every other reader wants floats.
  void place_input(ValueId v, bool reads_stored) {
    Place& place = out_.place[static_cast<size_t>(v)];
    if (place == Place::kOnce || place == Place::kTile) return;
    if (program_.type(v).format != Format::kPaged) {
      place = Place::kOutside;
    } else if (!reads_stored && place != Place::kDecodedField) {
      place = Place::kDecodedField;
      out_.decoded.push_back(v);
    } else if (place == Place::kNowhere) {
      place = Place::kField;
    }
  }

  void lay_out(int max_tile) {
    int64_t per_page = 0;
    for (const StepScratch& scratch : out_.scratch) per_page += scratch.page_floats;
    for (size_t v = 0; v < out_.place.size(); ++v) {
      const int64_t elements = program_.values[v].type.elements();
      if (out_.place[v] == Place::kTile || out_.place[v] == Place::kDecodedField) per_page += elements;
    }
    const int64_t fitting = kTileFloats / std::max<int64_t>(1, per_page);
    out_.tile_pages = static_cast<int>(std::clamp<int64_t>(fitting, 1, max_tile));
    for (size_t v = 0; v < out_.place.size(); ++v) place_value(out_.place[v], program_.values[v].type.elements(), v);
    for (StepScratch& scratch : out_.scratch) {
      scratch.row_offset = out_.row_floats;
      scratch.tile_offset = out_.tile_floats;
      out_.row_floats += scratch.row_floats;
      out_.tile_floats += scratch.page_floats * out_.tile_pages;
    }
  }

  void place_value(Place place, int64_t elements, size_t v) {
    const bool in_tile = place == Place::kTile || place == Place::kDecodedField;
    out_.offset[v] = in_tile ? out_.tile_floats : out_.row_floats;
    if (in_tile) out_.tile_floats += elements * out_.tile_pages;
    if (place == Place::kOnce) out_.row_floats += elements;
  }

  const Plan& plan_;
  const ProgramPlan& program_plan_;
  const Program& program_;
  const std::vector<NodeId>& nodes_;
  GroupProgram out_;
};

}  // namespace

GroupProgram make_group_program(const Plan& plan, const ProgramPlan& program, size_t group, int max_tile) {
  return Compiler(plan, program, group, max_tile).take();
}

}  // namespace vortex::flow
