#include "kernels/cpu/pack.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/cpu/block_codes.h"
#include "kernels/cpu/panel_layout.h"

namespace vortex::kernels::cpu {
namespace {

constexpr int kMaxLanes = 16;

/// One super-block of each row of a panel; absent rows are zero.
struct PanelCodes {
  BlockCodes rows[kMaxLanes];
  int lanes = 0;
};

template <class Value, class Get>
std::byte* write_lanes(std::byte* out, int lanes, Get get) {
  for (int lane = 0; lane < lanes; ++lane) {
    const Value value = get(lane);
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
  }
  return out;
}

/// One vector of codes: byte c of a lane is made from that lane's row by `make(group codes, c)`.
template <class Make>
std::byte* write_codes(std::byte* out, const PanelCodes& panel, int group, Make make) {
  for (int lane = 0; lane < panel.lanes; ++lane) {
    const uint8_t* codes = panel.rows[lane].codes + group * kGroupCols;
    for (int c = 0; c < 4; ++c) *out++ = static_cast<std::byte>(make(codes, c));
  }
  return out;
}

std::byte* write_nibbles(std::byte* out, const PanelCodes& panel, int group) {
  for (int i = 0; i < 4; ++i)
    out = write_codes(out, panel, group, [i](const uint8_t* codes, int c) {
      return (codes[8 * i + c] & 15) | (codes[8 * i + 4 + c] & 15) << 4;
    });
  return out;
}

/// The upper `width` bits of `count` vectors from `first` on, side by side in one byte.
std::byte* write_upper_bits(std::byte* out, const PanelCodes& panel, int group, int width, int first, int count) {
  return write_codes(out, panel, group, [=](const uint8_t* codes, int c) {
    int byte = 0;
    for (int i = 0; i < count; ++i) byte |= (codes[4 * (first + i) + c] >> 4) << (width * i);
    return byte;
  });
}

std::byte* write_group_codes(std::byte* out, const PanelCodes& panel, int group, int bits) {
  if (bits == 8) {
    for (int k = 0; k < 8; ++k)
      out = write_codes(out, panel, group, [k](const uint8_t* codes, int c) { return codes[4 * k + c]; });
    return out;
  }
  out = write_nibbles(out, panel, group);
  if (bits == 5) return write_upper_bits(out, panel, group, 1, 0, 8);
  if (bits == 6) out = write_upper_bits(out, panel, group, 2, 0, 4);
  if (bits == 6) out = write_upper_bits(out, panel, group, 2, 4, 4);
  return out;
}

std::byte* write_super_block(std::byte* out, const PanelCodes& panel, const BlockPanelLayout& layout) {
  const int lanes = panel.lanes;
  out = write_lanes<uint16_t>(out, lanes, [&](int lane) { return panel.rows[lane].scale; });
  if (layout.super_min) out = write_lanes<uint16_t>(out, lanes, [&](int lane) { return panel.rows[lane].min; });
  for (int g = 0; g < layout.groups; ++g) {
    for (int s = 0; s < layout.scales_per_group; ++s)
      out = write_lanes<uint8_t>(
          out, lanes, [&](int lane) { return panel.rows[lane].group_scales[g * layout.scales_per_group + s]; });
    if (layout.group_min)
      out = write_lanes<uint8_t>(out, lanes, [&](int lane) { return panel.rows[lane].group_mins[g]; });
    out = write_group_codes(out, panel, g, layout.bits);
  }
  return out;
}

void pack_blocks(const TensorView& matrix, int64_t first_row, int lanes, std::byte* out) {
  const BlockPanelLayout layout = block_panel_layout(matrix.dtype);
  const int64_t blocks = matrix.cols() / layout.super_cols();
  const int64_t row_bytes = dtype_bytes(matrix.dtype, matrix.cols());
  const int64_t block_bytes = row_bytes / blocks;
  const auto present = static_cast<int>(std::min<int64_t>(lanes, matrix.rows() - first_row));
  PanelCodes panel;
  panel.lanes = lanes;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int lane = 0; lane < present; ++lane)
      extract_codes(matrix.dtype, matrix.data + (first_row + lane) * row_bytes + b * block_bytes, &panel.rows[lane]);
    out = write_super_block(out, panel, layout);
  }
}

/// Where row `i` of a float panel lies within a column.
int float_slot(DType dtype, int i, int lanes) {
  if (dtype != DType::kBF16) return i;
  return i < lanes ? 2 * i : 2 * (i - lanes) + 1;
}

template <class Element>
void pack_floats(const TensorView& matrix, int64_t first_row, int lanes, std::byte* out) {
  const int width = 2 * lanes;
  const int64_t cols = matrix.cols();
  for (int i = 0; i < width; ++i) {
    std::byte* slot = out + float_slot(matrix.dtype, i, lanes) * static_cast<int>(sizeof(Element));
    const bool present = first_row + i < matrix.rows();
    const std::byte* row = matrix.data + (first_row + i) * cols * static_cast<int64_t>(sizeof(Element));
    for (int64_t c = 0; c < cols; ++c) {
      Element value = 0;
      if (present) std::memcpy(&value, row + c * static_cast<int64_t>(sizeof value), sizeof value);
      std::memcpy(slot + c * width * static_cast<int64_t>(sizeof value), &value, sizeof value);
    }
  }
}

}  // namespace

int panel_rows(DType dtype, int lanes) { return is_quantized(dtype) ? lanes : 2 * lanes; }

int64_t panel_bytes(DType dtype, int64_t cols, int lanes) {
  if (!is_quantized(dtype)) return panel_rows(dtype, lanes) * dtype_bytes(dtype, cols);
  const BlockPanelLayout layout = block_panel_layout(dtype);
  return cols / layout.super_cols() * layout.super_bytes() * lanes;
}

void pack_panel(const TensorView& matrix, int64_t panel, int lanes, std::byte* out) {
  VORTEX_CHECK(lanes <= kMaxLanes, "{} lanes", lanes);
  const int64_t first_row = panel * panel_rows(matrix.dtype, lanes);
  if (is_quantized(matrix.dtype)) return pack_blocks(matrix, first_row, lanes, out);
  if (matrix.dtype == DType::kF32) return pack_floats<uint32_t>(matrix, first_row, lanes, out);
  pack_floats<uint16_t>(matrix, first_row, lanes, out);
}

}  // namespace vortex::kernels::cpu
