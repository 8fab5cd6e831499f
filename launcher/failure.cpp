#include "launcher/failure.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>

#include "base/error.h"

namespace dbps::launcher {
namespace {

constexpr int kInternal = static_cast<int>(ExitCode::kInternal);

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// LibTorch adds advice about its allocator after the line that counts.
std::string first_line(const std::string& text) {
  return one_line(text.substr(0, text.find('\n')));
}

std::string during(const Context& context) {
  return *context.phase == '\0' ? "" : fmt::format(" during {}", context.phase);
}

}  // namespace

Failure current_failure(const Context& context) {
  try {
    throw;
  } catch (const Error& error) {
    return {static_cast<int>(error.code()), one_line(error.what())};
  } catch (const c10::OutOfMemoryError& error) {
    return {kInternal, fmt::format("device memory exhausted{}: {} (lower data.device_bytes or "
                                   "selection.scan_patches)",
                                   during(context), first_line(error.what_without_backtrace()))};
  } catch (const c10::Error& error) {
    return {kInternal, fmt::format("LibTorch failed{}: {}", during(context),
                                   first_line(error.what_without_backtrace()))};
  } catch (const std::bad_alloc&) {
    return {kInternal, fmt::format("host memory exhausted{} (lower data.host_bytes or "
                                   "data.prefetch_batches)",
                                   during(context))};
  } catch (const std::exception& error) {
    return {kInternal,
            fmt::format("internal error{}: {}", during(context), one_line(error.what()))};
  }
}

}  // namespace dbps::launcher
