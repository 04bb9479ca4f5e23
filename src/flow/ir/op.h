// The operators of the flow language and what the op table (ops.def) says about each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vortex::flow {

enum class Op : uint8_t {
#define VORTEX_OP(op, ...) op,
#include "flow/ir/ops.def"
};

/// The two programs of a flow: one summarises a finished page, one scores pages for a query.
enum Side : uint8_t { kCache = 1, kIndexer = 2, kBothSides = 3 };
constexpr int kOpCount = 0
#define VORTEX_OP(op, ...) +1
#include "flow/ir/ops.def"
    ;

std::string_view side_method(Side side);  // "forward_cache", "forward_indexer"

enum class Schedule : uint8_t { kFused, kAlone };

enum class TypeRule : uint8_t {
  kUnary,
  kBinary,
  kGemm,
  kReduce,
  kInterleave,
  kPageAxis,
  kKron,
  kTranspose,
  kReshape,
  kMaskSlice,
  kProject,
  kLoad,
  kStore,
  kOutput,
  kPageSet,
  kUnion,
};

/// Which attributes an op has.
enum Attr : uint32_t {
  kDim = 1 << 0,      // dim: axis 0 (pages), 1 or 2
  kCount = 1 << 1,    // k: elements in a group, taps of a convolution, pages of a set
  kAlpha = 1 << 2,    // alpha
  kBeta = 1 << 3,     // beta
  kScale = 1 << 4,    // scale
  kRange = 1 << 5,    // start, end
  kExtent = 1 << 6,   // rows, cols of the result
  kAxes = 1 << 7,     // dims: bit 0 is axis 1, bit 1 is axis 2
  kWeight = 1 << 8,   // weight: [k, rows, cols], flat
  kRatio = 1 << 9,    // tolerate_ratio
  kMass = 1 << 10,    // mass
  kBounds = 1 << 11,  // at_least, at_most
  kField = 1 << 12,   // field that is stored to
  kNamed = 1 << 13,   // parameter
};

struct Attributes {
  int dim = 0;
  int k = 0;
  int start = 0;
  int end = 0;
  int rows = 0;
  int cols = 0;
  int dims = 3;
  int at_least = 0;
  int at_most = 0;
  int field = -1;  // index into Graph::fields
  float alpha = 0;
  float beta = 0;
  float scale = 1;
  float tolerate_ratio = 0;
  float mass = 0;
  std::vector<float> weight;
  std::string parameter;  // name of a matrix a layer, kept outside the graph
  bool operator==(const Attributes&) const = default;
};

/// Attributes that are plain numbers, by the key that JSON and the printer use.
struct IntAttribute {
  Attr flag;
  std::string_view key;
  int Attributes::*member;
};
struct FloatAttribute {
  Attr flag;
  std::string_view key;
  float Attributes::*member;
};
const std::vector<IntAttribute>& int_attributes();
const std::vector<FloatAttribute>& float_attributes();

struct OpInfo {
  std::string_view name;
  int arity;
  Side sides;
  Schedule schedule;
  TypeRule rule;
  uint32_t attributes;  // Attr flags
  float alpha, beta;    // defaults
};

const OpInfo& op_info(Op op);
inline bool has_attribute(Op op, Attr flag) { return (op_info(op).attributes & flag) != 0; }
std::optional<Op> op_from_name(std::string_view name);

/// The op's attributes at their defaults.
Attributes default_attributes(Op op);

/// Reductions over pages need the whole row; all else as the table says.
Schedule schedule_of(Op op, const Attributes& attributes);

/// The plain reduction an op applies: itself for Sum..StdDev, the named one for the interleaved family.
std::optional<Op> reduction_of(Op op);

}  // namespace vortex::flow
