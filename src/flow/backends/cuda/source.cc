#include "flow/backends/cuda/source.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "flow/backends/cuda/code_texts.h"
#include "flow/backends/cuda/node_writer.h"
#include "flow/backends/cuda/products.h"
#include "flow/backends/cuda/row_writer.h"

namespace vortex::flow {
namespace {

constexpr int64_t kSharedFloats = 12 * 1024;  // of a block's workspace; larger ones lie in device memory

constexpr int64_t kThreadPages = 16;                       // of a row, that a thread of the choice holds at most
constexpr int64_t kLeastChoose = 256, kMostChoose = 1024;  // threads

int64_t round_up(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }

/// Threads of a block that chooses, for so many.
int choose_threads(int64_t wanted) {
  int64_t threads = kLeastChoose;
  while (threads < wanted && threads < kMostChoose) threads *= 2;
  return static_cast<int>(threads);
}

class SourceWriter {
 public:
  SourceWriter(const Plan& plan, const CudaFlowLimits& limits)
      : plan_(plan),
        program_(plan.indexer.program),
        limits_(limits),
        analysis_(plan),
        fast_(find_fast_pages(analysis_, analysis_.nodes_of(Stage::kPages))),
        row_writer_(analysis_, fast_) {
    VORTEX_CHECK(plan.fields.size() <= 64, "{} fields", plan.fields.size());
    rows_ = int64_t{limits.sequences} * limits.kv_heads;
    out_.choose_threads = choose_threads((limits.max_pages + kThreadPages - 1) / kThreadPages);
    out_.few_threads = choose_threads(limits.max_pages);
  }

  FlowSource write() {
    const std::string cache = write_cache(), pages = write_pages(), choose = write_choose();
    out_.rows_kernel = analysis_.rows_kernel;
    out_.saves = plan_.saves();
    out_.projects = analysis_.projects;
    out_.page_floats = analysis_.page_floats * rows_ * limits_.max_pages;
    out_.row_floats = analysis_.row_floats * rows_;
    out_.text = std::string(number_texts()) + std::string(view_texts()) + constants() + std::string(code_texts()) +
                "namespace vortex::flow_code {\n" + elementwise_functions() + weights() + cache +
                (analysis_.rows_kernel ? write_rows() : "") + pages + choose + write_saved() + "}\n";
    return std::move(out_);
  }

 private:
  // What all kernels know.

  std::string constants() {
    int64_t copy = 0;
    for (int field : plan_.saved_fields) {
      copy += round_up(field_bytes(plan_.base_fields + field) * limits_.kv_heads * limits_.max_pages, 16);
    }
    const int64_t header = round_up(int64_t{8} * limits_.layers, 16);
    out_.state_bytes = plan_.saves() ? header + 2 * copy * limits_.layers : 0;
    int64_t sort_room = 1;
    while (sort_room < limits_.max_pages) sort_room *= 2;
    if (plan_.output().op == Op::kTopP) out_.sort_numbers = sort_room * rows_;
    return fmt::format(
        "namespace vortex::flow_code {{\n"
        "constexpr int kFlowType = {}, kSequences = {}, kKvHeads = {}, kPageTokens = {}, kBos = {}, kEos = {};\n"
        "constexpr int64_t kMaxPages = {}, kRows = {}, kRowFloats = {}, kSortRoom = {};\n"
        "constexpr bool kSaves = {};\nconstexpr int64_t kStateHeader = {}, kStateCopy = {};\n"
        "constexpr int kThreads = {}, kChooseThreads = {}, kFewThreads = {}, kLastShift = {};\n}}\n",
        type_name(plan_.dtype), limits_.sequences, limits_.kv_heads, limits_.page_tokens, limits_.reserved_bos,
        limits_.reserved_eos, limits_.max_pages, rows_, analysis_.row_floats, sort_room, plan_.saves(), header, copy,
        out_.threads, out_.choose_threads, out_.few_threads, plan_.dtype == DType::kBF16 ? 16 : 0);
  }

  /// Taps of convolutions.
  std::string weights() const {
    std::string text;
    for (size_t n = 0; n < program_.nodes.size(); ++n) {
      const auto& weight = program_.nodes[n].attributes.weight;
      if (program_.nodes[n].op != Op::kConv1d) continue;
      text += fmt::format("__device__ const uint32_t taps{}[] = {{", n);
      for (float x : weight) text += fmt::format("{:#x}u,", std::bit_cast<uint32_t>(x));
      text += "};\n";
    }
    return text;
  }

