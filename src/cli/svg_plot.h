// Line plots as SVG: a few panels that share the vertical axis, from 0 to 1, and a legend.
#pragma once

#include <string>
#include <vector>

namespace vortex::cli {

struct PlotPoint {
  double x = 0, y = 0;
};

struct PlotSeries {
  std::string name;  // the same name has the same colour in every panel
  std::vector<PlotPoint> points;
};

/// The horizontal axis starts at 0 and is a share, written in per cent.
struct PlotPanel {
  std::string x_label;
  std::vector<PlotSeries> series;
};

struct Plot {
  std::string title, y_label;
  std::vector<PlotPanel> panels;
  /// A dashed line across every panel.
  std::string reference_name;
  double reference = -1;  // below 0: none
};

std::string render_svg(const Plot& plot);

}  // namespace vortex::cli
