#include "server/prometheus.h"

#include <gtest/gtest.h>

namespace vortex::server {
namespace {

TEST(Prometheus, WritesFamiliesSamplesAndCommonLabels) {
  PrometheusText text(Labels{{"model", "m\"\\\n"}});
  text.single("a_total", "counter", "Counts.", 3);
  text.family("b", "gauge", "Is.");
  text.sample(0.25, {{"k", "v"}});
  EXPECT_EQ(text.take(),
            "# HELP a_total Counts.\n# TYPE a_total counter\na_total{model=\"m\\\"\\\\\\n\"} 3\n"
            "# HELP b Is.\n# TYPE b gauge\nb{model=\"m\\\"\\\\\\n\",k=\"v\"} 0.25\n");
}

TEST(Prometheus, BucketsAreCumulativeAndHoldTheirBound) {
  Histogram histogram({1, 2.5});
  for (const double value : {0.5, 1.0, 1.1, 2.5, 99.0}) histogram.observe(value);
  PrometheusText text(Labels{});
  text.family("h", "histogram", "Spread.");
  text.sample(histogram);
  EXPECT_EQ(text.take(),
            "# HELP h Spread.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2.5\"} 4\n"
            "h_bucket{le=\"+Inf\"} 5\nh_sum 104.1\nh_count 5\n");
}

}  // namespace
}  // namespace vortex::server