  int64_t field_bytes(int field) const { return plan_.fields[static_cast<size_t>(field)].page_bytes(); }

  std::string field_page(int field) const {
    return fmt::format("a.fields[{}] + int64_t{{page}} * {}", field, field_bytes(field));
  }

  /// p<field>: where page s of the row is read.
  std::string field_pointer(int field) const {
    const int slot = plan_.saved_slot(field - plan_.base_fields);
    if (slot < 0) return fmt::format("const unsigned char* const p{} = {};\n", field, field_page(field));
    return fmt::format(
        "const unsigned char* const p{0} = s < saved.pages ? saved.before + Saved::offset({1}, {2}, row.head, s) : "
        "{3};\n",
        field, slot_offset(field), field_bytes(field), field_page(field));
  }
  int64_t slot_offset(int field) const {
    int64_t copy = 0;
    for (int saved : plan_.saved_fields) {
      if (saved == field - plan_.base_fields) return copy;
      copy += round_up(field_bytes(plan_.base_fields + saved) * limits_.kv_heads * limits_.max_pages, 16);
    }
    return copy;
  }

  /// Page id, pointers and lambdas of the fields that these nodes read.
  std::string page_fields(const std::vector<NodeId>& nodes, const NodeWriter& writer) const {
    std::set<int> fields;
    bool stores = false;
    for (NodeId n : nodes)
      for (ValueId v : program_.node(n).inputs)
        if (program_.type(v).format == Format::kPaged) fields.insert(value_field(kIndexer, v));
    for (NodeId n : nodes) stores |= program_.node(n).op == Op::kSave;
    std::string text = fields.empty() ? "" : "const int page = row.page_id(a, s);\n";
    for (int field : fields) text += field_pointer(field) + writer.define_field(field);
    return text;
  }

  // forward_cache.

  /// run_cache(a, page, w): a block on one page.
  std::string write_cache() {
    const NodeWriter writer(analysis_, plan_.cache, "block", "w");
    const Program& cache = plan_.cache.program;
    Offsets workspace;
    std::string body;
    for (int f = 0; f < static_cast<int>(plan_.fields.size()); ++f)
      body += fmt::format("const unsigned char* const p{} = {};\n", f, field_page(f)) + writer.define_field(f);
    for (const auto& group : cache.groups) {
      for (NodeId n : group) {
        const Node& node = cache.node(n);
        if (node.output != kNoValue)
          body += writer.page_node(n, &workspace);
        else
          body += writer.store(n, field_page(plan_.base_fields + node.attributes.field), &workspace);
      }
    }
    cache_floats_ = workspace.used;
    const bool shared = workspace.used <= kSharedFloats;
    out_.update_shared = shared ? static_cast<int>(4 * workspace.used) : 0;
    out_.update_floats = shared ? 0 : workspace.used;
    const std::string at =
        shared ? "shared" : fmt::format("a.team_scratch + int64_t{{blockIdx.x}} * {}", workspace.used);
    return "inline void run_cache(const Args& a, int page, float* w) {\nconst Block block;\n" + body + "}\n" +
           "extern \"C\" __global__ void __launch_bounds__(kThreads) flow_update(const __grid_constant__ Args a) {\n"
           "float* const shared = dynamic_shared();\n"
           "for (int item = blockIdx.x; item < a.tokens.count * kKvHeads; item += gridDim.x) {\n"
           "const int t = item / kKvHeads;\n"
           "const int page = finished_page(a, a.tokens.sequence[t], a.tokens.position[t], item % kKvHeads);\n"
           "if (page >= 0) run_cache(a, page, " +
           at + ");\n}\n}\n";
  }

  // Values of rows.

  std::string row_scratch() const { return "a.row_scratch + int64_t{row.index} * kRowFloats"; }

