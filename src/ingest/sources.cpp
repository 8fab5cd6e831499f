#include "ingest/sources.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "image/slide.h"
#include "ingest/extensions.h"
#include "ingest/feature_file.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

// The split that a folder of this name stands for, or "".
std::string split_of_folder(const std::string& name) {
  static const std::map<std::string, std::string> kNames = {
      {"train", "train"},      {"training", "train"},        {"val", "validation"},
      {"valid", "validation"}, {"validation", "validation"}, {"test", "test"},
      {"testing", "test"}};
  const auto found = kNames.find(to_lower(name));
  return found == kNames.end() ? "" : found->second;
}

// Of a source without pictures, which has files of these extensions: "" or what to do.
std::string slides_hint(store::Kind kind, const std::map<std::string, int64_t>& extensions) {
  const bool has_slides = std::any_of(extensions.begin(), extensions.end(), [](const auto& found) {
    return is_slide("x" + found.first);
  });
  return kind == store::Kind::kImages && has_slides
             ? ": these are slides, which `dbps ingest --kind tiles` reads"
             : "";
}

// Beside slides, JPEGs and PNGs are their thumbnails, or what a .vms consists of.
void leave_pictures_beside_slides(std::vector<fs::path>& found,
                                  std::map<std::string, int64_t>& passed_over) {
  if (std::all_of(found.begin(), found.end(), is_jpeg_or_png)) return;
  for (const fs::path& path : found) {
    if (is_jpeg_or_png(path)) ++passed_over[to_lower(path.extension().string())];
  }
  std::erase_if(found, is_jpeg_or_png);
}

// A DICOM slide is the files of one series, in one folder: the first stands for all of them. Where
// none is a slide's, the first is named as no slide later.
void keep_one_file_a_dicom_slide(const fs::path& folder, std::vector<fs::path>& found,
                                 std::map<std::string, int64_t>& passed_over) {
  std::map<fs::path, std::string> series;                 // of a file
  std::map<fs::path, std::pair<fs::path, bool>> kept_of;  // of a folder: which, whether a slide's
  for (const fs::path& path : found) {
    if (!is_dicom(path)) continue;
    const bool of_slide = !(series[path] = image::slide_series(folder / path)).empty();
    auto& [kept, is_slide] = kept_of.try_emplace(path.parent_path(), path, of_slide).first->second;
    if (of_slide && !is_slide) std::tie(kept, is_slide) = std::pair(path, true);
    if (of_slide && series[path] != series[kept]) {
      throw ConfigError(fmt::format(
          "{} holds files of two DICOM slides ({} and {}): give each slide a folder of its own, or "
          "name one file of each in a CSV with the columns id and path",
          (folder / path).parent_path().string(), kept.filename().string(),
          path.filename().string()));
    }
  }
  std::erase_if(found, [&](const fs::path& path) {
    if (!is_dicom(path)) return false;
    const fs::path& kept = kept_of[path.parent_path()].first;
    if (series[path] != series[kept]) ++passed_over[".dcm"];
    return path != kept;
  });
}

// What would be walked without end.
bool is_link_upwards(const fs::path& folder) {
  std::error_code error;
  const fs::path target = fs::canonical(folder, error);
  if (error || !fs::is_symlink(folder, error)) return false;
  const fs::path around = fs::canonical(folder.parent_path(), error);
  return std::mismatch(target.begin(), target.end(), around.begin(), around.end()).first ==
         target.end();
}

// Whether it can be gone into. What cannot is noted.
bool is_readable_folder(const fs::path& folder, std::vector<UnreadFolder>& unread) {
  std::error_code error;
  fs::directory_iterator(folder, error);
  const bool upwards = !error && is_link_upwards(folder);
  if (error || upwards) {
    unread.push_back({folder, upwards ? "a link to a folder it lies in" : error.message()});
  }
  return !error && !upwards;
}

