#include "flow/backends/cpu/cpu_backend.h"

#include <algorithm>

#include "base/check.h"
#include "base/cpu_features.h"
#include "base/worker_pool.h"
#include "flow/backends/cpu/choose_middle.h"
#include "flow/backends/cpu/elements.h"
#include "flow/backends/cpu/page_axis.h"
#include "flow/backends/cpu/tile_worker.h"
#include "flow/plan/saved_state.h"

namespace vortex::flow {
namespace {

constexpr int kMaxTilePages = 256;
constexpr int64_t kRunsPerThread = 4;
constexpr int64_t kFetchedStart = 512;  // bytes of k and of v, to the L2 cache

class CpuBackend : public Backend {
 public:
  CpuBackend(const Plan& plan, WorkerPool* pool, Isa isa)
      : plan_(plan),
        scores_(plan.scores()),
        pool_(pool),
        kernels_(tile_kernels(isa)),
        scratch_(static_cast<size_t>(pool->size())) {
    for (size_t g = 0; g < plan.cache.program.groups.size(); ++g)
      cache_groups_.push_back(make_group_program(plan, plan.cache, g, 1));
    for (size_t g = 0; g < plan.indexer.program.groups.size(); ++g)
      indexer_groups_.push_back(make_group_program(plan, plan.indexer, g, kMaxTilePages));
    buffers_.resize(plan.indexer.buffers.size());
    make_page_buffers();
  }

  void update(const PageView& view, std::span<const PageId> pages) override {
    pool_->parallel_ranges(static_cast<int64_t>(pages.size()), 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i) update_page(view, pages[static_cast<size_t>(i)], thread);
    });
  }

  void select(const PageView& view, const StepPlan& step, const float* q, PageList* list,
              std::vector<int>* nan_rows) override {
    score_rows(view, step, q, -1);
    std::vector<uint8_t> nan(rows_.size(), 0);
    pool_->parallel_items(static_cast<int64_t>(rows_.size()), [&](int64_t r, int thread) {
      nan[static_cast<size_t>(r)] = choose_pages(view, step, rows_[static_cast<size_t>(r)], list, thread);
    });
    for (const Row& row : rows_)
      if (row.state != nullptr && row.head == 0) row.state->finish(row.pages);
    for (size_t r = 0; r < rows_.size(); ++r)
      if (nan[r] != 0) nan_rows->push_back(rows_[r].index);
  }

  std::vector<float> scores(const PageView& view, const StepPlan& step, int row, const float* q) override {
    score_rows(view, step, q, row);
    const float* score = rows_.front().outside[static_cast<size_t>(scores_.front())];
    return {score, score + rows_.front().pages};
  }

 private:
  const Program& indexer() const { return plan_.indexer.program; }

  void score_rows(const PageView& view, const StepPlan& step, const float* q, int only) {
    start_rows(view, step, q, only);
    for (size_t g = 0; g < indexer_groups_.size(); ++g) run_group(g, view, step);
  }

  /// A page of the cache program needs its own small buffers between groups, one set a thread.
  void make_page_buffers() {
    int64_t total = 0;
    std::vector<int64_t> offsets;
    for (const BufferPlan& buffer : plan_.cache.buffers) {
      offsets.push_back(total);
      total += buffer.elements;
    }
    page_buffers_.assign(scratch_.size(), std::vector<float>(static_cast<size_t>(total)));
    page_outside_.assign(scratch_.size(), std::vector<float*>(plan_.cache.program.values.size(), nullptr));
    for (size_t t = 0; t < scratch_.size(); ++t)
      for (size_t v = 0; v < plan_.cache.buffer.size(); ++v)
        if (const int b = plan_.cache.buffer[v]; b >= 0)
          page_outside_[t][v] = page_buffers_[t].data() + offsets[static_cast<size_t>(b)];
  }

  void update_page(const PageView& view, PageId page, int thread) {
    const auto t = static_cast<size_t>(thread);
    Row row;
    row.outside = page_outside_[t].data();
    for (const GroupProgram& group : cache_groups_) {
      GroupRunner runner(plan_, plan_.cache, group, kernels_, view, {&row, 1}, &scratch_[t]);
      runner.run_tile({&page, 1, 0, 1});
    }
  }

