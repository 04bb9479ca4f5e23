#include "flows/registry.h"

#include <fmt/core.h>

#include <array>

#include "base/nearest_name.h"

namespace vortex::flows {

extern const FlowEntry builtin_BlockSparse;
extern const FlowEntry builtin_GqaBlockSparse;
extern const FlowEntry builtin_GqaQuest;
extern const FlowEntry builtin_Lserve;
extern const FlowEntry builtin_LserveCentroid;
extern const FlowEntry builtin_MaskedQuest;
extern const FlowEntry builtin_CenteredBlockSparse;
extern const FlowEntry builtin_RunningAverage;
extern const FlowEntry builtin_ValueEnergy;
extern const FlowEntry builtin_MeanStd;
extern const FlowEntry builtin_QuestSubpage;
extern const FlowEntry builtin_Sketch1;
extern const FlowEntry builtin_Sketch2;
extern const FlowEntry builtin_Sketch2Mass;
extern const FlowEntry builtin_RopeAwareMla;
extern const FlowEntry builtin_LserveCentroidMla;
extern const FlowEntry builtin_RopeUnawareMla;
extern const FlowEntry builtin_RopeUnawareLserveCentroidMla;
extern const FlowEntry builtin_RopeWeighted10;
extern const FlowEntry builtin_RopeWeighted25;
extern const FlowEntry builtin_RopeWeighted50;
extern const FlowEntry builtin_RopeWeighted75;
extern const FlowEntry builtin_RopeWeighted90;
extern const FlowEntry builtin_RopeWeighted100;
extern const FlowEntry builtin_LearnedMla;
extern const FlowEntry builtin_QuestMla;
extern const FlowEntry builtin_MeanStdMla;
extern const FlowEntry builtin_Sketch1Mla;
extern const FlowEntry builtin_Sketch2Mla;

namespace {

struct Entry {
  const FlowEntry* flow;
  std::string_view summary;
};

const std::array<Entry, 29>& entries() {
  static const std::array<Entry, 29> kEntries = {{
      {&builtin_BlockSparse, "centroid of the keys against the mean query; head_dim numbers a page"},
      {&builtin_GqaBlockSparse, "centroid, softmax over pages per head, best head; head_dim numbers a page"},
      {&builtin_GqaQuest, "bounds of the keys per channel, best head; 2 head_dim numbers a page"},
      {&builtin_Lserve, "bounds for each 16 tokens; 2 head_dim numbers per 16 tokens"},
      {&builtin_LserveCentroid, "centroids of each 16 tokens; head_dim numbers per 16 tokens"},
      {&builtin_MaskedQuest, "bounds without the first 8 channels; 2 head_dim numbers a page"},
      {&builtin_CenteredBlockSparse, "centroid scores less their mean over the pages; head_dim numbers a page"},
      {&builtin_RunningAverage, "centroid scores with memory over steps; head_dim + 1 numbers a page"},
      {&builtin_ValueEnergy, "centroid scores times the norm of the values; head_dim + 1 numbers a page"},
      {&builtin_MeanStd, "centroid and spread of the keys, best head; 2 head_dim numbers a page"},
      {&builtin_QuestSubpage, "bounds for each 4 tokens; 2 head_dim numbers per 4 tokens"},
      {&builtin_Sketch1, "keys at 1 bit a channel, best token of the best head; head_dim bits a token"},
      {&builtin_Sketch2, "keys at 2 bits a channel, best token of the best head; 2 head_dim bits a token"},
      {&builtin_Sketch2Mass, "keys at 2 bits a channel, estimated attention mass; 2 head_dim bits a token"},
      {&builtin_RopeAwareMla, "centroid of the latents against the mean query; width numbers a page"},
      {&builtin_LserveCentroidMla, "centroids of each 16 latents; width numbers per 16 tokens"},
      {&builtin_RopeUnawareMla, "rope_aware_block_sparse_mla by content alone; width numbers a page"},
      {&builtin_RopeUnawareLserveCentroidMla, "lserve_centroid_mla by content alone; width numbers per 16 tokens"},
      {&builtin_RopeWeighted10, "content 0.90, position 0.10; width numbers a page"},
      {&builtin_RopeWeighted25, "content 0.75, position 0.25; width numbers a page"},
      {&builtin_RopeWeighted50, "content 0.50, position 0.50; width numbers a page"},
      {&builtin_RopeWeighted75, "content 0.25, position 0.75; width numbers a page"},
      {&builtin_RopeWeighted90, "content 0.10, position 0.90; width numbers a page"},
      {&builtin_RopeWeighted100, "position alone; width numbers a page"},
      {&builtin_LearnedMla, "centroid against learned weights times the queries; width numbers a page"},
      {&builtin_QuestMla, "bounds of each 16 latents per channel, best head; 2 width numbers per 16 tokens"},
      {&builtin_MeanStdMla, "centroid and spread of the latents, best head; 2 width numbers a page"},
      {&builtin_Sketch1Mla, "latents at 1 bit a channel, best token of the best head; width bits a token"},
      {&builtin_Sketch2Mla, "latents at 2 bits a channel, best token of the best head; 2 width bits a token"},
  }};
  return kEntries;
}

}  // namespace

std::vector<FlowInfo> list_flows() {
  std::vector<FlowInfo> flows;
  for (const Entry& entry : entries()) flows.push_back({entry.flow->name, entry.flow->attention, entry.summary});
  return flows;
}

Result<std::unique_ptr<FlowBase>> make_flow(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries()) {
    if (name == entry.flow->name) return entry.flow->make();
    names.push_back(entry.flow->name);
  }
  const std::string hint = nearest_name_hint(name, names);
  return Error{ErrorCode::kNotFound, "", fmt::format("no flow '{}'", name.substr(0, 100)),
               hint.empty() ? "`vortex flow list` shows all" : hint};
}

}  // namespace vortex::flows
