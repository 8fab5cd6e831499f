// What people's CSVs say of the sources, and what comes of it in the CSV of a store.
#include "ingest/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class LabelsTest : public testing::Test {
 protected:
  // Files are named, not opened.
  SourceList sources(const std::vector<std::string>& names,
                     store::Kind kind = store::Kind::kTiles) const {
    for (const std::string& name : names) {
      const fs::path path = temp_.path() / "source" / name;
      fs::create_directories(path.parent_path());
      write_file_atomic(path, std::string());
    }
    return find_sources(temp_.path() / "source", kind);
  }

  // {id: what the store's labels.csv has in `column`}, of a store that has all sources.
  std::map<std::string, std::string> stored(const SourceList& list, const std::string& column) {
    merge_labels(store(), list, std::vector<char>(list.pictures.size(), true));
    const CsvTable table = read_csv(labels_path(store()));
    const size_t id = table.find_column("id").value();
    const size_t place = table.find_column(column).value();
    std::map<std::string, std::string> values;
    for (const CsvRow& row : table.rows) values[row.fields[id]] = row.fields[place];
    return values;
  }

  fs::path store() const {
    fs::create_directories(temp_.path() / "store");
    return temp_.path() / "store";
  }

  TempFolder temp_;
};

using Values = std::map<std::string, std::string>;

CsvTable csv(const std::string& text) { return parse_csv(text, "l.csv"); }

TEST_F(LabelsTest, FromAnotherFile) {
  SourceList list = sources({"a.tif", "b.tif"});
  const Unmatched unmatched = add_labels(list, csv("slide_id,label,grade\na.tif,x,2\nzzz,y,3\n"));
  EXPECT_THAT(unmatched.rows, ElementsAre("zzz"));
  EXPECT_THAT(unmatched.pictures, ElementsAre("b"));
  EXPECT_THAT(list.columns, ElementsAre("label", "grade"));
  EXPECT_THAT(list.pictures[0].values, ElementsAre("x", "2"));
  EXPECT_THAT(list.pictures[1].values, ElementsAre("", ""));
  EXPECT_THROW(add_labels(list, csv("id,label\na,x\na.tif,y\n")), DataError);
  EXPECT_THROW(add_labels(list, csv("name,label\na,x\n")), DataError);
}

TEST_F(LabelsTest, ASlideWithoutARowHasNoLabel) {
  SourceList list = sources({"siteA/1.tif", "siteB/2.svs"});
  add_labels(list, csv("id,label\nsiteA/1,tumor\n"));
  EXPECT_EQ(stored(list, "label"), (Values{{"siteA/1", "tumor"}, {"siteB/2", ""}}));
}

TEST_F(LabelsTest, VectorsWithoutARowHaveNoLabel) {
  SourceList list = sources({"siteA/1.npy", "siteB/2.npy"}, store::Kind::kFeatures);
  add_labels(list, csv("id,label\nsiteB/2,tumor\n"));
  EXPECT_EQ(stored(list, "label"), (Values{{"siteA/1", ""}, {"siteB/2", "tumor"}}));
}

TEST_F(LabelsTest, AColumnOfAnotherNameTakesThePlaceOfTheFolders) {
  SourceList list = sources({"siteA/1.tif", "2.tif"});
  add_labels(list, csv("slide_id,diagnosis\n2,benign\n"));
  EXPECT_THAT(list.columns, ElementsAre("diagnosis"));
  EXPECT_EQ(stored(list, "diagnosis"), (Values{{"siteA/1", ""}, {"2", "benign"}}));
}

TEST_F(LabelsTest, AFileOfPatientsLeavesTheFolders) {
  SourceList list = sources({"tumor/1.tif", "normal/2.tif"});
  add_labels(list, csv("id,patient,split\ntumor/1,p,train\n"));
  EXPECT_EQ(stored(list, "label"), (Values{{"tumor/1", "tumor"}, {"normal/2", "normal"}}));
}

TEST_F(LabelsTest, ByTheLastPartWhereOnePictureAloneHasIt) {
  SourceList list = sources({"siteA/1.tif", "siteB/1.tif", "siteB/2.tif", "siteB/3.tif"});
  const Unmatched unmatched =
      add_labels(list, csv("id,label\n1,x\n2.tif,y\nsiteB/3,whole\n3,other\n"));
  EXPECT_THAT(unmatched.rows, ElementsAre("1", "3"));
  EXPECT_THAT(unmatched.pictures, ElementsAre("siteA/1", "siteB/1"));
  EXPECT_EQ(stored(list, "label"),
            (Values{{"siteA/1", ""}, {"siteB/1", ""}, {"siteB/2", "y"}, {"siteB/3", "whole"}}));
}

TEST_F(LabelsTest, RowsOfTheStoreStayAndAreTold) {
  SourceList list = sources({"a.tif", "b.tif", "c.tif"});
  add_labels(list, csv("id,label,patient\na,x,p\nb,x,p\n"));
  EXPECT_THAT(rows_that_stay(store(), list, csv("id,label\n")), IsEmpty());
  merge_labels(store(), list, {true, true, false});
  const std::string before = read_text_file(labels_path(store()));
  for (const auto& [labels, stay] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"id,label\na,x\nb,y\nc,y\n", {"b"}},
           {"id,label\na.tif,\n", {}},
           {"id,grade\na,2\n", {"a"}}}) {
    SourceList again = sources({});
    add_labels(again, csv(labels));
    EXPECT_EQ(rows_that_stay(store(), again, csv(labels)), stay) << labels;
    merge_labels(store(), again, {true, true, false});
    EXPECT_EQ(read_text_file(labels_path(store())), before) << labels;
  }
}

}  // namespace
}  // namespace dbps::ingest
