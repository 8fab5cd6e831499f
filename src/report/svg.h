// Line charts as inline SVG: no scripts, colours from the page's style sheet, values as tooltips.
#pragma once

#include <string>
#include <vector>

namespace dbps::report {

struct Point {
  double x = 0;
  double y = 0;
};

struct Series {
  enum class Style { kLine, kFaint, kMarked };
  std::string name;
  std::vector<Point> points;  // by x; a y that is not finite leaves a gap
  Style style = Style::kLine;
  int colour = 0;  // of the palette; colours repeat with another dash
};

struct Chart {
  std::string title;
  std::string x_label;
  std::vector<Series> series;
  bool from_zero = false;  // the y axis begins at 0
};

// A <figure> with a legend, or "" where no series has a finite point. Long series are thinned.
std::string line_chart(const Chart& chart);

// At most 2 * `buckets` points: the lowest and the highest of each bucket, in order; gaps are
// dropped.
std::vector<Point> thin(const std::vector<Point>& points, size_t buckets);

}  // namespace dbps::report
