#include "cli/flow_skeleton.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace vortex::cli {
namespace {

constexpr std::string_view kFlowText =
    R"text(// @NAME@: say here what stands for a page, and when that is a good choice.
//
//   vortex flow check @NAME@.cc      # does it compile, for every shape a model may have?
//   vortex flow explain @NAME@.cc    # what runs, and how many bytes a page costs
//   ./@NAME@_test.sh                 # the check, and an answer over a long document
//   vortex run MODEL --file DOC "QUESTION" --flow @NAME@.cc
//
// The three methods run once, when the flow is compiled: they record operators, and a Tensor holds no numbers. A
// mistake is an error with the line here. As it stands, this flow bounds the keys of a page from both sides, channel by
// channel, and scores the page by the largest dot product that a key within the bounds could have with the query.
#include @HEADER@

struct @CLASS@ : vortex::Flow {
  // What is remembered of a page, beside its keys and values: names and shapes [rows, cols]. Every number here is read
  // for every page at every step, so it is the cost of the flow.
  Fields create_cache(const PageShape& s) override {
    return {{"low", {1, s.head_dim}}, {"high", {1, s.head_dim}}};
  }

  // Runs when the last token of a page is stored: k and v are [1, page_tokens, head_dim]. Writes each field once.
  void forward_cache(CacheScope& c) override {
    c.write("low", min(c["k"], 1));  // over axis 1, the tokens
    c.write("high", max(c["k"], 1));
  }

  // Runs at each decoded token, for each sequence and kv head: q is [1, group, head_dim], a field [pages, rows, cols].
  // Ends in one output operator over a score of one number a page; the budget says how many pages it keeps.
  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    Tensor bound = maximum(multiply(q, c["low"]), multiply(q, c["high"]));  // [pages, group, head_dim]
    Tensor per_head = sum(bound, 2);                                        // [pages, group, 1]
    return top_k(max(per_head, 1));                                         // the head that wants the page most
  }
};

VORTEX_FLOW("@NAME@", @CLASS@)
)text";

constexpr std::string_view kPythonText =
    R"text("""@NAME@: say here what stands for a page, and when that is a good choice.

    vortex flow check @NAME@.py      # does it compile, for every shape a model may have?
    vortex flow explain @NAME@.py    # what runs, and how many bytes a page costs
    ./@NAME@_test.sh                 # the check, and an answer over a long document
    vortex run MODEL --file DOC "QUESTION" --flow @NAME@.py

The three methods run once, when the flow is compiled: they record operators, and a tensor holds no numbers. A mistake is
an error with the line here. As it stands, this flow bounds the keys of a page from both sides, channel by channel, and
scores the page by the largest dot product that a key within the bounds could have with the query.
"""

from vortex.cache import Max as CMax
from vortex.cache import Min as CMin
from vortex.flow import register, vFlow
from vortex.indexer import Max, Maximum, Multiply, Sum, topK


@register("@NAME@")
class @CLASS@(vFlow):
    def __init__(self):
        super().__init__()
        # Each operator is applied at one place.
        self.write_low, self.write_high = CMin(dim=1), CMax(dim=1)  # over axis 1, the tokens
        self.times_low, self.times_high = Multiply(), Multiply()
        self.bound, self.per_head, self.best_head = Maximum(), Sum(dim=2), Max(dim=1)
        self.output = topK()

    # What is remembered of a page, beside its keys and values: names and shapes (rows, cols). Every number here is read
    # for every page at every step, so it is the cost of the flow.
    def create_cache(self, block_size, head_dim):
        return {"low": (1, head_dim), "high": (1, head_dim)}

    # Runs when the last token of a page is stored: k and v are [1, block_size, head_dim]. Writes each field once.
    def forward_cache(self, cache, loc, ctx):
        self.write_low(cache["k"], cache["low"], loc=loc, ctx=ctx)
        self.write_high(cache["k"], cache["high"], loc=loc, ctx=ctx)

    # Runs at each decoded token, for each sequence and kv head: q is [1, group, head_dim], a field [pages, rows, cols].
    # Ends in one output operator over a score of one number a page; the budget says how many pages it keeps.
    def forward_indexer(self, q, o, cache, ctx):
        low = self.times_low(q, cache["low"], ctx=ctx)
        high = self.times_high(q, cache["high"], ctx=ctx)
        bound = self.bound(low, high, ctx=ctx)  # [pages, group, head_dim]
        per_head = self.per_head(bound, ctx=ctx)  # [pages, group, 1]
        score = self.best_head(per_head, ctx=ctx)  # the head that wants the page most
        self.output(score, o, ctx=ctx)
)text";

constexpr std::string_view kTestText = R"sh(#!/bin/sh
# Tests @FILE@; run it after each change. VORTEX names another program, MODEL another model.
set -eu
vortex=${VORTEX:-@PROGRAM@}
model=${MODEL:-recall-gqa}
flow=$(dirname "$0")/@FILE@

echo "1. it compiles, for many shapes"
"$vortex" flow check "$flow"

echo "2. it finds a fact in a long document, reading a part of it"
fact="The secret word for old stone is candle."
i=0
document="$fact"
while [ $i -lt 60 ]; do
  document="$document The secret word for green apple number $i is river."
  i=$((i + 1))
done
report=$("$vortex" run "$model" "$document What is the secret word for old stone?" --flow "$flow" --json \
  --vortex-config '{"topk_val": 12, "block_reserved_eos": 2, "layers_skip": [0]}')
echo "$report" | grep -q '"flow": *"@NAME@"' || { echo "the flow did not run: $report"; exit 1; }
echo "$report" | grep -q '"active": *true' || { echo "attention was dense: $report"; exit 1; }
echo "$report" | grep -q 'candle' || { echo "the wrong answer: $report"; exit 1; }

echo "passed. Next, against another flow: vortex eval fidelity --model M --text FILE --flows $flow,block_sparse_attention"
)sh";

std::string replace_all(std::string text, std::string_view from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string shell_quoted(const std::string& text) { return "'" + replace_all(text, "'", "'\\''") + "'"; }

}  // namespace

Status check_flow_name(const std::string& name) {
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  if (!name.empty() && name.size() <= 64 && letter(name[0]) && std::all_of(name.begin(), name.end(), allowed))
    return {};
  return Error{ErrorCode::kUsage, "flow new", fmt::format("'{}' is no name for a flow", name.substr(0, 100)),
               "letters, digits and _, a letter first, at most 64"};
}

std::string flow_class_name(const std::string& name) {
  std::string out;
  bool capital = true;
  for (const char c : name) {
    if (c != '_') out += capital ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    capital = c == '_';
  }
  return out.ends_with("Flow") && out != "Flow" ? out : out + "Flow";
}

std::string flow_file_name(const std::string& name, FlowLanguage language) {
  return name + (language == FlowLanguage::kPython ? ".py" : ".cc");
}

std::string flow_skeleton(const std::string& name, FlowLanguage language) {
  const std::string_view skeleton = language == FlowLanguage::kPython ? kPythonText : kFlowText;
  std::string text = replace_all(std::string(skeleton), "@HEADER@", "<vortex/flow.h>");
  return replace_all(replace_all(std::move(text), "@NAME@", name), "@CLASS@", flow_class_name(name));
}

std::string flow_test_skeleton(const std::string& name, FlowLanguage language, const std::string& program) {
  const std::string text = replace_all(std::string(kTestText), "@FILE@", flow_file_name(name, language));
  return replace_all(replace_all(text, "@NAME@", name), "@PROGRAM@", shell_quoted(program));
}

}  // namespace vortex::cli