  std::string write_rows() const {
    const NodeWriter writer(analysis_, plan_.indexer, "block", "w");
    return "extern \"C\" __global__ void __launch_bounds__(kThreads) flow_rows(const __grid_constant__ Args a) {\n"
           "const Block block;\n"
           "for (int index = blockIdx.x; index < a.step.decodes * kKvHeads; index += gridDim.x) {\n"
           "const Row row(a, index);\nif (!row.sparse) continue;\nfloat* const b = " +
           row_scratch() + ";\n" + row_writer_.lead_values(writer, true) + "}\n}\n";
  }

  // Pages.

  /// What a warp does on page s: the nodes, then what is kept goes to its buffer.
  std::string page_body(const std::vector<NodeId>& nodes, Offsets* workspace, const std::string& memory) const {
    const NodeWriter writer(analysis_, plan_.indexer, "team", memory);
    std::string text = page_fields(nodes, writer);
    for (NodeId n : nodes) {
      const Node& node = program_.node(n);
      if (node.op == Op::kSave) {
        const int field = plan_.base_fields + node.attributes.field;
        text += writer.store(
            n, fmt::format("saved.after + Saved::offset({}, {}, row.head, s)", slot_offset(field), field_bytes(field)),
            workspace);
      } else {
        text += writer.page_node(n, workspace) + keep(node.output);
      }
    }
    return text + "team.sync();\n";
  }

  std::string page_buffer(ValueId v) const {
    return fmt::format("a.page_scratch + {} * kRows * kMaxPages + int64_t{{row.index}} * kMaxPages * {}",
                       fmt::format("int64_t{{{}}}", analysis_.page_offset.at(v)), program_.type(v).elements());
  }

  std::string keep(ValueId v) const {
    if (analysis_.page_offset.count(v) == 0) return "";
    const Type& type = program_.type(v);
    return fmt::format("store_all<{}, {}>(team, r{}, {} + int64_t{{s}} * {});\n", type.rows, type.cols, v,
                       page_buffer(v), type.elements());
  }

  /// w: the workspace of a warp, in shared memory or in the block's part of the scratch.
  static std::string workspace_text(bool shared, int64_t shared_at, int64_t floats, int64_t block_floats) {
    const std::string start = shared ? fmt::format("shared + {}", shared_at)
                                     : fmt::format("a.team_scratch + int64_t{{blockIdx.x}} * {}", block_floats);
    return fmt::format("float* const w = {} + block.warp() * {};\n", start, floats);
  }

  /// The loop of a warp over its pages, several at a time: products first, then each thread has a page for the rest.
  std::string fast_loop(const std::vector<NodeId>& nodes, const FastPages& fast, Offsets* workspace) const {
    const NodeWriter writer(analysis_, plan_.indexer, "team", "local");
    std::string before, products, body;
    std::map<NodeId, int64_t> place;
    for (const Product& product : fast.products) {
      place[product.node] = workspace->take(int64_t{fast.batch} * result_stride(product));
      before += product_registers(analysis_, writer, product);
      products += product_call(analysis_, writer, product, fast.batch, fmt::format("w + {}", place[product.node]));
    }
    Offsets local;
    for (NodeId n : nodes) {
      const ValueId v = program_.node(n).output;
      if (place.count(n) != 0)
        body += writer.define_stored(
            n, fmt::format("w + {} + lane_id() * {}", place.at(n), program_.type(v).elements() | 1));
      else if (std::find(fast.rest.begin(), fast.rest.end(), n) != fast.rest.end())
        body += writer.page_node(n, &local);
      else
        continue;
      body += keep(v);
    }
    return before + fmt::format(
                        "for (int first = begin + block.warp() * {0}; first < end; first += block.warps() * {0}) {{\n"
                        "const int count = min({0}, end - first);\n"
                        "const int mine = row.page_id(a, first + min(lane_id(), count - 1));\n{1}__syncwarp();\n"
                        "if (lane_id() < count) {{\nconst Lane team;\nconst int s = first + lane_id();\n"
                        "float local[{2}];\n{3}{4}}}\n__syncwarp();\n}}\n",
                        fast.batch, products, std::max<int64_t>(local.used, 1), page_fields(fast.rest, writer), body);
  }

