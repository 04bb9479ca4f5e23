#include "grammar/readings.h"

#include <algorithm>
#include <utility>

#include "grammar/sort_unique.h"

namespace vortex::grammar {
Readings::Readings(const Automaton& automaton, const Caps& caps) : automaton_(automaton), caps_(caps) {
  stacks_.add({});
  depths_.push_back(0);
  frontiers_.add({});
  std::vector<Reading> readings;
  Callers callers;
  const RuleId root = automaton.root();
  callers[automaton.rule(root).rank] = {automaton.rule(root).start, {{kDone, kNoStack}}};
  // The empty text: nothing was read, so that no rule has returned yet.
  if (automaton.is_final(automaton.rule(root).start)) readings.push_back({kDone, kNoStack});
  add_called(callers, readings);
  start_ = add_frontier(readings);
}

bool Readings::complete(FrontierId frontier) const {
  const auto readings = frontiers_.at(frontier);
  return !readings.empty() && readings.back().state == kDone;
}

const Readings::Table& Readings::table(FrontierId frontier) {
  if (tables_.size() <= frontier) tables_.resize(frontiers_.size());
  if (tables_[frontier] == nullptr) {
    auto made = make_table(frontier);
    tables_[frontier] = std::move(made);
    tables_bytes_ += sizeof(Table);
  }
  return *tables_[frontier];
}

// Bytes between two borders of edges lead to the same frontier.
std::unique_ptr<Readings::Table> Readings::make_table(FrontierId frontier) {
  struct Step {
    ByteRange bytes;
    Reading to;
  };
  std::vector<Step> steps;
  std::array<bool, 257> border = {};
  for (const Reading& reading : frontiers_.at(frontier)) {
    if (reading.state == kDone) continue;
    for (const auto& edge : automaton_.edges(reading.state)) {
      if (!fits(edge.target, depths_[reading.stack])) continue;
      steps.push_back({edge.bytes, {edge.target, reading.stack}});
      border[edge.bytes.first] = border[edge.bytes.last + 1] = true;
    }
  }
  auto table = std::make_unique<Table>();
  table->next.fill(kDead);
  std::map<std::vector<Reading>, FrontierId> known;
  for (int first = 0; first < 256;) {
    int next = first + 1;
    while (next < 256 && !border[next]) ++next;
    std::vector<Reading> targets;
    for (const Step& step : steps) {
      if (step.bytes.first <= first && first <= step.bytes.last) targets.push_back(step.to);
    }
    work_ += steps.size() + 1;
    if (!targets.empty()) {
      const auto [it, is_new] = known.try_emplace(targets, kDead);
      if (is_new) it->second = closed(std::move(targets));
      std::fill(table->next.begin() + first, table->next.begin() + next, it->second);
    }
    first = next;
  }
  table->main = table->next['e'];
  table->main_classes = classes_where([&](int byte) { return table->next[byte] == table->main; });
  return table;
}

// A rule that would have to nest deeper than the cap to end is not begun, so that no reading is led into a corner.
bool Readings::fits(StateId state, int depth) const { return depth + automaton_.height(state) <= caps_.stack_depth; }

// All that can be read next after `readings`, without those states that only pass on.
FrontierId Readings::closed(std::vector<Reading> readings) {
  if (!add_returns(readings)) return kDead;
  Callers callers;
  for (const Reading& reading : readings) add_callers(reading, callers);
  std::erase_if(readings, [this](const Reading& r) { return r.state != kDone && automaton_.edges(r.state).empty(); });
  if (!add_called(callers, readings)) return kDead;
  return add_frontier(readings);
}

FrontierId Readings::add_frontier(std::vector<Reading>& readings) {
  sort_unique(readings);
  return frontiers_.add(readings).first;
}

// Where a rule may end, its callers go on. False beyond the cap.
bool Readings::add_returns(std::vector<Reading>& readings) {
  std::vector<Reading> seen;
  std::vector<Reading> open = std::exchange(readings, {});
  while (!open.empty()) {
    sort_unique(open);
    std::vector<Reading> found, merged;
    std::set_difference(open.begin(), open.end(), seen.begin(), seen.end(), std::back_inserter(found));
    std::merge(seen.begin(), seen.end(), found.begin(), found.end(), std::back_inserter(merged));
    seen = std::move(merged);
    work_ += seen.size();
    if (seen.size() > caps_.live_stacks) return false;
    open.clear();
    for (const Reading& reading : found) {
      if (reading.state == kDone || !automaton_.is_final(reading.state)) continue;
      for (const Frame& frame : stacks_.at(reading.stack)) open.push_back({frame.target, frame.below});
    }
  }
  readings = std::move(seen);
  return true;
}

// A caller with nothing left to read does not wait: its own callers do. Right recursion so takes no room.
void Readings::add_callers(const Reading& reading, Callers& callers) {
  if (reading.state == kDone) return;
  for (const auto& call : automaton_.calls(reading.state)) {
    const auto& rule = automaton_.rule(call.rule);
    auto& [start, frames] = callers[rule.rank];
    start = rule.start;
    ++work_;
    if (is_tail(call.target)) {
      const auto waiting = stacks_.at(reading.stack);
      frames.insert(frames.end(), waiting.begin(), waiting.end());
      work_ += waiting.size();
    } else if (fits(call.target, depths_[reading.stack])) {
      frames.push_back({call.target, reading.stack});
    }
  }
}

// Begins the called rules. Those that they call at once have higher ranks, so each is met when all its callers are
// known. False beyond the cap.
bool Readings::add_called(Callers& callers, std::vector<Reading>& readings) {
  for (auto it = callers.begin(); it != callers.end(); ++it) {
    auto& [start, frames] = it->second;
    if (frames.size() > caps_.live_stacks || readings.size() > caps_.live_stacks) return false;
    std::erase_if(frames, [&](const Frame& f) { return !fits(start, depths_[f.below] + 1); });
    if (frames.empty()) continue;
    const StackId stack = add_stack(frames);
    if (!automaton_.edges(start).empty()) readings.push_back({start, stack});
    add_callers({start, stack}, callers);
  }
  return true;
}

StackId Readings::add_stack(std::vector<Frame>& frames) {
  sort_unique(frames);
  work_ += frames.size();
  const auto [stack, is_new] = stacks_.add(frames);
  if (is_new) {
    int depth = 0;
    for (const Frame& frame : frames) depth = std::max(depth, depths_[frame.below] + 1);
    depths_.push_back(depth);
  }
  return stack;
}

FrontierId Readings::adopt(const Readings& other, FrontierId frontier) {
  std::map<StackId, StackId> known = {{kNoStack, kNoStack}};
  std::vector<Reading> readings;
  for (const Reading& reading : other.frontiers_.at(frontier)) {
    readings.push_back({reading.state, adopt_stack(other, reading.stack, known)});
  }
  return add_frontier(readings);
}

// Recursion as deep as the stack, which is capped.
StackId Readings::adopt_stack(const Readings& other, StackId stack, std::map<StackId, StackId>& known) {
  if (const auto it = known.find(stack); it != known.end()) return it->second;
  std::vector<Frame> frames;
  for (const Frame& frame : other.stacks_.at(stack)) {
    frames.push_back({frame.target, adopt_stack(other, frame.below, known)});
  }
  return known[stack] = add_stack(frames);
}

}  // namespace vortex::grammar
