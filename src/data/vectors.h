// Bags of feature vectors as batches: no resize, no grid, no augmentation; a vector's place is its
// number in the bag.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "store/vectors.h"

namespace dbps::data {

// All but the vectors. A function of seed, epoch, picture and occurrence, as plan_cut() is.
HostBag plan_vectors(const Dataset& dataset, int64_t picture, const LoaderOptions& options,
                     int64_t occurrence);

// Room for the kept vectors of this rank's part of `bags`.
HostBatch make_vector_batch(std::vector<HostBag> bags, int64_t width, bool pin_memory,
                            const BagShare& share = {});

// Reads this rank's own of the kept vectors of the batch's bag `slot`, and no others, to their
// place; `bag` is its first part in the store. Any thread. Returns the bytes read. Throws DataError
// for a damaged vector.
int64_t read_vectors(const store::Reader& store, int64_t bag, HostBatch& batch, int64_t slot);

// A whole bag of a store as evaluation sees it, by its first part.
HostBatch vector_batch(const store::Reader& store, int64_t bag);
// The same for float32 vectors that are in no store.
HostBatch vector_batch(const std::string& id, const store::Vectors& vectors, int64_t width);

}  // namespace dbps::data
