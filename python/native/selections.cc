#include "native/selections.h"

#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "native/arrays.h"

namespace vortex::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

constexpr int32_t kNoPage = -1;
constexpr float kNoScore = std::numeric_limits<float>::quiet_NaN();

std::vector<int32_t> all_pages(int64_t pages) {
  std::vector<int32_t> all(static_cast<size_t>(pages));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// A step that read everything, row by row: nothing was scored.
std::vector<RowSelection> dense_rows(size_t rows, int64_t pages) { return {rows, RowSelection{all_pages(pages), {}}}; }

/// `values` [width] a row, filled up with `filler`.
template <class T>
std::vector<T> padded(const std::vector<RowSelection>& rows, std::vector<T> RowSelection::*values, size_t width,
                      T filler) {
  std::vector<T> out(rows.size() * width, filler);
  for (size_t row = 0; row < rows.size(); ++row) std::ranges::copy(rows[row].*values, out.begin() + row * width);
  return out;
}

size_t most_pages(const std::vector<RowSelection>& rows) {
  size_t most = 0;
  for (const RowSelection& row : rows) most = std::max(most, row.pages.size());
  return most;
}

/// (tokens, pages held, whether it selected, pages read [layers, rows, most], scores [layers, rows, pages held]).
nb::tuple step_tuple(const SelectionRecord& record, const SelectionStep& step) {
  const size_t layers = record.layers.size(), heads = static_cast<size_t>(record.kv_heads);
  const std::vector<RowSelection> rows = step.rows.empty() ? dense_rows(layers * heads, step.pages) : step.rows;
  VORTEX_CHECK(rows.size() == layers * heads, "{} rows of {} layers", rows.size(), layers);
  const size_t held = static_cast<size_t>(step.pages), most = most_pages(rows);
  return nb::make_tuple(step.tokens, step.pages, !step.rows.empty(),
                        to_array(padded(rows, &RowSelection::pages, most, kNoPage), std::array{layers, heads, most}),
                        to_array(padded(rows, &RowSelection::scores, held, kNoScore), std::array{layers, heads, held}));
}

nb::list all_steps(const Selections& selections) {
  const ThrowOnCheckFailure scope;
  nb::list steps;
  for (const SelectionStep& step : selections.record->steps) steps.append(step_tuple(*selections.record, step));
  return steps;
}

}  // namespace

void add_selections(nb::module_& m) {
  nb::class_<Selections>(m, "Selections")
      .def_prop_ro("layers", [](const Selections& s) { return s.record->layers; })
      .def_prop_ro("rows", [](const Selections& s) { return s.record->kv_heads; })
      .def_prop_ro("page_tokens", [](const Selections& s) { return s.record->page_tokens; })
      .def("steps", &all_steps);
}

}  // namespace vortex::python
