// HDF5's C API with errors as exceptions and identifiers that close themselves. Only shard.cpp uses
// it.
#pragma once

#include <hdf5.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace dbps::store {

// A failed call, with HDF5's own words. Callers turn it into a DataError or RuntimeFault that names
// the shard.
class Hdf5Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] void throw_hdf5_error(const char* call);

template <typename Result>
Result checked_hdf5(Result result, const char* call) {
  if (result < 0) throw_hdf5_error(call);
  return result;
}

// Closes an identifier with the function that belongs to its kind.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// HDF5 prints its error stack unless it is told otherwise, a thread at a time.
class QuietErrors {
 public:
  QuietErrors();
  ~QuietErrors();
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

}  // namespace dbps::store

// The value of a call to HDF5, or Hdf5Error when it is negative.
#define DBPS_HDF5(call) ::dbps::store::checked_hdf5((call), #call)