  /// Lists the sparse rows (or only one) and gives each its part of the buffers. Buffers only grow.
  void start_rows(const PageView& view, const StepPlan& step, const float* q, int only) {
    rows_.clear();
    int64_t pages = 0;
    for (int r = 0; r < step.rows(); ++r) {
      const SequencePlan& sequence = step.sequences[static_cast<size_t>(r / step.kv_heads)];
      if (!sequence.sparse() || (only >= 0 && r != only)) continue;
      SequenceState::Layer* state = plan_.saves() ? prepare_saved(plan_, view, step, sequence) : nullptr;
      rows_.push_back({r, &sequence, r % step.kv_heads, sequence.pages - step.reserved_eos, state, nullptr});
      pages += rows_.back().pages;
    }
    VORTEX_CHECK(only < 0 || rows_.size() == 1, "row {} is not sparse", only);
    for (size_t b = 0; b < buffers_.size(); ++b) {
      const BufferPlan& plan = plan_.indexer.buffers[b];
      const int64_t count = plan.batched ? static_cast<int64_t>(rows_.size()) : pages;
      const auto floats = static_cast<size_t>(count * plan.elements);
      if (buffers_[b].size() < floats) buffers_[b].resize(floats);
    }
    place_rows(q);
  }

  void place_rows(const float* q) {
    const int64_t query = int64_t{plan_.graph.shape.group} * plan_.graph.shape.head_dim;
    const size_t values = indexer().values.size();
    outside_.assign(rows_.size() * values, nullptr);
    int64_t first_page = 0, ordinal = 0;
    for (Row& row : rows_) {
      float** outside = &outside_[static_cast<size_t>(ordinal) * values];
      outside[kQueryValue] = const_cast<float*>(q) + row.index * query;  // read only
      for (size_t v = 0; v < plan_.indexer.buffer.size(); ++v) {
        const int b = plan_.indexer.buffer[v];
        if (b < 0) continue;
        const BufferPlan& plan = plan_.indexer.buffers[static_cast<size_t>(b)];
        outside[v] = buffers_[static_cast<size_t>(b)].data() + (plan.batched ? ordinal : first_page) * plan.elements;
      }
      row.outside = outside;
      first_page += row.pages;
      ++ordinal;
    }
  }

  void run_group(size_t g, const PageView& view, const StepPlan& step) {
    const Node& first = indexer().node(indexer().groups[g].front());
    const TypeRule rule = op_info(first.op).rule;
    if (rule == TypeRule::kOutput || rule == TypeRule::kPageSet || rule == TypeRule::kUnion) return;  // choose_pages
    if (first.op == Op::kProject) return run_project(first, view.layer);
    if (schedule_of(first.op, first.attributes) == Schedule::kAlone) return run_alone(first, step);
    if (indexer_groups_[g].page_steps.empty()) return run_rows(indexer_groups_[g], view);
    run_tiles(indexer_groups_[g], view);
  }

  void run_rows(const GroupProgram& group, const PageView& view) {
    pool_->parallel_items(static_cast<int64_t>(rows_.size()), [&](int64_t r, int thread) {
      worker(group, view, thread).run_row(rows_[static_cast<size_t>(r)]);
    });
  }

  TileWorker worker(const GroupProgram& group, const PageView& view, int thread) {
    return {plan_, group, kernels_, view, &scratch_[static_cast<size_t>(thread)]};
  }

  /// Threads take runs of successive tiles: several each, so that one that is held up leaves its share to the others.
  void run_tiles(const GroupProgram& group, const PageView& view) {
    const int64_t most = kRunsPerThread * pool_->size();
    list_tiles(group, rows_, most, &tiles_);
    const auto count = static_cast<int64_t>(tiles_.size()), runs = std::min(count, most);
    pool_->parallel_items(runs, [&](int64_t run, int thread) {
      TileWorker worker = this->worker(group, view, thread);
      const Tile* end = tiles_.data() + count * (run + 1) / runs;
      for (const Tile* tile = tiles_.data() + count * run / runs; tile != end; ++tile)
        worker.run(*tile, tile + 1 == end ? nullptr : tile + 1);
    });
  }