  /// packed<gemm>: the packed queries of products with codes, which are copied to shared memory if they were made by
  /// another kernel and are not too large.
  std::string packed_queries(int64_t shared_at, int64_t* staged) const {
    std::string text;
    for (const Product& product : fast_.products) {
      if (!product.codes()) continue;
      const FieldSpec& spec = plan_.fields[static_cast<size_t>(product.fields[0])];
      const int64_t floats = round_up(packed_floats(spec.dtype, product.outs, product.cols), 4);
      const bool copied = analysis_.rows_kernel && *staged + floats <= kSharedFloats / 2;
      text += copied ? fmt::format(
                           "float* const packed{0} = shared + {1};\n__syncthreads();\n"
                           "copy_floats<{2}>(block, q{0}, packed{0});\n__syncthreads();\n",
                           product.code_gemm, shared_at + *staged, floats)
                     : fmt::format("const float* const packed{0} = q{0};\n", product.code_gemm);
      if (copied) *staged += floats;
    }
    return text;
  }

  std::string write_pages() {
    const NodeWriter writer(analysis_, plan_.indexer, "block", "w");
    const std::vector<NodeId> nodes = analysis_.nodes_of(Stage::kPages);
    Offsets workspace;
    const std::string loop =
        nodes.empty()     ? ""
        : fast_.batch > 0 ? fast_loop(nodes, fast_, &workspace)
                          : "for (int s = begin + block.warp(); s < end; s += block.warps()) {\nconst Warp team;\n" +
                                page_body(nodes, &workspace, "w") + "}\n";
    const int warps = out_.threads / 32, unit = warps * std::max(fast_.batch, 1);
    const int64_t prefix = round_up(limits_.sequences + 1, 4);
    int64_t staged = 0;
    const std::string packed = packed_queries(prefix, &staged);
    const int64_t rows = analysis_.rows_kernel ? staged : analysis_.lead_floats;
    const bool shared = warps * workspace.used <= kSharedFloats, cache_shared = cache_floats_ <= kSharedFloats;
    const int64_t pages = rows + (shared ? warps * workspace.used : 0);
    out_.pages_shared = static_cast<int>(4 * (prefix + std::max(pages, cache_shared ? cache_floats_ : 0)));
    out_.pages_floats = std::max(shared ? 0 : warps * workspace.used, cache_shared ? 0 : cache_floats_);
    const std::string cache_at = cache_shared
                                     ? fmt::format("shared + {}", prefix)
                                     : fmt::format("a.team_scratch + int64_t{{blockIdx.x}} * {}", out_.pages_floats);
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(kThreads) flow_pages(const __grid_constant__ Args a) {\n"
        "float* const shared = dynamic_shared();\nconst Block block;\n";
    text += fmt::format("const Pieces pieces(a, reinterpret_cast<int*>(shared), {}, {});\n", unit,
                        fast_.batch > 0 ? 4 : 16);
    text += fmt::format("const int scored = {};\n", nodes.empty() ? "0" : "pieces.items()");
    text +=
        "for (int item = blockIdx.x; item < scored + a.step.decodes * kKvHeads; item += gridDim.x) {\n"
        "if (item >= scored) {\n"
        "const int done = item - scored, sequence = done / kKvHeads;\n"
        "const int page = finished_page(a, sequence, a.step.tokens[sequence] - 1, done % kKvHeads);\n"
        "__syncthreads();\n"
        "if (page >= 0) run_cache(a, page, " +
        cache_at + ");\ncontinue;\n}\n";
    if (!nodes.empty()) {
      text +=
          "const int sequence = pieces.find(item), local = item - pieces.before[sequence];\n"
          "const Row row(a, sequence * kKvHeads + local % kKvHeads);\n"
          "const int begin = row.first + local / kKvHeads * pieces.chunk, end = min(begin + pieces.chunk, row.end);\n"
          "const Saved saved(a, row.sequence);\n";
      text += analysis_.rows_kernel ? "float* const b = " + row_scratch() + ";\n"
                                    : fmt::format("float* const b = shared + {};\n__syncthreads();\n", prefix);
      text += row_writer_.lead_values(writer, !analysis_.rows_kernel) + packed;
      text += workspace_text(shared, prefix + rows, workspace.used, out_.pages_floats) + loop;
    }
    return text + "}\n}\n";
  }

  // The choice.

  std::string write_choose() {
    const NodeWriter writer(analysis_, plan_.indexer, "block", "w");
    const bool query = analysis_.choice_reads_query();
    const bool rows_shared = !analysis_.rows_kernel && analysis_.row_floats <= kSharedFloats / 2;
    Offsets workspace;
    std::string body;
    if (query) body += row_writer_.lead_values(writer, !analysis_.rows_kernel);
    for (const auto& group : program_.groups) body += choice_group(group, writer, &workspace);
    const int64_t marks = plan_.output().op == Op::kUnion ? round_up((limits_.max_pages + 31) / 32, 4) : 0;
    const int64_t marks_at = rows_shared ? analysis_.row_floats : 0, workspace_at = marks_at + marks;
    const int64_t few = out_.few_threads / 32 * workspace.used, many = out_.choose_threads / 32 * workspace.used;
    const bool shared = few <= kSharedFloats;
    out_.choose_shared = static_cast<int>(4 * (workspace_at + (shared ? many : 0)));
    out_.few_shared = static_cast<int>(4 * (workspace_at + (shared ? few : 0)));
    out_.choose_floats = shared ? 0 : few;
    return "extern \"C\" __global__ void __launch_bounds__(kFewThreads) flow_choose(const __grid_constant__ Args a) "
           "{\n"
           "float* const shared = dynamic_shared();\n__shared__ SelectMemory memory;\nconst Block block;\n"
           "for (int index = blockIdx.x; index < a.step.decodes * kKvHeads; index += gridDim.x) {\n"
           "const Row row(a, index);\nif (!row.sparse) continue;\n"
           "__syncthreads();\nif (threadIdx.x == 0) memory.nan = 0;\n__syncthreads();\n"
           "const Saved saved(a, row.sequence);\nfloat* const b = " +
           (rows_shared ? "shared" : row_scratch()) + ";\n" +
           workspace_text(shared, workspace_at, workspace.used, out_.choose_floats) + body + choice(marks_at) +
           "if (threadIdx.x == 0 && memory.nan != 0) a.nan_sequences[row.sequence] = 1;\n}\n}\n";
  }

  std::string choice_group(const std::vector<NodeId>& group, const NodeWriter& writer, Offsets* workspace) const {
    std::vector<NodeId> rows, pages;
    for (NodeId n : group) {
      const Node& node = program_.node(n);
      const TypeRule rule = op_info(node.op).rule;
      if (analysis_.stage(n) != Stage::kChoice || rule == TypeRule::kOutput || rule == TypeRule::kPageSet ||
          rule == TypeRule::kUnion)
        continue;
      if (rule == TypeRule::kPageAxis) return page_axis(n, writer);
      if (rule == TypeRule::kReduce && node.attributes.dim == 0) return reduce_pages(n, writer);
      (node.output != kNoValue && analysis_.batched(node.output) ? rows : pages).push_back(n);
    }
    std::string text = row_writer_.row_nodes(rows, writer, true);
    for (const auto& [n, at] : analysis_.rounded_query)
      if (at >= analysis_.lead_floats && std::find(pages.begin(), pages.end(), n) != pages.end())
        text += row_writer_.rounded_queries({n}, writer, true);
    if (pages.empty()) return text;
    std::string loop = "for (int s = row.first + block.warp(); s < row.end; s += block.warps()) {\nconst Warp team;\n";
    if (!fits_thread(analysis_, pages)) {
      loop += page_inputs(pages) + page_body(pages, workspace, "w");
    } else {
      Offsets local;
      const std::string body = page_inputs(pages) + page_body(pages, &local, "local");
      loop = "for (int s = row.first + block.thread(); s < row.end; s += block.threads()) {\nconst Lane team;\n" +
             fmt::format("float local[{}];\n", std::max<int64_t>(local.used, 1)) + body;
    }
    return text + loop + "}\n__syncthreads();\n";
  }

  /// Values that another pass has left in their buffers.
  std::string page_inputs(const std::vector<NodeId>& nodes) const {
    std::set<ValueId> read;
    for (NodeId n : nodes)
      for (ValueId v : program_.node(n).inputs)
        if (analysis_.page_offset.count(v) != 0 &&
            std::find(nodes.begin(), nodes.end(), program_.values[static_cast<size_t>(v)].producer) == nodes.end())
          read.insert(v);
    std::string text;
    for (ValueId v : read)
      text += fmt::format(
          "const float* const k{0} = {1} + int64_t{{s}} * {2};\n"
          "const auto r{0} = [&](int i, int j) {{ return k{0}[i * {3} + j]; }};\n",
          v, page_buffer(v), program_.type(v).elements(), program_.type(v).cols);
    return text;
  }

  /// A lambda of (page, element) for ops over the pages.
  std::string pages_lambda(ValueId v, const NodeWriter& writer) const {
    const Type& type = program_.type(v);
    if (type.format != Format::kPaged)
      return fmt::format("[&](int s, int e) {{ return ({})[int64_t{{s}} * {} + e]; }}", page_buffer(v),
                         type.elements());
    const int field = value_field(kIndexer, v);
    return "[&](int s, int e) {\nconst int page = row.page_id(a, s);\n" + field_pointer(field) +
           writer.define_field(field) + fmt::format("return v{}(e / {}, e % {});\n}}", v, type.cols, type.cols);
  }

  std::string page_axis(NodeId n, const NodeWriter& writer) const {
    const Node& node = program_.node(n);
    if (analysis_.page_offset.count(node.output) == 0) return "";  // nobody reads it
    const int64_t elements = program_.type(node.output).elements();
    const std::string in = pages_lambda(node.inputs[0], writer), out = page_buffer(node.output);
    std::string text = plan_.saves() ? fmt::format("clear_pages<{}>(0, kBos, {});\n", elements, out) : "";
    if (node.op == Op::kSoftmax)
      text += fmt::format("softmax<kFlowType, {}>(memory.room, row.middle(), {}, {}, {});\n", elements,
                          number(node.attributes.scale), in, out);
    else if (node.op == Op::kNormalize)
      text += fmt::format("normalize<kFlowType, {}>(memory.room, row.middle(), {}, {});\n", elements, in, out);
    else
      text +=
          fmt::format("convolve<kFlowType, {}>(row.middle(), {}, reinterpret_cast<const float*>(taps{}), {}, {});\n",
                      elements, node.attributes.k, n, in, out);
    return text + "__syncthreads();\n";
  }

  std::string reduce_pages(NodeId n, const NodeWriter& writer) const {
    const Node& node = program_.node(n);
    return writer.define_stored(n, row_writer_.pointer(analysis_.row_offset.at(node.output))) +
           fmt::format("reduce_pages<{}, {}>(memory.room, row.middle(), {}, m{});\n__syncthreads();\n",
                       reduction_name(node.op), program_.type(node.output).elements(),
                       pages_lambda(node.inputs[0], writer), node.output);
  }

  std::string choice(int64_t marks_at) const {
    const Node& output = plan_.output();
    std::vector<std::string> scores;
    for (ValueId v : plan_.scores()) scores.push_back(page_buffer(v));
    if (output.op == Op::kUnion) {
      const auto size = [&](size_t i) {
        return program_.node(program_.values[static_cast<size_t>(output.inputs[i])].producer).attributes.k;
      };
      return fmt::format("choose_union(memory, a, row, {}, {}, {}, {}, reinterpret_cast<uint32_t*>(shared + {}));\n",
                         scores[0], size(0), scores[1], size(1), marks_at);
    }
    if (output.op == Op::kTopP)
      return fmt::format("choose_mass(memory, a, row, {}, {}, {});\n", scores[0], number(output.attributes.mass),
                         output.attributes.at_least);
    const bool approx = output.op == Op::kApproxTopK;
    return fmt::format("choose_top<{}>(memory, a, row, {}, {});\n", approx, scores[0],
                       number(approx ? output.attributes.tolerate_ratio : 0.0f));
  }

  std::string write_saved() const {
    if (!plan_.saves()) return "";
    return "extern \"C\" __global__ void __launch_bounds__(kThreads) flow_saved(const __grid_constant__ Args a) {\n"
           "finish_saved(a);\n}\n";
  }

  const Plan& plan_;
  const Program& program_;
  const CudaFlowLimits& limits_;
  const Analysis analysis_;
  const FastPages fast_;
  const RowWriter row_writer_;
  FlowSource out_;
  int64_t rows_ = 0, cache_floats_ = 0;
};

}  // namespace

FlowSource write_source(const Plan& plan, const CudaFlowLimits& limits) { return SourceWriter(plan, limits).write(); }

}  // namespace vortex::flow
