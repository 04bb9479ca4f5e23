#include "engine/selection_controls.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>

namespace vortex {
namespace {

/// Calls fill(row, sequence, slots) with the middle slots of each sparse row, and puts the pages it chose (numbers
/// within the sequence) there.
template <class Choose>
void fill_middle(const model::Selection& selection, PageList* list, Choose choose) {
  const StepPlan& plan = *selection.plan;
  list_reserved_pages(plan, *selection.pages, list);
  for (int row = 0; row < plan.rows(); ++row) {
    const SequencePlan& sequence = plan.sequences[static_cast<size_t>(row / plan.kv_heads)];
    if (!sequence.sparse()) continue;
    const int middle = sequence.selected - plan.reserved_bos - plan.reserved_eos;
    PageId* slots = &list->pages[static_cast<size_t>(list->offsets[static_cast<size_t>(row)] + plan.reserved_bos)];
    const std::vector<int32_t>& pages = choose(row, plan.reserved_bos, sequence.pages - plan.reserved_eos, middle);
    for (int i = 0; i < middle; ++i)
      slots[i] = selection.pages->page_id(sequence.table, pages[static_cast<size_t>(i)], row % plan.kv_heads);
  }
}

class BestPages final : public model::SelectionHook {
 public:
  explicit BestPages(WorkerPool* pool) : mass_(pool) {}

  void on_selection(const model::Selection& selection, PageList* list) override {
    fill_middle(selection, list, [&](int row, int32_t begin, int32_t end, int count) -> const std::vector<int32_t>& {
      const std::span<const double> mass = mass_.of_row(selection, row);
      pages_.resize(static_cast<size_t>(end - begin));
      std::iota(pages_.begin(), pages_.end(), begin);
      std::partial_sort(pages_.begin(), pages_.begin() + count, pages_.end(), [&](int32_t a, int32_t b) {
        const double x = mass[static_cast<size_t>(a)], y = mass[static_cast<size_t>(b)];
        return x != y ? x > y : a < b;
      });
      return pages_;
    });
  }

 private:
  AttentionMass mass_;
  std::vector<int32_t> pages_;
};

/// The first `count` of a shuffle of `pages` (Fisher and Yates).
template <class T>
void shuffle_head(sample::Random* random, T* pages, int64_t size, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    std::swap(pages[i], pages[i + static_cast<int64_t>(random->next() % static_cast<uint64_t>(size - i))]);
}

class RandomPages final : public model::SelectionHook {
 public:
  explicit RandomPages(uint64_t seed) : random_(seed) {}

  void on_selection(const model::Selection& selection, PageList* list) override {
    fill_middle(selection, list, [&](int, int32_t begin, int32_t end, int count) -> const std::vector<int32_t>& {
      pages_.resize(static_cast<size_t>(end - begin));
      std::iota(pages_.begin(), pages_.end(), begin);
      shuffle_head(&random_, pages_.data(), end - begin, count);
      return pages_;
    });
  }

 private:
  sample::Random random_;
  std::vector<int32_t> pages_;
};

class AllPages final : public model::SelectionHook {
 public:
  explicit AllPages(std::optional<uint64_t> shuffle_seed) {
    if (shuffle_seed) random_.emplace(*shuffle_seed);
  }

  void on_selection(const model::Selection& selection, PageList* list) override {
    list_all_pages(*selection.plan, *selection.pages, list);
    if (!random_) return;
    for (int row = 0; row < list->rows(); ++row) {
      const auto begin = static_cast<size_t>(list->offsets[static_cast<size_t>(row)]);
      const auto rest = static_cast<int64_t>(list->row(row).size()) - 1;  // the last page stays last
      shuffle_head(&*random_, list->pages.data() + begin, rest, rest);
    }
  }

 private:
  std::optional<sample::Random> random_;  // absent: in order
};

constexpr std::string_view kControls[] = {"oracle", "random", "all", "shuffled"};

}  // namespace

bool is_control(std::string_view name) { return std::ranges::find(kControls, name) != std::end(kControls); }

std::string_view controls_help() {
  return "oracle (best pages by the true attention), random, all (every page by the sparse path), shuffled (all, out "
         "of order)";
}

std::unique_ptr<model::SelectionHook> make_control(std::string_view name, WorkerPool* pool, uint64_t seed) {
  if (name == "oracle") return std::make_unique<BestPages>(pool);
  if (name == "random") return std::make_unique<RandomPages>(seed);
  if (name == "all") return std::make_unique<AllPages>(std::nullopt);
  if (name == "shuffled") return std::make_unique<AllPages>(seed);
  return nullptr;
}

MassMeter::MassMeter(int layers, WorkerPool* pool) : mass_(pool), layers_(static_cast<size_t>(layers)) {}

void MassMeter::on_selection(const model::Selection& selection, PageList* list) {
  const StepPlan& plan = *selection.plan;
  Mean& mean = layers_[static_cast<size_t>(selection.pages->layer)];
  for (int row = 0; row < plan.rows(); ++row) {
    const SequencePlan& sequence = plan.sequences[static_cast<size_t>(row / plan.kv_heads)];
    if (!sequence.sparse()) continue;
    const std::span<const double> mass = mass_.of_row(selection, row);
    chosen_.assign(list->row(row).begin(), list->row(row).end());
    std::ranges::sort(chosen_);
    for (int32_t page = 0; page < sequence.pages; ++page) {
      const PageId id = selection.pages->page_id(sequence.table, page, row % plan.kv_heads);
      if (std::ranges::binary_search(chosen_, id)) mean.sum += mass[static_cast<size_t>(page)];
    }
    ++mean.count;
  }
}

std::vector<double> MassMeter::by_layer() const {
  std::vector<double> out;
  for (const Mean& mean : layers_) out.push_back(mean.count > 0 ? mean.sum / static_cast<double>(mean.count) : 1.0);
  return out;
}

}  // namespace vortex
