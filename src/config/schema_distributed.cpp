// The tables [distributed] and [report].
#include "config/schema_table.h"

namespace dbps::config {
namespace {

using distributed::Backend;
using distributed::Compress;
using distributed::DeviceKind;
using distributed::DistributedOptions;
using report::ReportOptions;

constexpr auto kFixed = Resume::kFixed;
constexpr auto kFree = Resume::kFree;

}  // namespace

// What decides the order of sums is fixed: the kind of device, threads, backend, buckets.
void add_distributed_keys(std::vector<Key>& keys) {
  Table<Section<&Config::distributed>> t("distributed", keys);
  t.choice<DeviceKind>(
       "device", &DistributedOptions::device,
       {{"auto", DeviceKind::kAuto}, {"cpu", DeviceKind::kCpu}, {"cuda", DeviceKind::kCuda}}, {},
       kFixed, "\"auto\": a GPU where there is one")
      .automatic = Value{"auto", "", false};
  t.flag("share_device", &DistributedOptions::share_device, kFree, "let several ranks use one GPU");
  t.choice<Backend>("backend", &DistributedOptions::backend,
                    {{"auto", Backend::kAuto}, {"nccl", Backend::kNccl}, {"mpi", Backend::kMpi}},
                    {}, kFixed, "\"auto\": NCCL when every rank has a GPU of its own")
      .automatic = Value{"auto", "", false};
  t.integer("threads", &DistributedOptions::threads, {.high = 4096}, kFixed,
            "compute threads a rank; 0: cores / ranks on the host")
      .automatic = Value{int64_t{0}, "", false};
  t.integer("patch_group", &DistributedOptions::patch_group, {.low = 1, .high = 4096}, kFree,
            "ranks in a row that share each picture; above 1 selection.ranking must be \"global\"");
  t.integer("check_every", &DistributedOptions::check_every, {}, kFree,
            "steps between checks that all ranks hold equal weights; 0: only at the start");
  t.choice<Compress>("compress", &DistributedOptions::compress,
                     {{"none", Compress::kNone}, {"bf16", Compress::kBf16}}, {}, kFixed,
                     "gradients on the wire: half the bytes, rounded to 8 bits at each sum");
  t.flag("tf32", &DistributedOptions::tf32, kFixed, "on a GPU, matrix products in TF32");
  t.flag("deterministic", &DistributedOptions::deterministic, kFixed,
         "on a GPU, equal bits in every run");
  t.real("bucket_mb", &DistributedOptions::bucket_mb, {.low = 0, .high = 4096, .above_low = true},
         kFixed, "gradients are reduced in pieces of this size, in MB");
  t.real("deadline_seconds", &DistributedOptions::deadline_seconds, {.low = 0, .above_low = true},
         kFree, "without progress, then the run ends with 124");

  Table<Section<&Config::report>> r("report", keys);
  r.flag("tensorboard", &ReportOptions::tensorboard, kFree, "also write curves for TensorBoard");
  r.integer("maps_per_epoch", &ReportOptions::maps_per_epoch, {.high = 10'000}, kFree,
            "pictures of what was selected");
}

}  // namespace dbps::config
