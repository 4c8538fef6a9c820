// A weights file opened for reading byte ranges: positioned reads, so that a file truncated
// meanwhile is an error and never a signal, and pages of large reads given back to the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "native/core/abort.h"
#include "native/core/program.h"
#include "native/core/scratch.h"
#include "native/core/status.h"

namespace irodori {

class SourceFile {
 public:
  // kMissingFile when there is none, kIo when it cannot be read or is not a regular file.
  static Result<std::shared_ptr<const SourceFile>> Open(const std::string& path);
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;
  ~SourceFile();

  const std::string& path() const { return path_; }
  // When it was opened.
  int64_t size_bytes() const { return size_bytes_; }

  // Fills `out` with the bytes from `begin` on. kInvalidSafetensors when the file ends before, kIo
  // when reading fails. Thread-safe.
  Status Read(int64_t begin, std::span<std::byte> out) const;
  // Fills `out` with the values of that type from `begin` on, widened to float32. f32, f16 and bf16
  // only; other types are kUnsupportedFormat. `abort` is looked at every kAbortBytes.
  Status ReadFloats(int64_t begin, DType dtype, std::span<float> out,
                    AbortFlag abort = nullptr) const;
  // The same for part of a tensor: pages are kept until DropPages. Throws bad_alloc.
  Status ReadFloats(int64_t begin, DType dtype, std::span<float> out, Scratch& scratch,
                    AbortFlag abort) const;
  // Advice that a range is read next, and that its pages are not needed any more: the page cache
  // must not hold every weight a second time. Small ranges share pages with their neighbours.
  void Announce(int64_t begin, int64_t size) const;
  void DropPages(int64_t begin, int64_t size) const;

 private:
  SourceFile(int descriptor, std::string path, int64_t size_bytes)
      : descriptor_(descriptor), path_(std::move(path)), size_bytes_(size_bytes) {}
  Status ReadExactly(int64_t begin, std::span<std::byte> out) const;

  int descriptor_;
  std::string path_;
  int64_t size_bytes_;
};

}  // namespace irodori
