#include "ingest/ingest.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/split_csv.h"
#include "base/text.h"
#include "ingest/labels.h"
#include "ingest/stored_sources.h"
#include "launcher/ingestion.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp =
    R"(Puts pictures, slides or feature vectors into a store, or adds new ones to it.

SOURCE is a folder (train|val|test/<class>/*, <class>/* or plain pictures), a CSV with a column path
(and label, split, patient, ...), or one picture: JPEG, PNG, 8-bit TIFF. Labels go to
STORE/labels.csv, which you may edit: rows that are there are never changed. What is in the store
already is skipped, an ingest that was interrupted goes on, and pictures that cannot be used are listed
in STORE/failed.csv.

With --kind features the files are .npy, .safetensors, HDF5 (.h5, .hdf5; CLAM's and TRIDENT's) or .pt, one
bag of vectors (N, D) each, float16, float32 or float64 (which becomes float32). Of .safetensors the
tensor 'features' or the only one is read, else every tensor is a bag, FILE/TENSOR; of HDF5 the dataset
'features' and, where it is there, 'coords', else every group with 'img' is a bag (IPS). All vectors of a
store have one width.

With --kind tiles slides become bags of the tiles that show tissue: .svs, .ndpi, .mrxs and what else
OpenSlide reads (of its version 4 also DICOM: a folder of .dcm files is a slide), TIFF, and JPEG and PNG
of any size. JPEG tiles that agree with the grid are copied as they are, others encoded anew
(--quality). STORE/slides/ has a picture of the tissue found and one of the tiles kept for each slide,
STORE/slides.csv what was made of it. With --coords another tool's files say which tiles are kept, and
of which size. SOURCE may also be one HDF5 file whose groups hold the patches of a slide each, 'img'
(IPS).

Examples:
  dbps ingest pictures/ store/
  dbps ingest list.csv store/ --codec jpeg --quality 90 --longest 4000 --jobs 16
  dbps ingest h5_files/ store/ --kind features --labels labels.csv
  dbps ingest slides/ store/ --kind tiles --labels labels.csv --mpp 0.5
  dbps ingest slides/ store/ --kind tiles --coords clam/patches)";

struct Arguments {
  std::string source;
  std::string store;
  std::string labels;
  std::string split;
  std::string codec = "keep";
  std::string kind = "images";
  ingest::IngestOptions options;
  bool resume = false;
  bool strict = false;
  bool reference = false;
  double magnification = 0;
  std::vector<const CLI::Option*> of_tiles;
};

const char* thing_of(store::Kind kind) {
  switch (kind) {
    case store::Kind::kFeatures:
      return "bag";
    case store::Kind::kTiles:
      return "slide";
    default:
      return "picture";
  }
}

void take_options(Arguments& arguments, const distributed::World* world) {
  ingest::IngestOptions& options = arguments.options;
  if (arguments.reference) throw ConfigError("ingest --reference is not yet supported");
  options.kind = store::kind_of(arguments.kind);
  for (const CLI::Option* option : arguments.of_tiles) {
    if (options.kind == store::Kind::kTiles || option->count() == 0) continue;
    throw ConfigError(fmt::format("{} is for --kind tiles", option->get_name()));
  }
  options.codec = store::codec_of(arguments.codec);
  if (options.kind == store::Kind::kFeatures &&
      (options.codec != store::Codec::kKeep || options.longest != 0)) {
    throw ConfigError(
        "--codec and --longest are for pictures: leave them out with --kind features");
  }
  if (arguments.magnification != 0) options.mpp = 10 / arguments.magnification;
  ingest::settings_of(options);
  // Ranks on a host share its cores.
  if (options.jobs == 0 && world != nullptr) {
    options.jobs = std::max(1, available_cores() / world->local_size());
  }
}

using AddTable = ingest::Unmatched (*)(ingest::SourceList&, const CsvTable&);

// Where `speaks`, warns of what has no effect.
void add_table(ingest::SourceList& sources, const CsvTable& table, AddTable add,
               const std::string& store, const std::string& thing, bool speaks) {
  const ingest::Unmatched unmatched = add(sources, table);
  if (!speaks) return;
  const auto warn = [&](const std::vector<std::string>& ids, const auto& what) {
    if (ids.empty()) return;
    log::warning("{}: {}: {}", table.path.string(), what(static_cast<int64_t>(ids.size())),
                 join_words(ids));
  };
  warn(unmatched.rows, [&](int64_t count) {
    return counted(count, "row") + " without a " + thing + " of the source";
  });
  warn(unmatched.pictures, [&](int64_t count) { return counted(count, thing) + " without a row"; });
  warn(ingest::rows_that_stay(store, sources, table), [&](int64_t count) {
    return fmt::format("says otherwise than {} for {}, which {} (edit that file)",
                       ingest::labels_path(store).string(), counted(count, thing),
                       count == 1 ? "stays as it is" : "stay as they are");
  });
}

// Reads the store: on all ranks, before one of them writes into it.
void match_store(ingest::SourceList& sources, const Arguments& arguments,
                 distributed::World* world) {
  const int jobs = arguments.options.jobs > 0 ? arguments.options.jobs : available_cores();
  const std::vector<ingest::ReplacedSource> replaced =
      ingest::match_store(sources, arguments.store, jobs);
  if (world != nullptr) world->barrier();
  if (replaced.empty() || (world != nullptr && world->rank() > 0)) return;
  constexpr size_t kShown = 10;
  for (size_t i = 0; i < std::min(kShown, replaced.size()); ++i) {
    const auto& [id, path, made_from] = replaced[i];
    log::warning("'{}' stays as it is in {}, but {} {}", id, arguments.store, path.string(),
                 path == made_from ? "has changed since"
                                   : fmt::format("is another file than {}", made_from));
  }
  log::warning(
      "{} in the store, made from other files than these: the id counts; to take these, give "
      "them other ids (a CSV with the columns id and path), or make a new store",
      counted(static_cast<int64_t>(replaced.size()), "bag"));
}

// A store would be walked, and its files taken, when the same folder is ingested again.
void refuse_store_inside(const Arguments& arguments) {
  if (!fs::is_directory(arguments.source)) return;
  const fs::path source = fs::canonical(arguments.source);
  for (fs::path store = fs::weakly_canonical(arguments.store);; store = store.parent_path()) {
    if (store == source) {
      throw ConfigError(fmt::format(
          "the store {} lies in {}, the folder of its sources: give it a folder of its own",
          arguments.store, arguments.source));
    }
    if (store == store.parent_path()) return;
  }
}

std::optional<ingest::Summary> fill_store(const ingest::SourceList& sources,
                                          const Arguments& arguments, const Context& context,
                                          const std::string& thing) {
  distributed::World* world = context.world;
  const int rank = world == nullptr ? 0 : world->rank();
  const int world_size = world == nullptr ? 1 : world->world_size();
  dbps::Progress line("ingest", !context.quiet && rank == 0);
  const auto progress = [&](const ingest::Progress& at) {
    line.update(fmt::format("{} of {}, {}/s", at.done, counted(at.total, thing),
                            format_bytes(static_cast<double>(at.source_bytes) /
                                         std::max(at.seconds, 1e-3))),
                static_cast<double>(at.done) / static_cast<double>(at.total));
  };
  ingest::Ingestion ingestion(sources, arguments.store, arguments.options, progress, rank,
                              world_size);
  return make_parts(ingestion, world);
}

void run(Arguments& arguments, const Context& context) {
  take_options(arguments, context.world);
  const std::string thing = thing_of(arguments.options.kind);
  // All ranks see the same.
  const bool speaks = context.world == nullptr || context.world->rank() == 0;
  if (arguments.resume && !fs::exists(arguments.store)) {
    throw ConfigError(fmt::format("--resume: there is no {} to go on with", arguments.store));
  }
  refuse_store_inside(arguments);
  ingest::SourceList sources = ingest::find_sources(arguments.source, arguments.options.kind);
  match_store(sources, arguments, context.world);
  if (!arguments.labels.empty()) {
    add_table(sources, read_csv(arguments.labels), ingest::add_labels, arguments.store, thing,
              speaks);
  }
  if (!arguments.split.empty()) {
    add_table(sources, read_split_csv(arguments.split), ingest::add_columns, arguments.store, thing,
              speaks);
  }
  const auto count = static_cast<int64_t>(sources.pictures.size());
  log::info("{} in {}", counted(count, thing), arguments.source);
  if (speaks && !sources.passed_over.empty()) {
    log::warning("passed over, as of a format that is not read{}: {}",
                 arguments.options.kind == store::Kind::kTiles ? ", or pictures beside slides" : "",
                 ingest::passed_over_text(sources.passed_over));
  }
  const auto summary = fill_store(sources, arguments, context, thing);
  if (!summary) return;
  tell(*summary, sources, {arguments.source, arguments.store, thing, arguments.strict}, context);
}

// CLI11's own says so with all digits of the largest number.
std::string above_zero(const std::string& text) {
  double value = 0;
  const bool is_number = CLI::detail::lexical_cast(text, value);
  return is_number && value > 0 ? "" : text + " is no number above 0";
}

void add_slide_options(CLI::App& app, Arguments& arguments) {
  ingest::IngestOptions& options = arguments.options;
  const auto add = [&](const std::string& name, auto& value, const std::string& help) {
    CLI::Option* option = app.add_option(name, value, help)->group("With --kind tiles");
    arguments.of_tiles.push_back(option);
    return option;
  };
  add("--tile-size", options.tile_size, "Side of a tile, pixels")->capture_default_str();
  add("--overlap", options.tissue.overlap, "Pixels that neighbouring tiles share")
      ->capture_default_str();
  add("--mpp", options.mpp, "Bring tiles to so many microns a pixel, e.g. 0.5")->check(above_zero);
  add("--magnification", arguments.magnification, "The same: 20 is 0.5 microns a pixel")
      ->check(above_zero)
      ->excludes(app.get_option("--mpp"));
  add("--level", options.level, "Take the pixels of this level, whatever they measure [0]")
      ->check(CLI::NonNegativeNumber);
  add("--slide-mpp", options.slide_mpp, "Microns a pixel of slides that do not say")
      ->check(above_zero);
  add("--tissue-threshold", options.tissue.threshold,
      "Saturation that tissue exceeds, 0 .. 254; -1: Otsu's, slide by slide")
      ->capture_default_str();
  add("--foreground", options.tissue.foreground, "Least share of tissue in a tile; 0 keeps all")
      ->capture_default_str();
  add("--specks", options.tissue.specks, "Tissue smaller than so many tiles is left out")
      ->capture_default_str();
  add("--holes", options.tissue.holes, "Holes in tissue smaller than so many tiles are filled")
      ->capture_default_str();
  add("--coords", options.coordinates,
      "Keep the tiles that CLAM's or TRIDENT's files in this folder name: ID.h5 or ID_patches.h5")
      ->check(CLI::ExistingDirectory);
}

}  // namespace

void add_ingest(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  app.footer(kHelp);
  app.add_option("SOURCE", arguments->source,
                 "A folder, a CSV, or one picture, slide or file of features")
      ->required();
  app.add_option("STORE", arguments->store, "The store's folder; made when it is not there")
      ->required();
  app.add_option("--labels", arguments->labels,
                 "A CSV (id, slide_id or path; a column a task) in place of the folders' names");
  app.add_option("--split", arguments->split,
                 "A CSV (id, split or fold; CLAM's, TransMIL's) for the splits");
  app.add_option("--codec", arguments->codec, "keep (the sources' bytes as they are), jpeg or png")
      ->check(CLI::IsMember({"keep", "jpeg", "png"}))
      ->capture_default_str();
  app.add_option("--quality", arguments->options.quality, "Of --codec jpeg, 1 .. 100")
      ->capture_default_str();
  app.add_option("--longest", arguments->options.longest,
                 "Shrink pictures to this longest side, pixels; needs --codec jpeg or png");
  app.add_flag_callback(
      "--grey", [arguments] { arguments->options.channels = 1; },
      "Grey pictures (1 channel); colours are converted with --codec jpeg or png");
  app.add_option("--shard-size", arguments->options.shard_bytes, "Bytes a shard, e.g. 4GB")
      ->transform(CLI::AsSizeValue(true))
      ->default_str("4GB");
  app.add_option("--jobs", arguments->options.jobs, "Threads; 0: one a core")
      ->capture_default_str();
  app.add_flag("--resume", arguments->resume,
               "Only go on with a STORE that is there (going on is what happens anyway)");
  app.add_flag("--strict", arguments->strict, "End with 65 when a picture could not be used");
  app.add_option("--kind", arguments->kind, "images, tiles (of slides) or features")
      ->check(CLI::IsMember({"images", "tiles", "features"}))
      ->capture_default_str();
  app.add_flag("--reference", arguments->reference, "Comes later");
  add_slide_options(app, *arguments);
  app.callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace dbps::launcher
