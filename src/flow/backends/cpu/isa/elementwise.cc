// Elementwise ops: one loop each way of broadcasting, instantiated from the expressions in ops.def.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

/// Reads n lanes (all when n >= kLanes) of an operand that advances or repeats.
template <int kStride>
inline Number read(const float* p, int64_t n) {
  if (kStride == 0) return set(*p);
  return {n >= kLanes ? load(p) : load_n(p, static_cast<int>(n))};
}

inline void write(float* p, Number x, int64_t n) {
  if (n >= kLanes) {
    store(p, x.v);
  } else {
    store_n(p, x.v, static_cast<int>(n));
  }
}

template <class F>
void unary_loop(const float* x, float* out, int64_t n, float alpha, float beta) {
  const Number a = set(alpha), b = set(beta);
  for (int64_t i = 0; i < n; i += kLanes) write(out + i, F::apply(read<1>(x + i, n - i), a, b), n - i);
}

template <class F, int kX, int kY>
void binary_row(const float* x, const float* y, float* out, int64_t n, Number a, Number b) {
  for (int64_t i = 0; i < n; i += kLanes)
    write(out + i, F::apply(read<kX>(x + i * kX, n - i), read<kY>(y + i * kY, n - i), a, b), n - i);
}

template <class F>
void binary_loop(const flow::BroadcastLoop& loop, const float* x, const float* y, float* out, float alpha, float beta) {
  const Number a = set(alpha), b = set(beta);
  const auto row = loop.x[2] == 0 ? (loop.y[2] == 0 ? binary_row<F, 0, 0> : binary_row<F, 0, 1>)
                                  : (loop.y[2] == 0 ? binary_row<F, 1, 0> : binary_row<F, 1, 1>);
  for (int64_t i = 0; i < loop.count[0]; ++i) {
    for (int64_t j = 0; j < loop.count[1]; ++j) {
      row(x + i * loop.x[0] + j * loop.x[1], y + i * loop.y[0] + j * loop.y[1], out, loop.count[2], a, b);
      out += loop.count[2];
    }
  }
}

#define VORTEX_UNARY(op, name, attributes, alpha, beta, expression) \
  struct Fn_##op {                                                  \
    static Number apply(Number x, Number a, Number b) {             \
      static_cast<void>(a), static_cast<void>(b);                   \
      return expression;                                            \
    }                                                               \
  };
#define VORTEX_BINARY(op, name, attributes, alpha, beta, expression) \
  struct Fn_##op {                                                   \
    static Number apply(Number x, Number y, Number a, Number b) {    \
      static_cast<void>(a), static_cast<void>(b);                    \
      return expression;                                             \
    }                                                                \
  };
#include "flow/ir/ops.def"

}  // namespace

void add_elementwise(flow::TileKernels* table) {
#define VORTEX_UNARY(op, ...) table->unary[static_cast<int>(flow::Op::op)] = unary_loop<Fn_##op>;
#define VORTEX_BINARY(op, ...) table->binary[static_cast<int>(flow::Op::op)] = binary_loop<Fn_##op>;
#include "flow/ir/ops.def"
}

}  // namespace vortex::VORTEX_ISA::tile
