// Painting for the demo data: antialiased. Parts outside a picture are left out. On a grey picture
// an ink's red is its grey; paper and digits are for RGB.
#pragma once

#include <array>

#include "image/image.h"
#include "ingest/demo_digits.h"

namespace dbps::ingest {

using Ink = std::array<double, 3>;  // red, green, blue, 0 .. 255

struct Point {
  double x;  // pixels; the first pixel covers 0 .. 1
  double y;
};

struct DigitPose {
  Point centre;
  double side;      // pixels
  double rotation;  // radians, clockwise
  double slant;     // pixels to the right a pixel upwards
};

Ink hsv(double hue, double saturation, double value);  // all 0 .. 1

// `ink` at the picture's centre, brighter along `slope` and darker against it: by these shares at
// the right and at the lower edge.
void paint_paper(image::Image& image, const Ink& ink, Point slope);

// The greys, bilinear, as opacity.
void paint_digit(image::Image& image, const Digit& digit, const DigitPose& pose, const Ink& ink);

// A quadratic Bezier curve, drawn with a round pen.
void paint_stroke(image::Image& image, const std::array<Point, 3>& controls, double radius,
                  const Ink& ink);

}  // namespace dbps::ingest
