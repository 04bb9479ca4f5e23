// Products over the width of fields, which is where selection reads memory: several pages a warp, whole vectors a load.
#pragma once

#include <string>
#include <vector>

#include "flow/backends/cuda/node_writer.h"

namespace vortex::flow {

/// GeMM of a batched x with a field of 16-bit floats or of codes of less than 8 bits, or Sum(2) of elementwise ops on
/// such fields of one row and on batched values. With codes, Max(1) of the GeMM is made in the same go.
struct Product {
  NodeId node = -1;
  std::vector<NodeId> tree;  // what is computed inside
  std::vector<int> fields;
  std::vector<std::pair<ValueId, NodeId>> batched;  // values, and who reads them
  int rows = 1;                                     // of the result: the field's, or one
  int outs = 1;                                     // results a row
  int cols = 0;
  NodeId code_gemm = -1;  // with codes: the GeMM; `node` is that, or its Max(1)
  bool codes() const { return code_gemm >= 0; }
};

/// How pages are scored when all that reads wide fields is a product and the rest is a few numbers a page.
struct FastPages {
  std::vector<Product> products;
  std::vector<NodeId> rest;  // nodes that a thread runs for its page
  int batch = 0;             // pages of a warp at a time
};

/// Empty products: the pages are not of this kind.
FastPages find_fast_pages(const Analysis& analysis, const std::vector<NodeId>& nodes);

/// Whether one thread can run these nodes of a page: a few numbers each, nothing stored to fields.
bool fits_thread(const Analysis& analysis, const std::vector<NodeId>& nodes);
/// Numbers from one page's results to the next.
inline int result_stride(const Product& product) { return product.rows * product.outs | 1; }
/// Floats that the packed query of a product with codes takes.
int64_t packed_floats(DType dtype, int outs, int cols);
/// Text that makes the packed query of a product with codes at q<code_gemm>.
std::string pack_call(const Analysis& analysis, const NodeWriter& writer, const Product& product);
/// Text that loads the batched values of a product to registers, before pages are visited.
std::string product_registers(const Analysis& analysis, const NodeWriter& writer, const Product& product);
/// Text that leaves a product's results of a batch at `out`: [batch, rows * outs]. A packed query lies at
/// packed<code_gemm>.
std::string product_call(const Analysis& analysis, const NodeWriter& writer, const Product& product, int batch,
                         const std::string& out);

}  // namespace vortex::flow
