#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "report/page.h"

namespace dbps::report {
namespace {

constexpr double kWidth = 460, kHeight = 248;
constexpr double kLeft = 46, kRight = 12, kTop = 10, kBottom = 38;
constexpr size_t kBuckets = 300;
constexpr size_t kTooltips = 60;
constexpr int kColours = 6;

bool finite(const Point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

struct Axis {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  double tick = 1;

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double share(double value) const { return (value - low) / (high - low); }
};

// 1, 2 or 5 times a power of ten, for about `count` ticks.
double nice_tick(double range, int count) {
  const double raw = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999) return factor * power;
  }
  return 10 * power;
}

void widen_point(Axis& axis) {
  // A range that the tick's digits could not tell apart is drawn as one value.
  if (axis.high - axis.low > 1e-9 * std::max(std::abs(axis.low), std::abs(axis.high))) return;
  const double margin = axis.high == 0 ? 1 : std::abs(axis.high) * 0.1;
  axis.low -= margin;
  axis.high += margin;
}

void finish_x(Axis& axis) {
  widen_point(axis);
  axis.tick = nice_tick(axis.high - axis.low, 6);
  if (axis.low >= 0 && axis.high >= 4) axis.tick = std::max(1.0, axis.tick);
}

void finish_y(Axis& axis, bool from_zero) {
  if (from_zero) axis.include(0);
  widen_point(axis);
  axis.tick = nice_tick(axis.high - axis.low, 5);
  axis.low = std::floor(axis.low / axis.tick + 1e-9) * axis.tick;
  axis.high = std::ceil(axis.high / axis.tick - 1e-9) * axis.tick;
}

double place_x(const Axis& axis, double value) {
  return kLeft + axis.share(value) * (kWidth - kLeft - kRight);
}

double place_y(const Axis& axis, double value) {
  return kHeight - kBottom - axis.share(value) * (kHeight - kTop - kBottom);
}

std::string tick_text(double value, double tick) {
  if (std::abs(value) < tick * 1e-6) return "0";
  if (std::abs(value) >= 10000 && tick >= 100) return fmt::format("{:g}k", value / 1000);
  if (tick < 1e-3) {
    const double exponent = std::floor(std::log10(std::abs(value)) + 1e-9);
    return fmt::format("{:.3g}e{:g}", value / std::pow(10.0, exponent), exponent);
  }
  const int digits = std::max(0, static_cast<int>(-std::floor(std::log10(tick) + 1e-9)));
  return fmt::format("{:.{}f}", value, digits);
}

std::string axes(const Chart& chart, const Axis& x, const Axis& y) {
  std::string out = "<g class=\"axis\">";
  for (double value = y.low; value <= y.high + y.tick * 0.5; value += y.tick) {
    const double at = place_y(y, value);
    out += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        kLeft, kWidth - kRight, at, at, kLeft - 7, at + 4, tick_text(value, y.tick));
  }
  for (double value = std::ceil(x.low / x.tick - 1e-9) * x.tick; value <= x.high + x.tick * 1e-6;
       value += x.tick) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                       place_x(x, value), kHeight - kBottom + 17, tick_text(value, x.tick));
  }
  out +=
      fmt::format("<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                  kWidth - kRight, kHeight - 5, escape(chart.x_label));
  return out + "</g>";
}

std::string stroke_class(const Series& series) {
  const int dash = series.colour / kColours % 3;
  return fmt::format("s{}{}{}", series.colour % kColours,
                     series.style == Series::Style::kFaint ? " faint" : "",
                     dash > 0 ? fmt::format(" dash{}", dash) : "");
}

std::string circle(double x, double y, double radius, const char* kind, const std::string& title) {
  return fmt::format(
      "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\"><title>{}</title></circle>",
      kind, x, y, radius, title);
}

std::string draw_series(const Chart& chart, const Series& series, const Axis& x, const Axis& y) {
  std::string path, dots;
  const bool marked = series.style == Series::Style::kMarked;
  const bool faint = series.style == Series::Style::kFaint;
  const size_t every = std::max<size_t>(1, series.points.size() / kTooltips);
  const bool lone = std::count_if(series.points.begin(), series.points.end(), finite) == 1;
  bool pen_down = false;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const Point& point = series.points[i];
    if (!finite(point)) {
      pen_down = false;
      continue;
    }
    const double px = place_x(x, point.x), py = place_y(y, point.y);
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? 'L' : 'M', px, py);
    pen_down = true;
    if (faint || (i % every != 0 && i + 1 != series.points.size())) continue;
    const std::string title =
        fmt::format("{}, {} {}: {}", escape(series.name), escape(chart.x_label),
                    number_text(point.x), number_text(point.y));
    if (marked || lone) dots += circle(px, py, 2.6, "dot", title);
    dots += circle(px, py, 7, "hit", title);
  }
  return fmt::format("<g class=\"{}\"><path d=\"{}\"/>{}</g>", stroke_class(series), path, dots);
}

std::string legend(const Chart& chart) {
  std::string out = "<ul class=\"legend\">";
  for (const Series& series : chart.series) {
    out += fmt::format(
        "<li><svg class=\"key\" viewBox=\"0 0 22 10\" aria-hidden=\"true\"><g class=\"{}\">"
        "<path d=\"M1 5L21 5\"/></g></svg>{}</li>",
        stroke_class(series), escape(series.name));
  }
  return out + "</ul>";
}

// What the picture shows, for those who hear it.
std::string description(const Chart& chart) {
  std::string out = fmt::format("{} by {}.", chart.title, chart.x_label);
  for (const Series& series : chart.series) {
    if (series.style == Series::Style::kFaint) continue;
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(), finite);
    out += fmt::format(" {}: {} at {}.", series.name, number_text(last->y), number_text(last->x));
  }
  return escape(out);
}

}  // namespace

std::vector<Point> thin(const std::vector<Point>& points, size_t buckets) {
  if (points.size() <= 2 * buckets) return points;
  std::vector<Point> thinned;
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    std::vector<Point> part;
    std::copy_if(points.begin() + static_cast<int64_t>(bucket * points.size() / buckets),
                 points.begin() + static_cast<int64_t>((bucket + 1) * points.size() / buckets),
                 std::back_inserter(part), finite);
    if (part.empty()) continue;
    auto [low, high] =
        std::minmax_element(part.begin(), part.end(), [](auto& a, auto& b) { return a.y < b.y; });
    if (low > high) std::swap(low, high);
    thinned.push_back(*low);
    if (low != high) thinned.push_back(*high);
  }
  return thinned;
}

std::string line_chart(const Chart& given) {
  Chart chart = given;
  Axis x, y;
  std::erase_if(chart.series, [](const Series& series) {
    return std::none_of(series.points.begin(), series.points.end(), finite);
  });
  if (chart.series.empty()) return "";
  for (Series& series : chart.series) {
    series.points = thin(series.points, kBuckets);
    for (const Point& point : series.points) {
      if (!finite(point)) continue;
      x.include(point.x);
      y.include(point.y);
    }
  }
  finish_x(x);
  finish_y(y, chart.from_zero);
  std::string drawn = axes(chart, x, y);
  for (const Series& series : chart.series) drawn += draw_series(chart, series, x, y);
  return fmt::format(
      "<figure class=\"chart\"><figcaption>{0}</figcaption>{1}<svg viewBox=\"0 0 {2:g} {3:g}\" "
      "role=\"img\" aria-label=\"{4}\">{5}</svg></figure>\n",
      escape(chart.title), legend(chart), kWidth, kHeight, description(chart), drawn);
}

}  // namespace dbps::report
