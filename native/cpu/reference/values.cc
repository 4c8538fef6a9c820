// Widens and rounds elements of every storage type.
#include "native/cpu/reference/values.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "native/core/float_types.h"

namespace irodori::reference {
namespace {

template <typename T>
T Peek(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void Poke(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <typename T>
T Saturated(double value) {
  // The limit of int64 is no double; the double above it is, and is outside.
  if (value >= std::ldexp(1.0, std::numeric_limits<T>::digits))
    return std::numeric_limits<T>::max();
  if (value < static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  return static_cast<T>(value);
}

double LoadElement(const std::byte* at, DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Peek<float>(at);
    case DType::kF16:
      return FloatFromF16(Peek<uint16_t>(at));
    case DType::kBF16:
      return FloatFromBF16(Peek<uint16_t>(at));
    case DType::kI32:
      return Peek<int32_t>(at);
    case DType::kI64:
      return static_cast<double>(Peek<int64_t>(at));
    case DType::kU8:
      return Peek<uint8_t>(at);
    case DType::kI8:
    case DType::kI8Sums16:
      return Peek<int8_t>(at);
  }
  return 0;
}

void StoreElement(std::byte* at, DType dtype, double value) {
  switch (dtype) {
    case DType::kF32:
      return Poke(at, static_cast<float>(value));
    case DType::kF16:
      return Poke(at, F16FromDouble(value));
    case DType::kBF16:
      return Poke(at, BF16FromDouble(value));
    case DType::kI32:
      return Poke(at, Saturated<int32_t>(value));
    case DType::kI64:
      return Poke(at, Saturated<int64_t>(value));
    case DType::kU8:
      return Poke(at, Saturated<uint8_t>(value));
    case DType::kI8:
    case DType::kI8Sums16:
      return Poke(at, Saturated<int8_t>(value));
  }
}

}  // namespace

Values Load(const OperandRow& row, const Shape& shape) {
  Values values{shape, {}};
  values.data.reserve(static_cast<size_t>(row.elements()));
  const int64_t bytes = DTypeBytes(row.dtype);
  for (int64_t m = 0; m < row.vectors; ++m) {
    for (int64_t n = 0; n < row.columns; ++n) {
      values.data.push_back(LoadElement(row.data + (m * row.pitch + n) * bytes, row.dtype));
    }
  }
  return values;
}

void Store(const Values& values, const OperandRow& row) {
  const int64_t bytes = DTypeBytes(row.dtype);
  for (int64_t m = 0; m < row.vectors; ++m) {
    for (int64_t n = 0; n < row.columns; ++n) {
      StoreElement(row.data + (m * row.pitch + n) * bytes, row.dtype,
                   values.data[m * row.columns + n]);
    }
  }
}

Status Round(std::span<const float> values, DType dtype, std::byte* out, AbortFlag abort) {
  constexpr size_t kPiece = kAbortBytes / sizeof(float);
  const int64_t bytes = DTypeBytes(dtype);
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % kPiece == 0) IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    StoreElement(out + static_cast<int64_t>(i) * bytes, dtype, values[i]);
  }
  return Status::Ok();
}

}  // namespace irodori::reference
