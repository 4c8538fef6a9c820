// Positioned reads of weight files, and their widening to float32.
#include "native/core/source_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "native/core/float_arrays.h"
#include "native/core/message.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

// From this size on the file's pages are given back after reading; smaller reads share pages with
// their neighbours.
constexpr int64_t kDropBytes = 1 << 20;

Status SystemError(Code code, std::string_view path, std::string_view doing) {
  return {code, Message("file(", path, "): ", doing, ": ", std::strerror(errno))};
}

}  // namespace

Result<std::shared_ptr<const SourceFile>> SourceFile::Open(const std::string& path) {
  // O_NONBLOCK: a named pipe must not block us before fstat says that it is no regular file.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    return SystemError(missing ? Code::kMissingFile : Code::kIo, path, "open");
  }
  // From here on the descriptor has an owner.
  std::shared_ptr<SourceFile> file;
  try {
    file.reset(new SourceFile(descriptor, path, 0));
  } catch (const std::bad_alloc&) {
    close(descriptor);
    return Status(Code::kOutOfMemory, "file: expected memory to open it, got none");
  }
  struct stat facts;
  if (fstat(descriptor, &facts) != 0) return SystemError(Code::kIo, path, "stat");
  if (!S_ISREG(facts.st_mode)) {
    return Status(Code::kIo,
                  Message("file(", path, "): expected a regular file, got another kind"));
  }
  file->size_bytes_ = facts.st_size;
  return std::shared_ptr<const SourceFile>(std::move(file));
}

SourceFile::~SourceFile() { close(descriptor_); }

Status SourceFile::ReadExactly(int64_t begin, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = pread(descriptor_, out.data(), out.size(), begin);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(Code::kIo, path_, "read");
    if (got == 0) {
      return {Code::kInvalidSafetensors,
              Message("file(", path_, "): expected ", out.size(), " more bytes at ", begin,
                      ", got the end: the file is shorter than when it was opened (", size_bytes_,
                      " bytes)")};
    }
    begin += got;
    out = out.subspan(static_cast<size_t>(got));
  }
  return Status::Ok();
}

void SourceFile::Announce(int64_t begin, int64_t size) const {
#ifdef POSIX_FADV_WILLNEED
  if (size >= kDropBytes) (void)posix_fadvise(descriptor_, begin, size, POSIX_FADV_WILLNEED);
#else
  (void)begin, (void)size;
#endif
}

void SourceFile::DropPages(int64_t begin, int64_t size) const {
#ifdef POSIX_FADV_DONTNEED
  if (size >= kDropBytes) (void)posix_fadvise(descriptor_, begin, size, POSIX_FADV_DONTNEED);
#else
  (void)begin, (void)size;
#endif
}

Status SourceFile::Read(int64_t begin, std::span<std::byte> out) const {
  IRODORI_RETURN_IF_ERROR(ReadExactly(begin, out));
  DropPages(begin, static_cast<int64_t>(out.size()));
  return Status::Ok();
}

Status SourceFile::ReadFloats(int64_t begin, DType dtype, std::span<float> out,
                              AbortFlag abort) const {
  try {
    Scratch scratch;
    IRODORI_RETURN_IF_ERROR(ReadFloats(begin, dtype, out, scratch, abort));
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory,
            Message("file(", path_, "): expected memory to widen values, got none")};
  }
  DropPages(begin, static_cast<int64_t>(out.size()) * DTypeBytes(dtype));
  return Status::Ok();
}

Status SourceFile::ReadFloats(int64_t begin, DType dtype, std::span<float> out, Scratch& scratch,
                              AbortFlag abort) const {
  if (!IsFloat(dtype)) {
    return {Code::kUnsupportedFormat,
            Message("file(", path_, "): expected f32, f16 or bf16 values at ", begin, ", got ",
                    DTypeText(dtype))};
  }
  const bool narrow = dtype != DType::kF32;
  const auto element_bytes = static_cast<size_t>(DTypeBytes(dtype));
  const size_t most = std::min(out.size(), static_cast<size_t>(kAbortBytes) / element_bytes);
  Scratch::Loan<uint16_t> staging(scratch, narrow ? static_cast<int64_t>(most) : 0);
  for (size_t done = 0; done < out.size();) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    const std::span<float> piece = out.subspan(done, std::min(most, out.size() - done));
    const int64_t at = begin + static_cast<int64_t>(done * element_bytes);
    if (narrow) {
      const std::span<uint16_t> bits = staging.values().first(piece.size());
      IRODORI_RETURN_IF_ERROR(ReadExactly(at, std::as_writable_bytes(bits)));
      if (dtype == DType::kF16) {
        FloatsFromF16(bits, piece.data());
      } else {
        FloatsFromBF16(bits, piece.data());
      }
    } else {
      IRODORI_RETURN_IF_ERROR(ReadExactly(at, std::as_writable_bytes(piece)));
    }
    done += piece.size();
  }
  return Status::Ok();
}

}  // namespace irodori