// Paths of pictures below a folder, relative to it, in order; what else is there goes into `list`.
std::vector<fs::path> pictures_below(const fs::path& folder, store::Kind kind, SourceList& list) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, fs::directory_options::follow_directory_symlink,
                                           error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    const bool hidden = path.filename().string().starts_with(".");
    std::error_code unknown;
    if (entries->is_directory(unknown)) {
      if (hidden || !is_readable_folder(path, list.unread)) entries.disable_recursion_pending();
      continue;
    }
    if (hidden) continue;
    if (has_source_extension(path, kind)) {
      found.push_back(path.lexically_relative(folder));
    } else if (kind != store::Kind::kFeatures && looks_like_picture(path)) {
      ++list.passed_over[to_lower(path.extension().string())];
    }
  }
  if (error) {
    throw ConfigError(
        fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
  }
  std::sort(found.begin(), found.end());
  std::sort(list.unread.begin(), list.unread.end(),
            [](const UnreadFolder& a, const UnreadFolder& b) { return a.path < b.path; });
  if (kind == store::Kind::kTiles) {
    leave_pictures_beside_slides(found, list.passed_over);
    keep_one_file_a_dicom_slide(folder, found, list.passed_over);
  }
  return found;
}

// A DICOM slide is called as its folder is.
std::string stem_of(const fs::path& relative, const fs::path& folder) {
  if (!is_dicom(relative)) return without_source_extension(relative.generic_string());
  if (relative.has_parent_path()) return relative.parent_path().generic_string();
  const fs::path whole = fs::absolute(folder / ".").lexically_normal();
  return whole.parent_path().filename().string();
}

// Clashes are resolved alike for all that clash, so that an id does not hang on an order.
void set_ids(const std::vector<fs::path>& relative, const fs::path& folder,
             std::vector<SourcePicture>& pictures) {
  std::map<std::string, int> count;
  for (const fs::path& path : relative) ++count[stem_of(path, folder)];
  for (size_t i = 0; i < relative.size(); ++i) {
    const std::string stem = stem_of(relative[i], folder);
    pictures[i].id = count[stem] == 1 ? stem : relative[i].generic_string();
  }
}

SourceList list_folder(const fs::path& folder, store::Kind kind) {
  SourceList list;
  const std::vector<fs::path> relative = pictures_below(folder, kind, list);
  if (relative.empty()) {
    const std::string others = passed_over_text(list.passed_over);
    throw ConfigError(
        fmt::format("{} holds no {}{}{}{}", folder.string(), what_is_read(kind),
                    others.empty() ? "" : ", but " + others, slides_hint(kind, list.passed_over),
                    list.unread.empty() ? "" : "; " + unread_text(list.unread.front())));
  }
  const auto in_split = [](const fs::path& path) {
    return path.has_parent_path() && !split_of_folder(path.begin()->string()).empty();
  };
  const bool splits = std::all_of(relative.begin(), relative.end(), in_split);
  list.columns = {"label"};
  list.labels_are_folders = true;
  if (splits) list.columns.push_back("split");
  for (const fs::path& path : relative) {
    std::vector<std::string> folders;
    for (const fs::path& part : path.parent_path()) folders.push_back(part.string());
    if (is_dicom(path) && !folders.empty()) folders.pop_back();
    SourcePicture picture{"", folder / path, {}};
    const size_t level = splits ? 1 : 0;
    picture.values.push_back(folders.size() > level ? folders[level] : "");
    if (splits) picture.values.push_back(split_of_folder(path.begin()->string()));
    list.pictures.push_back(std::move(picture));
  }
  set_ids(relative, folder, list.pictures);
  return list;
}

// Below the CSV's folder where it lies there, else as it is written.
std::string id_of_path(const std::string& written, const fs::path& folder) {
  fs::path path = fs::path(written).lexically_normal();
  if (path.is_absolute()) {
    const fs::path below = path.lexically_relative(fs::absolute(folder).lexically_normal());
    const bool inside = !below.empty() && *below.begin() != "..";
    path = inside ? below : path.relative_path();
  }
  return without_source_extension(path.generic_string());
}

