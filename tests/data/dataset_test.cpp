#include "data/dataset.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "data/split.h"
#include "support/small_store.h"
#include "support/temp_folder.h"

namespace dbps::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DatasetTest : public ::testing::Test {
 protected:
  DatasetTest() { options_.fraction_validation = 0; }

  void store(const std::vector<std::string>& ids, const std::string& name = "store") {
    NamedPictures pictures;
    for (const std::string& id : ids) pictures.emplace_back(id, random_picture(3, 2, 1));
    make_store(folder_.path() / name, pictures);
    options_.store.push_back((folder_.path() / name).string());
  }
  void labels(const std::string& text, const std::string& name = "store") {
    write_text(folder_.path() / name / "labels.csv", text);
  }
  std::string file(const std::string& text) {
    const auto path = folder_.path() / "file.csv";
    write_text(path, text);
    return path.string();
  }
  Dataset open(const std::string& kind = "multiclass", std::vector<std::string> classes = {}) {
    return Dataset(options_, {{"label", "label", kind, std::move(classes)}});
  }
  template <typename E>
  void expect_error(const std::vector<std::string>& parts, std::vector<std::string> classes = {}) {
    try {
      open("multiclass", std::move(classes));
      FAIL() << "nothing was thrown";
    } catch (const E& error) {
      for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
  static std::vector<std::string> ids(const Dataset& dataset, Split split) {
    std::vector<std::string> names;
    for (const int64_t i : dataset.of_split(split)) names.push_back(dataset.pictures()[i].id);
    return names;
  }

  TempFolder folder_;
  DataOptions options_;
};

TEST_F(DatasetTest, JoinsByIdWithOrWithoutExtension) {
  store({"b/2", "a/1", "c/3.5", "d/4", "e/5"});
  labels(
      "path,label,case_id,split\n"
      "a/1.tiff,10,X,train\nb/2,9,Y,val\nc/3.5,9,X,\nd/4.png,,Z,train\nnowhere,9,,test\n");
  const Dataset dataset = open();
  EXPECT_THAT(dataset.tasks()[0].classes, ElementsAre("9", "10"));  // numbers numerically
  EXPECT_THAT(ids(dataset, Split::kTrain), ElementsAre("a/1", "c/3.5"));
  EXPECT_THAT(ids(dataset, Split::kValidation), ElementsAre("b/2"));
  ASSERT_EQ(dataset.pictures().size(), 3u);  // d/4 has no label, e/5 no row
  EXPECT_EQ(dataset.pictures()[0].labels[0], Label{1});
  EXPECT_EQ(dataset.pictures()[0].patient, "X");
  EXPECT_EQ(dataset.store(0).bag(dataset.pictures()[1].bag).id, "b/2");
}

TEST_F(DatasetTest, SeveralStoresAndTasks) {
  store({"a", "b"}, "one");
  store({"c"}, "two");
  labels("id,kind,marks,bad\na,x,p|q,1\nb,,;,0\n", "one");
  labels("id,kind,marks,bad\nc,y,q;r,\n", "two");
  const Dataset dataset(options_, {{"kind", "", "multiclass", {}},
                                   {"marks", "marks", "multilabel", {}},
                                   {"bad", "bad", "binary", {"fine", "spoilt"}}});
  EXPECT_THAT(dataset.tasks()[1].classes, ElementsAre("p", "q", "r"));
  EXPECT_THAT(dataset.pictures()[0].labels, ElementsAre(Label{0}, Label{1, 1, 0}, Label{1}));
  EXPECT_THAT(dataset.pictures()[1].labels, ElementsAre(Label{}, Label{0, 0, 0}, Label{0}));
  EXPECT_THAT(dataset.pictures()[2].labels, ElementsAre(Label{1}, Label{0, 1, 1}, Label{}));
  EXPECT_EQ(dataset.pictures()[2].store, 1);
}

TEST_F(DatasetTest, HashesTellLabelsAndSplitsApart) {
  store({"a", "b"});
  labels("id,label\na,x\nb,y\n");
  const std::string before = open().labels_hash();
  const std::string fingerprint = open().fingerprint();
  EXPECT_EQ(before, open().labels_hash());
  labels("id,label\na,y\nb,x\n");
  EXPECT_NE(before, open().labels_hash());
  labels("id,label,split\na,x,train\nb,y,test\n");
  EXPECT_NE(before, open().labels_hash());
  EXPECT_EQ(fingerprint, open().fingerprint());
}

TEST_F(DatasetTest, UnknownClassNamesFileLineAndNearest) {
  store({"a", "b"});
  labels("id,label\na,tumor\nb,norml\n");
  expect_error<DataError>({"labels.csv:3", "'norml'", "did you mean 'normal'"},
                          {"normal", "tumor"});
}

TEST_F(DatasetTest, MissingColumnNamesNearest) {
  store({"a"});
  labels("id,lable\na,x\n");
  expect_error<ConfigError>({"labels.csv", "'label'", "did you mean 'lable'"});
  labels("name,label\na,x\n");
  expect_error<DataError>({"no column id"});
}

TEST_F(DatasetTest, LabelsThatClashNameBothLines) {
  store({"a", "b"});
  labels("id,label\na,x\nb,y\na.png,y\n");
  expect_error<DataError>({"labels.csv:4", "labels.csv:2"});
}

TEST_F(DatasetTest, PicturesThatClashNameBothStores) {
  store({"a"}, "one");
  store({"a"}, "two");
  labels("id,label\na,x\n", "one");
  expect_error<DataError>({"'a'", "one", "two"});
}

TEST_F(DatasetTest, LabelsOfOtherPicturesShowBothIds) {
  store({"a"});
  labels("id,label\nfolder/a,x\nfolder/b,y\n");
  expect_error<DataError>({"'folder/a'", "'a'"});
}

TEST_F(DatasetTest, ATaskNeedsTwoClasses) {
  store({"a", "b", "c"});
  labels("id,label\na,x\nb,x\n");
  expect_error<DataError>({"classes x", "at least 2"});
  labels("id,label\na,x\nb,y\nc,z\n");
  EXPECT_THROW(open("binary"), DataError);
}

TEST_F(DatasetTest, NoLabelsAndNoTrainingPictures) {
  store({"a", "b"});
  expect_error<ConfigError>({"data.labels", "labels.csv"});
  labels("id,label,split\n");
  expect_error<DataError>({"labels.csv has no rows"});
  labels("id,label,split\na,x,test\nb,y,val\n");
  expect_error<DataError>({"no training pictures"});
  labels("id,label,split\na,x,train\nb,y,tets\n");
  expect_error<DataError>({"labels.csv:3", "'tets'"});
}

TEST_F(DatasetTest, SplitFileWinsAndLeavesOutWhatItDoesNotName) {
  store({"a", "b", "c", "d"});
  labels("id,label,split\na,x,test\nb,y,test\nc,x,test\nd,y,test\n");
  options_.split = file("id,split\na,train\nb.png,validation\nd,test\n");
  const Dataset dataset = open();
  EXPECT_THAT(ids(dataset, Split::kTrain), ElementsAre("a"));
  EXPECT_THAT(ids(dataset, Split::kValidation), ElementsAre("b"));
  EXPECT_THAT(ids(dataset, Split::kTest), ElementsAre("d"));
  options_.split = file("id,split\na,train\na.png,test\n");
  expect_error<DataError>({"file.csv:3", "line 2"});
}

TEST_F(DatasetTest, ASplitOfClamIsRead) {
  store({"a", "b", "c", "d", "e"});
  labels("id,label\na,x\nb,y\nc,x\nd,y\ne,x\n");
  options_.split = file(",train,val,test\n0,a,b,c\n1,d,,\n");
  const Dataset dataset = open();
  EXPECT_THAT(ids(dataset, Split::kTrain), ElementsAre("a", "d"));
  EXPECT_THAT(ids(dataset, Split::kValidation), ElementsAre("b"));
  EXPECT_THAT(ids(dataset, Split::kTest), ElementsAre("c"));
  options_.split = file(",train,val,test\n0,a,b,c\n1,c,,\n");
  expect_error<DataError>({"file.csv:3", "'c'", "line 2"});
}

TEST_F(DatasetTest, PatientsInTwoSplitsOfTheLabelsAreToldOf) {
  store({"a", "b", "c", "d"});
  labels("id,label,patient,split\na,x,p,train\nb,y,q,train\nc,x,p,test\nd,y,,test\n");
  testing::internal::CaptureStderr();
  open();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("the store's labels.csv: 1 patient in more than one split: p"));
}

TEST_F(DatasetTest, PatientsInTwoSplitsAreToldOf) {
  store({"a", "b", "c", "d"});
  labels("id,label,patient\na,x,p\nb,y,q\nc,x,p\nd,y,\n");
  options_.split = file("id,split\na,train\nb,train\nc,test\nd,test\n");
  testing::internal::CaptureStderr();
  open();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("1 patient in more than one split: p"));
  options_.split = file("id,split\na,train\nb,test\nc,train\nd,test\n");
  testing::internal::CaptureStderr();
  open();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(DatasetTest, Folds) {
  store({"a", "b", "c", "d"});
  labels("id,label\na,x\nb,y\nc,x\nd,y\n");
  options_.split = file("id,split,fold\na,,0\nb,,1\nc,,2\nd,test,\n");
  options_.fold = 1;
  const Dataset dataset = open();
  EXPECT_THAT(ids(dataset, Split::kTrain), ElementsAre("a", "c"));
  EXPECT_THAT(ids(dataset, Split::kValidation), ElementsAre("b"));
  EXPECT_THAT(ids(dataset, Split::kTest), ElementsAre("d"));
  options_.fold = 7;
  expect_error<ConfigError>({"data.fold = 7", "0, 1 and 2"});
}

TEST_F(DatasetTest, ValidationIsDrawnStratifiedFromTheTrainingPictures) {
  std::vector<std::string> names;
  std::string text = "id,label,split\n";
  for (int i = 0; i < 60; ++i) {
    names.push_back(fmt::format("p{}", 100 + i));
    text += names.back() + (i % 3 == 0 ? ",x" : ",y") + (i < 30 ? ",train\n" : ",test\n");
  }
  store(names);
  labels(text);
  options_.fraction_validation = 0.2;
  const Dataset dataset = open();
  std::map<float, int> classes;
  for (const int64_t i : dataset.of_split(Split::kValidation)) {
    ++classes[dataset.pictures()[i].labels[0][0]];
  }
  EXPECT_EQ(classes[0], 2);  // of 10
  EXPECT_EQ(classes[1], 4);  // of 20
  EXPECT_EQ(dataset.of_split(Split::kTest).size(), 30u);
  EXPECT_EQ(ids(dataset, Split::kValidation), ids(open(), Split::kValidation));
  options_.split_seed = 1;
  EXPECT_NE(ids(dataset, Split::kValidation), ids(open(), Split::kValidation));
}

TEST(Stratify, KeepsGroupsWholeAndSharesEqual) {
  std::vector<SplitItem> items;
  for (int i = 0; i < 300; ++i) {
    items.push_back({i % 2, i < 150 ? fmt::format("patient {}", i / 5) : ""});
  }
  const std::vector<int64_t> parts = stratify(items, {0.2, 0.2, 0.2, 0.2, 0.2}, 3);
  std::map<std::string, std::set<int64_t>> parts_of_group;
  std::vector<int> sizes(5, 0);
  for (size_t i = 0; i < items.size(); ++i) {
    ++sizes[parts[i]];
    if (!items[i].group.empty()) parts_of_group[items[i].group].insert(parts[i]);
  }
  for (const auto& [group, found] : parts_of_group) EXPECT_EQ(found.size(), 1u) << group;
  for (const int size : sizes) EXPECT_NEAR(size, 60, 3);
}

}  // namespace
}  // namespace dbps::data
