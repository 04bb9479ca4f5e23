#include "flow/backends/cpu/group_program.h"

#include <algorithm>

#include "flow/backends/cpu/bound_pattern.h"

namespace vortex::flow {
namespace {

constexpr int64_t kTileFloats = 32 * 1024;  // 128 KB: leaves room for the fields themselves in a 512 KB L2 cache

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
    const auto pattern = find_bound(plan_, program_, nodes_);
    for (NodeId n : nodes_) {
      if (!pattern || std::find(pattern->nodes.begin(), pattern->nodes.end(), n) == pattern->nodes.end()) {
        add_node(n);
      } else if (n == pattern->nodes.back()) {
        add_bound(*pattern);
      }
    }
  }

  void add_node(NodeId n) {
    const Node& node = program_.node(n);
    Step step;
    step.node = &node;
    step.output = node.output;
    const bool once = node.output != kNoValue && is_once(node.output);
    (once ? out_.row_steps : out_.page_steps).push_back(step);
  }

  void add_bound(const BoundPattern& pattern) {
    Step step{StepKind::kSplitSigns, nullptr, pattern.x, pattern.high, pattern.low, kNoValue};
    out_.row_steps.push_back(step);
    step.kind = StepKind::kBound;
    step.output = program_.node(pattern.nodes.back()).output;
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
      place_input(node.inputs[i], op_info(node.op).rule == TypeRule::kGemm && i == 1);
  }

  /// A product reads its right side as it is stored; every other reader wants floats.
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
    int64_t once = 0, per_page = 0;
    for (size_t v = 0; v < out_.place.size(); ++v) {
      const int64_t elements = program_.values[v].type.elements();
      if (out_.place[v] == Place::kOnce) once += elements;
      if (out_.place[v] == Place::kTile || out_.place[v] == Place::kDecodedField) per_page += elements;
    }
    const int64_t fitting = kTileFloats / std::max<int64_t>(1, per_page);
    out_.tile_pages = static_cast<int>(std::clamp<int64_t>(fitting, 1, max_tile));
    int64_t at = 0;
    for (size_t v = 0; v < out_.place.size(); ++v) {
      const int64_t elements = program_.values[v].type.elements();
      out_.offset[v] = at;
      if (out_.place[v] == Place::kOnce) at += elements;
      if (out_.place[v] == Place::kTile || out_.place[v] == Place::kDecodedField) at += elements * out_.tile_pages;
    }
    out_.signs_offset = at;
    for (const Step& step : out_.row_steps)
      if (step.kind == StepKind::kSplitSigns) at += 2 * program_.type(step.x).elements();
    out_.workspace_floats = at;
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