SourceList list_csv(const fs::path& csv) {
  const CsvTable table = read_csv(csv);
  const auto path_column = table.find_column("path");
  if (!path_column) {
    throw DataError(fmt::format("{} has no column 'path' that names the pictures", csv.string()));
  }
  const auto id_column = table.find_column("id");
  SourceList list;
  std::vector<size_t> kept;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (i == *path_column || i == id_column || table.columns[i].empty()) continue;
    kept.push_back(i);
    list.columns.push_back(table.columns[i]);
  }
  std::map<std::string, int> line_of;
  for (const CsvRow& row : table.rows) {
    const std::string written = trim(row.fields[*path_column]);
    const std::string given = id_column ? trim(row.fields[*id_column]) : "";
    if (written.empty()) {
      throw DataError(fmt::format("{}:{}: the path is empty", csv.string(), row.line));
    }
    SourcePicture picture{given.empty() ? id_of_path(written, csv.parent_path()) : given,
                          csv.parent_path() / written,
                          {}};
    const auto [first, is_new] = line_of.emplace(picture.id, row.line);
    if (!is_new) {
      throw DataError(fmt::format(
          "{}: lines {} and {} would both be the bag '{}': {}", csv.string(), first->second,
          row.line, picture.id,
          id_column ? "give each an id of its own" : "add a column 'id' that tells them apart"));
    }
    for (const size_t i : kept) picture.values.push_back(trim(row.fields[i]));
    list.pictures.push_back(std::move(picture));
  }
  if (list.pictures.empty()) {
    throw ConfigError(fmt::format("{} names no picture", csv.string()));
  }
  return list;
}

// A file of many bags becomes one entry a bag, "<id>/<member>"; the member's name alone when the
// file itself is the source. A member's own label takes the place of its folder's. One that cannot
// be read stays, and fails by name later.
void name_members(SourceList& list, bool only_file) {
  std::vector<SourcePicture> all;
  std::vector<std::pair<size_t, std::string>> labels;
  for (SourcePicture& picture : list.pictures) {
    const std::vector<BagMember> members = members_of(picture.path);
    for (const BagMember& member : members) {
      if (!member.label.empty()) labels.emplace_back(all.size(), member.label);
      all.push_back({only_file ? member.name : picture.id + "/" + member.name, picture.path,
                     picture.values, member.name});
    }
    if (members.empty()) all.push_back(std::move(picture));
  }
  list.pictures = std::move(all);
  if (labels.empty()) return;
  list.labels_are_folders = false;
  const size_t column = list.column("label");
  for (auto& [picture, label] : labels) list.pictures[picture].values[column] = std::move(label);
}

// One file of the patches of all slides, where others would be slides.
bool holds_patches(const fs::path& source, store::Kind kind) {
  return kind == store::Kind::kTiles && is_hdf5(source);
}

}  // namespace

store::Source describe_source(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw DataError(errno_message(fmt::format("cannot open {}", path.string())));
  }
  store::Source source;
  source.path = path.string();
  source.bytes = static_cast<uint64_t>(status.st_size);
  source.mtime = status.st_mtime;
  return source;
}

size_t SourceList::column(const std::string& name) {
  const auto found = std::find(columns.begin(), columns.end(), name);
  const auto place = static_cast<size_t>(found - columns.begin());
  if (found == columns.end()) {
    columns.push_back(name);
    for (SourcePicture& picture : pictures) picture.values.emplace_back();
  }
  return place;
}

SourceList find_sources(const fs::path& source, store::Kind kind) {
  SourceList list;
  bool only_file = false;
  if (fs::is_directory(source)) {
    list = list_folder(source, kind);
  } else if (!fs::exists(source)) {
    throw ConfigError(fmt::format("{}: no such file or folder", source.string()));
  } else if (to_lower(source.extension().string()) == ".csv") {
    list = list_csv(source);
  } else if (has_source_extension(source, kind) || holds_patches(source, kind)) {
    only_file = true;
    list.columns = {"label"};
    list.labels_are_folders = true;
    list.pictures.push_back({source.stem().string(), source, {""}});
  } else {
    throw ConfigError(fmt::format("{} is neither a folder, a CSV nor a {}{}", source.string(),
                                  what_is_read(kind),
                                  slides_hint(kind, {{source.extension().string(), 1}})));
  }
  if (kind == store::Kind::kFeatures || holds_patches(source, kind)) name_members(list, only_file);
  std::sort(list.pictures.begin(), list.pictures.end(),
            [](const SourcePicture& a, const SourcePicture& b) { return a.id < b.id; });
  return list;
}

std::string unread_text(const UnreadFolder& folder) {
  return fmt::format("cannot read the folder {}: {}", folder.path.string(), folder.reason);
}

std::string passed_over_text(const std::map<std::string, int64_t>& passed_over) {
  std::vector<std::string> words;
  for (const auto& [extension, count] : passed_over) {
    words.push_back(fmt::format("{} {}", count, extension));
  }
  return join_words(words);
}

}  // namespace dbps::ingest
