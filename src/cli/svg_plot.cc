#include "cli/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vortex::cli {
namespace {

constexpr double kPanelWidth = 340, kPanelHeight = 280, kLeft = 56, kTop = 48, kGap = 44;
constexpr double kBottom = 52, kLegendLine = 20, kLetterWidth = 6.6;
// Okabe and Ito's colours, which colour-blind readers tell apart, and three more.
constexpr const char* kColors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                   "#56b4e9", "#7f3c8d", "#8c564b", "#3a3a3a", "#b8a800"};
constexpr const char* kMarkers[] = {"circle", "square", "diamond"};

std::string escape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into at most six.
double tick_step(double range) {
  const double power = std::pow(10.0, std::floor(std::log10(range / 6)));
  for (double step : {1.0, 2.0, 5.0})
    if (range / (step * power) <= 6) return step * power;
  return 10 * power;
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    for (const PlotPanel& panel : plot.panels)
      for (const PlotSeries& series : panel.series)
        if (std::ranges::find(names_, series.name) == names_.end()) names_.push_back(series.name);
    size_t longest = plot.reference_name.size() + 8;
    for (const std::string& name : names_) longest = std::max(longest, name.size());
    legend_width_ = 40 + kLetterWidth * static_cast<double>(longest);
  }

  std::string render() {
    const double width = kLeft + static_cast<double>(plot_.panels.size()) * (kPanelWidth + kGap) + legend_width_;
    const double legend = kLegendLine * static_cast<double>(names_.size() + 2);
    const double height = kTop + std::max(kPanelHeight, legend) + kBottom;
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
        "{1:.0f}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        width, height);
    text(kLeft, 24, plot_.title, "start", "font-size=\"15\"");
    for (size_t i = 0; i < plot_.panels.size(); ++i)
      panel(plot_.panels[i], kLeft + static_cast<double>(i) * (kPanelWidth + kGap), i == 0);
    draw_legend(width - legend_width_);
    return out_ + "</svg>\n";
  }

 private:
  static double y_at(double share) { return kTop + kPanelHeight * (1 - std::clamp(share, 0.0, 1.0)); }

  void text(double x, double y, const std::string& words, const char* anchor, const std::string& more = "") {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" {}>{}</text>\n", x, y, anchor, more,
                        escape(words));
  }

  void line(double x1, double y1, double x2, double y2, const char* style) {
    out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
  }

  void panel(const PlotPanel& panel, double left, bool labelled) {
    double widest = 0;
    for (const PlotSeries& series : panel.series)
      for (const PlotPoint& point : series.points) widest = std::max(widest, point.x);
    if (widest <= 0) widest = 1;
    const double step = tick_step(widest), end = step * std::ceil(widest / step - 1e-9);
    const auto x_at = [&](double x) { return left + kPanelWidth * x / end; };
    for (int tick = 0; tick <= 5; ++tick) {
      const double y = y_at(0.2 * tick);
      line(left, y, left + kPanelWidth, y, tick == 0 ? "stroke=\"#222\"" : "stroke=\"#e4e4e4\"");
      if (labelled) text(left - 8, y + 4, fmt::format("{:.1f}", 0.2 * tick), "end");
    }
    for (double x = 0; x <= end * (1 + 1e-9); x += step) {
      line(x_at(x), y_at(0), x_at(x), y_at(0) + 4, "stroke=\"#222\"");
      text(x_at(x), y_at(0) + 18, fmt::format("{:g} %", std::round(x * 1e5) / 1e3), "middle");
    }
    text(left + kPanelWidth / 2, y_at(0) + 38, panel.x_label, "middle");
    if (labelled)
      text(0, 0, plot_.y_label, "middle",
           fmt::format("transform=\"translate(16 {:.1f}) rotate(-90)\"", kTop + kPanelHeight / 2));
    if (plot_.reference >= 0)
      line(left, y_at(plot_.reference), left + kPanelWidth, y_at(plot_.reference),
           "stroke=\"#777\" stroke-dasharray=\"6 4\" stroke-width=\"1.5\"");
    for (const PlotSeries& series : panel.series) draw_series(series, x_at);
  }

  template <class XAt>
  void draw_series(const PlotSeries& series, XAt x_at) {
    std::vector<PlotPoint> points = series.points;
    std::ranges::sort(points, {}, &PlotPoint::x);
    std::string path;
    for (const PlotPoint& point : points) path += fmt::format("{:.1f},{:.1f} ", x_at(point.x), y_at(point.y));
    const size_t number = number_of(series.name);
    if (points.size() > 1)
      out_ += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"/>\n", path,
                          color(number));
    for (const PlotPoint& point : points) marker(x_at(point.x), y_at(point.y), number);
  }

  void marker(double x, double y, size_t number) {
    const std::string shape = kMarkers[number / std::size(kColors) % std::size(kMarkers)];
    if (shape == "circle") {
      out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x, y, color(number));
      return;
    }
    const std::string turn = shape == "diamond" ? fmt::format(" transform=\"rotate(45 {:.1f} {:.1f})\"", x, y) : "";
    out_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"7\" height=\"7\" fill=\"{}\"{}/>\n", x - 3.5, y - 3.5,
                        color(number), turn);
  }

  void draw_legend(double left) {
    double y = kTop + 8;
    for (size_t i = 0; i < names_.size(); ++i, y += kLegendLine) {
      marker(left + 10, y, i);
      text(left + 24, y + 4, names_[i], "start");
    }
    if (plot_.reference < 0) return;
    line(left, y, left + 20, y, "stroke=\"#777\" stroke-dasharray=\"6 4\" stroke-width=\"1.5\"");
    text(left + 24, y + 4, fmt::format("{} ({:.3f})", plot_.reference_name, plot_.reference), "start");
  }

  size_t number_of(const std::string& name) const {
    return static_cast<size_t>(std::ranges::find(names_, name) - names_.begin());
  }
  static const char* color(size_t number) { return kColors[number % std::size(kColors)]; }

  const Plot& plot_;
  std::vector<std::string> names_;
  double legend_width_ = 0;
  std::string out_;
};

}  // namespace

std::string render_svg(const Plot& plot) { return Drawing(plot).render(); }

}  // namespace vortex::cli