  void run_alone(const Node& node, const StepPlan& step) {
    const ValueId in = node.inputs[0];
    const int64_t elements = indexer().type(in).elements();
    pool_->parallel_items(static_cast<int64_t>(rows_.size()), [&](int64_t r, int thread) {
      const Row& row = rows_[static_cast<size_t>(r)];
      float* out = row.outside[static_cast<size_t>(node.output)];
      if (out == nullptr) return;  // nobody reads it
      run_page_axis(node, kernels_, plan_.dtype, elements, row.pages, step.reserved_bos, row.pages,
                    row.outside[static_cast<size_t>(in)], out, &scratch_[static_cast<size_t>(thread)]);
    });
  }

  /// Threads share the rows of the weights, which are what is read; each sequence's row reads them again.
  void run_project(const Node& node, int layer) {
    constexpr int64_t kGrain = 32;
    const uint16_t* weights = plan_.weights(node, layer);
    const int64_t numbers = indexer().type(node.inputs[0]).elements();
    const int64_t width = indexer().type(node.output).elements();
    for (const Row& row : rows_) {
      const float* x = row.outside[static_cast<size_t>(node.inputs[0])];
      float* out = row.outside[static_cast<size_t>(node.output)];
      if (out == nullptr) continue;  // nobody reads it
      if (weights == nullptr) {
        kernels_.reduce(Op::kSum, x, out, 1, numbers / width, width);
      } else {
        pool_->parallel_ranges(width, kGrain, [&](int64_t begin, int64_t end, int) {
          const void* matrix = weights + begin * numbers;
          kernels_.gemm({{&matrix, 1}, Element::kBF16, end - begin, x, 1, 0, numbers, out + begin});
        });
      }
      round_floats(kernels_, plan_.dtype, out, out, width);
    }
  }

  /// Fills the row's middle slots, from the first on; true if a candidate's score is NaN.
  bool choose_pages(const PageView& view, const StepPlan& step, const Row& row, PageList* list, int thread) {
    SelectScratch& scratch = scratch_[static_cast<size_t>(thread)].select;
    const int64_t bos = step.reserved_bos, k = row.sequence->selected - bos - step.reserved_eos;
    const float* score[2] = {};
    for (size_t i = 0; i < scores_.size(); ++i) score[i] = row.outside[static_cast<size_t>(scores_[i])] + bos;
    const bool nan = choose_middle(plan_, kernels_, score, row.pages - bos, k, &scratch);
    PageId* slot = list->pages.data() + list->offsets[static_cast<size_t>(row.index)] + bos;
    for (int32_t j : scratch.chosen) {
      *slot = view.page_id(row.sequence->table, bos + j, row.head);
      fetch_start(view, *slot++);
    }
    return nan;
  }

  /// Attention reads the page next, at an address that hardware does not guess; from there on it does. Inlined at once:
  /// g++ takes a function that only fetches for one without effect, and drops its calls.
  [[gnu::always_inline]] void fetch_start(const PageView& view, PageId page) const {
    for (const FieldView& field : view.fields.first(static_cast<size_t>(plan_.base_fields)))
      for (int64_t at = 0; at < std::min(kFetchedStart, field.page_bytes); at += 64)
        __builtin_prefetch(field.page(page) + at, 0, 2);
  }

  const Plan& plan_;
  const std::vector<ValueId> scores_;
  WorkerPool* pool_;
  const TileKernels& kernels_;
  std::vector<ThreadScratch> scratch_;
  std::vector<GroupProgram> cache_groups_, indexer_groups_;
  std::vector<std::vector<float>> buffers_;       // by BufferPlan of the indexer
  std::vector<std::vector<float>> page_buffers_;  // by thread, of the cache program
  std::vector<std::vector<float*>> page_outside_;
  std::vector<Row> rows_;
  std::vector<float*> outside_;  // of all rows
  std::vector<Tile> tiles_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_cpu_backend(const Plan& plan, WorkerPool* pool) {
  VORTEX_CHECK(pool != nullptr, "the CPU backend needs a worker pool");
  VORTEX_ASSIGN_OR_RETURN(const Isa isa, best_isa());
  return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(plan, pool, isa));
}

}  // namespace vortex::flow
