// What the interpreter computes with: all pages of one value, as floats.
#pragma once

#include <vector>

#include "flow/ir/graph.h"

namespace vortex::flow::interp {

/// [pages, rows, cols], row-major; a batched value has one page.
struct Array {
  int pages = 1;
  int rows = 1;
  int cols = 1;
  std::vector<float> data;

  Array(int pages_in, int rows_in, int cols_in)
      : pages(pages_in), rows(rows_in), cols(cols_in), data(static_cast<size_t>(pages) * rows * cols, 0.0f) {}
  Array() = default;

  size_t index(int s, int i, int j) const { return (static_cast<size_t>(s) * rows + i) * cols + j; }
  float& at(int s, int i, int j) { return data[index(s, i, j)]; }
  float at(int s, int i, int j) const { return data[index(s, i, j)]; }
  /// Axes of size 1 repeat.
  float broadcast(int s, int i, int j) const { return at(pages == 1 ? 0 : s, rows == 1 ? 0 : i, cols == 1 ? 0 : j); }
};

/// Middle pages of a row: what ops over the page axis and selection run on.
struct Range {
  int begin = 0;
  int end = 0;
};

}  // namespace vortex::flow::interp
