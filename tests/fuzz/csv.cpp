// A CSV of labels and of a split, with the classes of a task found in it.
#include "base/csv.h"

#include "data/labels.h"
#include "data/split.h"
#include "fuzz/input.h"

namespace dbps::fuzz {
namespace {

void read_task(const std::filesystem::path& path, const std::string& kind) {
  data::TaskColumn task{"label", "label", kind, {}};
  std::vector<std::string> values;
  for (const data::LabelRow& row : data::read_labels(path, {task})) {
    values.push_back(row.values.at(0));
  }
  data::find_classes(task, values);
  for (const std::string& value : values) data::parse_label(task, value, "input.csv");
}

}  // namespace
}  // namespace dbps::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  const fuzz::InputFile file({data, size});
  for (const char* kind : {"multiclass", "multilabel", "binary"}) {
    fuzz::refused_or_read([&] { fuzz::read_task(file.path(), kind); });
  }
  for (const int64_t fold : {-1, 0}) {
    fuzz::refused_or_read([&] {
      std::vector<data::Picture> pictures(2);
      pictures[0].id = "a";
      pictures[1].id = "b";
      data::read_splits(file.path(), fold, pictures);
    });
  }
  fuzz::refused_or_read([&] {
    const CsvTable table = read_csv(file.path());
    std::string written = csv_line(table.columns);
    for (const CsvRow& row : table.rows) written += csv_line(row.fields);
    if (parse_csv(written, "written.csv").rows.size() > table.rows.size()) std::abort();
  });
  return 0;
}
