#include "report/palette.h"

#include <fmt/format.h>

namespace dbps::report {

image::Colour colour_of(Chosen chosen) {
  switch (chosen) {
    case Chosen::kNo:
      return kNotChosen;
    case Chosen::kSalient:
      return kSalient;
    case Chosen::kSubSalient:
      return kSubSalient;
  }
  return kNotChosen;
}

std::string times_text(double times, int digits) {
  if (times >= 99.5) return fmt::format("{:.0f}", times);
  return fmt::format("{:.{}g}", times, times >= 9.95 ? 3 : digits);
}

}  // namespace dbps::report
