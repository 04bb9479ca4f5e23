#include "kernels/cpu/grouped_products.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/cpu_matrix.h"
#include "kernels/cpu/panel_layout.h"

namespace vortex::kernels::cpu {
namespace {

// Float activations of one pass over the weights: they stay in the second-level cache.
constexpr int64_t kActivationBytes = 192 * 1024;
constexpr int64_t kTokenAlign = 24;  // a multiple of every float kernel's token block
// Reading a weight takes about as long as multiplying it with so many tokens: experts with one token and with five
// differ less than their tokens do.
constexpr int64_t kReadTokens = 2;

const CpuMatrix& matrix_of(const Product& product) { return static_cast<const CpuMatrix&>(*product.weight); }

bool has_type(std::span<const Product> products, bool quantized) {
  return std::any_of(products.begin(), products.end(),
                     [=](const Product& p) { return is_quantized(matrix_of(p).dtype()) == quantized; });
}

int64_t tokens_a_pass(int64_t cols, bool quantized) {
  if (quantized) return kTokenChunk;
  const int64_t fitting = kActivationBytes / (4 * cols);
  return std::max(kTokenAlign, fitting / kTokenAlign * kTokenAlign);
}

/// Those of the tokens from `token` on, a multiple of kTokenChunk.
QuantizedRows from_token(const QuantizedRows& rows, int64_t token, int64_t cols) {
  const int64_t groups = cols / kGroupCols;
  return {rows.codes + token * cols, rows.scales + token * groups, rows.sums + token * groups};
}

template <class Element>
void grow(std::vector<Element>* buffer, int64_t n) {
  if (buffer->size() < static_cast<size_t>(n)) buffer->resize(static_cast<size_t>(n));
}

}  // namespace

void GroupedProducts::run(std::span<const ProductGroup> groups) {
  collect_inputs(groups);
  reserve_scratch();
  prepare_inputs();
  split_work();
  if (split_.cost() <= kWorthSplitting * (1 + kReadTokens)) return multiply_part(0, 1);
  pool_->run([&](int part) { multiply_part(part, pool_->size()); });
}

void GroupedProducts::collect_inputs(std::span<const ProductGroup> groups) {
  inputs_.clear();
  for (const ProductGroup& group : groups) {
    if (group.tokens == 0 || group.products.empty()) continue;
    const int64_t cols = group.products[0].weight->cols();
    for (const Product& product : group.products)
      VORTEX_CHECK(product.weight->cols() == cols, "{} and {} columns in one group", product.weight->cols(), cols);
    const bool gather = group.rows != nullptr && has_type(group.products, false);
    inputs_.push_back({&group, cols, has_type(group.products, true), gather, {}, nullptr});
  }
}

/// Gives every input that is not read as it is its place in the scratch, and lists its chunks.
void GroupedProducts::reserve_scratch() {
  int64_t codes = 0, floats = 0;
  for (const Input& input : inputs_) {
    const int64_t elements = input.group->tokens * input.cols;
    codes += input.quantize ? elements : 0;
    floats += input.gather ? elements : 0;
  }
  to_prepare_ = codes + floats;
  grow(&codes_, codes);
  grow(&scales_, codes / kGroupCols);
  grow(&sums_, codes / kGroupCols);
  grow(&gathered_, floats);
  QuantizedRows free_codes{codes_.data(), scales_.data(), sums_.data()};
  float* free_floats = gathered_.data();
  chunks_.clear();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Input& input = inputs_[i];
    const int64_t tokens = input.group->tokens;
    input.quantized = free_codes;
    input.gathered = free_floats;
    if (input.quantize) free_codes = from_token(free_codes, tokens, input.cols);
    if (input.gather) free_floats += tokens * input.cols;
    for (int64_t token = 0; (input.quantize || input.gather) && token < tokens; token += kTokenChunk)
      chunks_.push_back({i, token});
  }
}

void GroupedProducts::prepare_inputs() {
  const auto count = static_cast<int64_t>(chunks_.size());
  const auto body = [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) prepare_chunk(chunks_[static_cast<size_t>(i)]);
  };
  if (to_prepare_ < kWorthSplitting) return body(0, count, 0);
  pool_->parallel_ranges(count, 1, body);
}

void GroupedProducts::prepare_chunk(const Chunk& chunk) const {
  const Input& input = inputs_[chunk.input];
  const ProductGroup& group = *input.group;
  const int64_t first = chunk.token, count = std::min(kTokenChunk, group.tokens - first);
  const int64_t* rows = group.rows == nullptr ? nullptr : group.rows + first;
  const float* x = rows == nullptr ? group.x + first * group.x_stride : group.x;
  if (input.quantize)
    kernels_.quantize_rows(x, group.x_stride, rows, count, input.cols, from_token(input.quantized, first, input.cols));
  for (int64_t t = 0; input.gather && t < count; ++t)
    std::copy_n(x + rows[t] * group.x_stride, input.cols, input.gathered + (first + t) * input.cols);
}

void GroupedProducts::split_work() {
  int64_t panels = 0;
  for (const Input& input : inputs_)
    for (const Product& product : input.group->products) panels += matrix_of(product).panels();
  pieces_.clear();
  split_.clear();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ProductGroup& group = *inputs_[i].group;
    const int64_t pieces = token_pieces(panels, group.tokens, pool_->size());
    const int64_t chunks = (group.tokens + kTokenChunk - 1) / kTokenChunk;
    for (int64_t p = 0; p < pieces; ++p) {
      const int64_t first = chunks * p / pieces * kTokenChunk;
      const int64_t last = std::min(group.tokens, chunks * (p + 1) / pieces * kTokenChunk);
      for (const Product& product : group.products) {
        pieces_.push_back({i, &product, first, last});
        split_.add(matrix_of(product).panels(), matrix_of(product).panel_bytes() * (last - first + kReadTokens));
      }
    }
  }
}

void GroupedProducts::multiply_part(int part, int parts) const {
  split_.for_each(part, parts, [&](size_t run, PanelRange panels) { multiply(pieces_[run], panels); });
}

void GroupedProducts::multiply(const Piece& piece, PanelRange panels) const {
  const Input& input = inputs_[piece.input];
  const Product& product = *piece.product;
  const CpuMatrix& matrix = matrix_of(product);
  const bool quantized = is_quantized(matrix.dtype());
  const int64_t first_row = panels.begin * matrix.panel_rows();
  PanelTask task;
  task.panels = matrix.panel(panels.begin);
  task.panel_bytes = matrix.panel_bytes();
  task.rows = std::min(matrix.rows(), panels.end * matrix.panel_rows()) - first_row;
  task.cols = matrix.cols();
  task.x_stride = input.gather ? input.cols : input.group->x_stride;
  task.out_stride = product.out_stride;
  task.bias = product.bias == nullptr ? nullptr : product.bias + first_row;
  task.accumulate = product.accumulate;
  const int64_t pass = tokens_a_pass(task.cols, quantized);
  for (int64_t token = piece.first_token; token < piece.last_token; token += pass) {
    task.tokens = std::min(pass, piece.last_token - token);
    task.x = (input.gather ? input.gathered : input.group->x) + token * task.x_stride;
    if (quantized) task.quantized = from_token(input.quantized, token, task.cols);
    task.out = product.out + first_row + token * task.out_stride;
    matrix.kernel()(task);
  }
}

}  // namespace vortex::kernels::cpu
