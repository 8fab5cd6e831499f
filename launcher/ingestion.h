// What the verbs that fill a store share: the work over the ranks, and what is said of it.
#pragma once

#include <optional>
#include <string>

#include "ingest/ingest.h"
#include "launcher/verb.h"

namespace dbps::launcher {

// Every rank makes its part; the first one has the summary. Collective.
std::optional<ingest::Summary> make_parts(ingest::Ingestion& ingestion, distributed::World* world);

struct Filled {
  std::string source;  // as given
  std::string store;
  std::string thing;  // "slide": what a bag was made from
  bool strict = false;
};

// Prints the summary, as JSON where asked. Throws DataError when nothing is in the store, or with
// `strict` when something failed.
void tell(const ingest::Summary& summary, const ingest::SourceList& sources, const Filled& filled,
          const Context& context);

}  // namespace dbps::launcher
