// f16 and bf16 against the definition of the formats: every value of 16 bits, and the midpoints
// between neighbours.
#include "native/core/float_types.h"

#include <bit>
#include <cmath>
#include <vector>

#include "native/core/float_arrays.h"
#include "tests/native/check.h"

namespace irodori::test {
namespace {

// What 16 bits with that many mantissa bits mean, by the definition.
double Meaning(uint16_t bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

struct Format {
  int mantissa_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
  uint16_t (*narrow_double)(double);
};
constexpr Format kFormats[] = {{10, FloatFromF16, F16FromFloat, F16FromDouble},
                               {7, FloatFromBF16, BF16FromFloat, BF16FromDouble}};

TEST(FloatTypesRoundTrip) {
  for (const Format& format : kFormats) {
    int wrong = 0;
    for (uint32_t i = 0; i <= 0xffff; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const double want = Meaning(bits, format.mantissa_bits);
      const float wide = format.widen(bits);
      if (std::isnan(want)) {
        wrong += !std::isnan(wide) || !std::isnan(format.widen(format.narrow(wide))) ||
                 !std::isnan(format.widen(format.narrow_double(wide)));
      } else {
        wrong += wide != want || std::signbit(wide) != std::signbit(want) ||
                 format.narrow(wide) != bits || format.narrow_double(wide) != bits;
      }
    }
    if (wrong != 0)
      Fail(__FILE__, __LINE__, Message(format.mantissa_bits, " mantissa bits: ", wrong, " wrong"));
  }
}

TEST(FloatTypesRoundToNearestEven) {
  for (const Format& format : kFormats) {
    const auto largest =
        static_cast<uint16_t>(((0x7fff >> format.mantissa_bits) << format.mantissa_bits) - 1);
    int wrong = 0;
    for (uint16_t low = 0; low <= largest; ++low) {
      // Beyond the largest finite value the next step up would be one more like the last.
      const double below = Meaning(low, format.mantissa_bits);
      const double above =
          low == largest ? 2 * below - Meaning(static_cast<uint16_t>(low - 1), format.mantissa_bits)
                         : Meaning(static_cast<uint16_t>(low + 1), format.mantissa_bits);
      const double middle = (below + above) / 2;
      const auto even = static_cast<uint16_t>(low + (low & 1));
      const auto high = static_cast<uint16_t>(low + 1);
      // A hair beside the middle is invisible to float, which is why doubles must not go through
      // it.
      wrong += format.narrow_double(middle) != even ||
               format.narrow_double(std::nextafter(middle, INFINITY)) != high ||
               format.narrow_double(std::nextafter(middle, 0)) != low;
      const auto single = static_cast<float>(middle);
      wrong += static_cast<double>(single) == middle && format.narrow(single) != even;
      wrong += format.narrow(-single) != (format.narrow(single) | 0x8000);
    }
    if (wrong != 0)
      Fail(__FILE__, __LINE__, Message(format.mantissa_bits, " mantissa bits: ", wrong, " wrong"));
  }
}

// The loops over arrays give the bits of the functions of one value.
TEST(FloatArraysAgree) {
  std::vector<uint16_t> bits(0x10000);
  for (uint32_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(bits.size());
  int wrong = 0;
  const auto same = [](float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
  };
  FloatsFromF16(bits, wide.data());
  for (size_t i = 0; i < bits.size(); ++i) wrong += !same(wide[i], FloatFromF16(bits[i]));
  FloatsFromBF16(bits, wide.data());
  for (size_t i = 0; i < bits.size(); ++i) wrong += !same(wide[i], FloatFromBF16(bits[i]));
  // Around every bf16: ties, neighbours and NaNs of all kinds.
  std::vector<float> values;
  for (uint32_t i = 0; i <= 0xffff; ++i) {
    for (const uint32_t low : {0x0000U, 0x0001U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU})
      values.push_back(std::bit_cast<float>(i << 16 | low));
  }
  values.push_back(1);  // an odd number of them
  std::vector<uint16_t> narrow(values.size() + 1);
  BF16FromFloats(values, narrow.data());
  for (size_t i = 0; i < values.size(); ++i) wrong += narrow[i] != BF16FromFloat(values[i]);
  std::vector<uint32_t> pairs(values.size() / 2 + 1);
  BF16PairsFromFloats(values, pairs.data());
  narrow.back() = 0;
  for (size_t i = 0; i < pairs.size(); ++i)
    wrong += pairs[i] != (narrow[2 * i] | uint32_t{narrow[2 * i + 1]} << 16);
  F16FromFloats(values, narrow.data());
  for (size_t i = 0; i < values.size(); ++i) wrong += narrow[i] != F16FromFloat(values[i]);
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace irodori::test
