// Where the values of a run are: the address of row r of every buffer of a Program, for backends in
// host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "native/core/backend.h"
#include "native/core/program.h"
#include "native/core/status.h"

namespace irodori {

// More rows than any run has; keeps rows · bytes far from overflow.
inline constexpr int64_t kMaxRows = 1 << 16;

// Bytes of arena that `rows` rows need; kOutOfMemory when the number itself is absurd.
Result<int64_t> RunArenaBytes(const Program& program, int64_t rows);

// Number of rows, number of bindings, and each binding's size, range and alignment. Buffers must be
// HostBuffers. Errors name port, row, expected and got.
Status CheckRunArgs(const Program& program, const RunArgs& args);

// One row of one buffer: `vectors` vectors of `columns` elements, `pitch` elements apart.
struct OperandRow {
  std::byte* data;
  DType dtype;
  int64_t vectors;
  int64_t columns;
  int64_t pitch;
  int64_t elements() const { return vectors * columns; }
  bool dense() const { return pitch == columns; }
};

// Resolved once per run; then addressing is one multiply-add. Lends everything it is made from.
class Operands {
 public:
  // `args` passed CheckRunArgs. `arena` has RunArenaBytes and is aligned to kHostAlignment (null
  // when that is 0). `params[i]` is the plain data of parameter i in its dtype, row-major; null
  // where the pack is not plain: asking for such a buffer's row gives null.
  Operands(const Program& program, const RunArgs& args, std::byte* arena,
           std::span<std::byte* const> params);

  int64_t rows() const { return rows_; }
  std::byte* Data(uint32_t buffer, int64_t row) const {
    const Place& place = places_[buffer];
    if (place.binding >= 0) return bindings_[place.binding + row] + place.offset;
    return place.base == nullptr ? nullptr : place.base + row * place.row_stride;
  }
  OperandRow Row(uint32_t buffer, int64_t row) const {
    const BufferSpec& spec = program_->buffers[buffer];
    return {Data(buffer, row), spec.dtype, spec.vectors(), spec.columns(), spec.pitch};
  }

 private:
  struct Place {
    std::byte* base = nullptr;  // arena and params: row 0 of this buffer
    int64_t row_stride = 0;     // bytes; 0 for params
    int64_t binding = -1;       // inputs and outputs: where row 0's pointer stands in bindings_
    int64_t offset = 0;         // bytes into that pointer, for views
  };

  const Program* program_;
  int64_t rows_;
  std::vector<Place> places_;
  std::vector<std::byte*> bindings_;  // inputs port-major, then outputs
};

// How an epilogue reads its operand beside element (m, n) of an output of M vectors of N columns:
// data[m · vector_step + n · column_step], counted in elements.
struct EpilogueAddress {
  std::byte* data;
  DType dtype;
  int64_t vector_step;
  int64_t column_step;
};

// A verified operand has M·N elements (the same element), N (per channel) or 1.
EpilogueAddress AddressEpilogue(const OperandRow& operand, int64_t vectors, int64_t columns);

// The keys that exist for one row of an attention step. `kv_length` is a one-element i32 or i64
// operand; a length outside [0, keys] is kInvalidArgument. Length 0 is allowed: attention over no
// keys gives zeros.
Result<int64_t> ReadKvLength(const OperandRow& kv_length, int64_t keys, const std::string& at);

// Element i of ids (i32 or i64); kInvalidArgument when it is outside [0, table_rows).
Result<int64_t> ReadId(const OperandRow& ids, int64_t i, int64_t table_rows, const std::string& at);

}  // namespace irodori
