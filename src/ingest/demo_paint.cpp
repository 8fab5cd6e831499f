#include "ingest/demo_paint.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dbps::ingest {
namespace {

uint8_t to_byte(double value) { return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0) + 0.5); }

void blend(uint8_t* pixel, int channels, const Ink& ink, double opacity) {
  for (int c = 0; c < channels; ++c) pixel[c] = to_byte(pixel[c] + (ink[c] - pixel[c]) * opacity);
}

// Calls opacity(point) for the centre of every pixel within `reach` of `centre`.
template <typename Opacity>
void paint_near(image::Image& image, Point centre, double reach, const Ink& ink,
                const Opacity& opacity) {
  const auto first = [&](double at) {
    return std::max<int64_t>(0, static_cast<int64_t>(std::floor(at - reach)));
  };
  const auto last = [&](double at, int64_t size) {
    return std::min<int64_t>(size, static_cast<int64_t>(std::ceil(at + reach)));
  };
  for (int64_t y = first(centre.y); y < last(centre.y, image.height); ++y) {
    for (int64_t x = first(centre.x); x < last(centre.x, image.width); ++x) {
      const double share = opacity({static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5});
      if (share > 0.0)
        blend(image.row(y) + image.channels * x, image.channels, ink, std::min(share, 1.0));
    }
  }
}

// The squared distance of a point from a line between two others.
double squared_distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double length = dx * dx + dy * dy;
  const double along = length > 0.0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0.0;
  const double t = std::clamp(along, 0.0, 1.0);
  const double x = p.x - a.x - t * dx;
  const double y = p.y - a.y - t * dy;
  return x * x + y * y;
}

// Grey 0 .. 1 at a place in the 8x8 greys, where (0, 0) is the centre of the first; paper around.
double grey_at(const Digit& digit, double x, double y) {
  const int left = static_cast<int>(std::floor(x));
  const int top = static_cast<int>(std::floor(y));
  const auto grey = [&](int column, int row) -> double {
    if (column < 0 || column >= kDigitSide || row < 0 || row >= kDigitSide) return 0.0;
    return digit.greys[static_cast<size_t>(row * kDigitSide + column)];
  };
  const double u = x - left;
  const double v = y - top;
  const double upper = grey(left, top) * (1 - u) + grey(left + 1, top) * u;
  const double lower = grey(left, top + 1) * (1 - u) + grey(left + 1, top + 1) * u;
  return (upper * (1 - v) + lower * v) / kDigitInk;
}

}  // namespace

Ink hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue * 6.0, 6.0);
    const double dip = std::clamp(std::min(k, 4.0 - k), 0.0, 1.0);
    return 255.0 * value * (1.0 - saturation * dip);
  };
  return {channel(5.0), channel(3.0), channel(1.0)};
}

void paint_paper(image::Image& image, const Ink& ink, Point slope) {
  for (int64_t y = 0; y < image.height; ++y) {
    const double v = (static_cast<double>(y) + 0.5) / static_cast<double>(image.height) * 2.0 - 1.0;
    uint8_t* pixel = image.row(y);
    for (int64_t x = 0; x < image.width; ++x, pixel += 3) {
      const double u =
          (static_cast<double>(x) + 0.5) / static_cast<double>(image.width) * 2.0 - 1.0;
      const double light = 1.0 + slope.x * u + slope.y * v;
      for (int c = 0; c < 3; ++c) pixel[c] = to_byte(ink[c] * light);
    }
  }
}

void paint_digit(image::Image& image, const Digit& digit, const DigitPose& pose, const Ink& ink) {
  const double cosine = std::cos(pose.rotation);
  const double sine = std::sin(pose.rotation);
  const double scale = kDigitSide / pose.side;
  constexpr double kMiddle = (kDigitSide - 1) / 2.0;
  // The corner of the greys and the half grey around them that bilinear sampling fades out in.
  const double half = pose.side / 2 + 0.5 / scale;
  const double reach = half * (1.0 + std::abs(pose.slant)) * std::sqrt(2.0);
  paint_near(image, pose.centre, reach, ink, [&](Point p) {
    const double dx = p.x - pose.centre.x;
    const double dy = p.y - pose.centre.y;
    const double y = -sine * dx + cosine * dy;
    const double x = cosine * dx + sine * dy + pose.slant * y;
    return grey_at(digit, x * scale + kMiddle, y * scale + kMiddle);
  });
}

void paint_stroke(image::Image& image, const std::array<Point, 3>& controls, double radius,
                  const Ink& ink) {
  constexpr int kSegments = 12;
  std::array<Point, kSegments + 1> line;
  for (int i = 0; i <= kSegments; ++i) {
    const double t = static_cast<double>(i) / kSegments;
    const double a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
    line[i] = {a * controls[0].x + b * controls[1].x + c * controls[2].x,
               a * controls[0].y + b * controls[1].y + c * controls[2].y};
  }
  // The middle of the line's ends need not be the line's: the reach covers all of it.
  const Point centre = line[kSegments / 2];
  double farthest = 0.0;
  for (const Point& p : line) {
    farthest = std::max({farthest, std::abs(p.x - centre.x), std::abs(p.y - centre.y)});
  }
  paint_near(image, centre, farthest + radius + 1.0, ink, [&](Point p) {
    double nearest = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kSegments; ++i) {
      nearest = std::min(nearest, squared_distance(p, line[i], line[i + 1]));
    }
    return radius + 0.5 - std::sqrt(nearest);
  });
}

}  // namespace dbps::ingest
