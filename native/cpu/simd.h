// Vectors of one kernel family: loads, stores, FMA and storage conversions over GCC/clang vector
// extensions.
//
// Included only by family files (`*_portable.cc`, `*_avx2.cc`, ...), which define IRODORI_FAMILY
// (the namespace) and IRODORI_LANES (floats per vector) first. Everything is static and lives in
// the family's namespace, so code made for one instruction set can never be linked into another;
// for the same reason no standard library template is used here.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "native/core/rounding.h"

#if !defined(IRODORI_FAMILY) || !defined(IRODORI_LANES)
#error "define IRODORI_FAMILY and IRODORI_LANES before including native/cpu/simd.h"
#endif

#define IRODORI_INLINE static inline __attribute__((always_inline))

namespace irodori::cpu::IRODORI_FAMILY {

inline constexpr int kLanes = IRODORI_LANES;

typedef float F __attribute__((vector_size(4 * IRODORI_LANES)));
typedef int32_t I __attribute__((vector_size(4 * IRODORI_LANES)));
typedef uint32_t U __attribute__((vector_size(4 * IRODORI_LANES)));
typedef uint16_t H __attribute__((vector_size(2 * IRODORI_LANES)));

// Storage types of two bytes.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};
// Integers of weights, in fours of k (gemm/int8.h).
struct Int8 {
  int8_t value;
};

IRODORI_INLINE int64_t MinOf(int64_t a, int64_t b) { return a < b ? a : b; }
IRODORI_INLINE int64_t MaxOf(int64_t a, int64_t b) { return a > b ? a : b; }

IRODORI_INLINE F Splat(float x) { return x - F{}; }
IRODORI_INLINE F AsF(I x) { return (F)x; }
IRODORI_INLINE I AsI(F x) { return (I)x; }
IRODORI_INLINE F Abs(F x) { return (F)((I)x & 0x7fffffff); }
IRODORI_INLINE F CopySign(F magnitude, F sign) {
  return (F)(((I)magnitude & 0x7fffffff) | ((I)sign & (I)((U)(I{}) + 0x80000000u)));
}
// The second where one is a NaN: in this form one instruction, but for GCC 12 and AVX-512.
#if defined(__AVX512F__) && IRODORI_LANES == 16
IRODORI_INLINE F Smaller(F a, F b) { return (F)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
IRODORI_INLINE F Larger(F a, F b) { return (F)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
IRODORI_INLINE I Smaller(I a, I b) {
  return (I)_mm512_maskz_min_epi32(0xffff, (__m512i)a, (__m512i)b);
}
IRODORI_INLINE I Larger(I a, I b) {
  return (I)_mm512_maskz_max_epi32(0xffff, (__m512i)a, (__m512i)b);
}
#else
IRODORI_INLINE F Smaller(F a, F b) { return a < b ? a : b; }
IRODORI_INLINE F Larger(F a, F b) { return a > b ? a : b; }
IRODORI_INLINE I Smaller(I a, I b) { return a < b ? a : b; }
IRODORI_INLINE I Larger(I a, I b) { return a > b ? a : b; }
#endif
// Keep a NaN in the first argument.
IRODORI_INLINE F AtMost(F x, F bound) { return Smaller(bound, x); }
IRODORI_INLINE F AtLeast(F x, F bound) { return Larger(bound, x); }

// a b + c, rounded once where the family has FMA; in `portable` rounded twice.
IRODORI_INLINE F Fma(F a, F b, F c) {
#if defined(__AVX512F__) && IRODORI_LANES == 16
  return (F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && IRODORI_LANES == 8
  return (F)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__FMA__) && IRODORI_LANES == 16
  union Halves {
    F whole;
    __m256 half[2];
  };
  Halves x{a}, y{b}, z{c}, r;
  r.half[0] = _mm256_fmadd_ps(x.half[0], y.half[0], z.half[0]);
  r.half[1] = _mm256_fmadd_ps(x.half[1], y.half[1], z.half[1]);
  return r.whole;
#else
  return a * b + c;
#endif
}

// Nearest integer, ties to even, for |x| < 2^22.
IRODORI_INLINE F Round(F x) {
  const F magic = Splat(12582912.0f);
  return (x + magic) - magic;
}

// Lane i is lane (i + Shift) % kLanes of x.
template <int Shift, typename V>
IRODORI_INLINE V Rotated(V x) {
  I lanes{};
  for (int i = 0; i < kLanes; ++i) lanes[i] = (i + Shift) % kLanes;
  return __builtin_shuffle(x, lanes);
}

// Sum and maximum of the lanes, in a fixed tree order: of halves, quarters, ...
template <int Width = kLanes / 2>
IRODORI_INLINE float ReduceSum(F x) {
  if constexpr (Width == 0) {
    return x[0];
  } else {
    return ReduceSum<Width / 2>(x + Rotated<Width>(x));
  }
}
template <int Width = kLanes / 2, typename V>
IRODORI_INLINE auto ReduceMax(V x) {
  if constexpr (Width == 0) {
    return x[0];
  } else {
    return ReduceMax<Width / 2>(Larger(Rotated<Width>(x), x));
  }
}

// Lanes of 16 bits in 32, and those below 2^16 in 16 again. Written out: GCC 12 does halves of a
// vector, or one lane after another.
IRODORI_INLINE U Widened(H h) {
#if defined(__AVX512F__) && IRODORI_LANES == 16
  return (U)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)h);
#else
  return __builtin_convertvector(h, U);
#endif
}

IRODORI_INLINE H LowHalves(U x) {
#if defined(__AVX512F__) && IRODORI_LANES == 16
  return (H)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)x);
#elif defined(__AVX2__) && IRODORI_LANES == 8
  const __m256i twice = _mm256_packus_epi32((__m256i)x, (__m256i)x);
  return (H)_mm256_castsi256_si128(_mm256_permute4x64_epi64(twice, 0x08));
#else
  return __builtin_convertvector(x, H);
#endif
}

IRODORI_INLINE F WidenBf16(H h) { return (F)(Widened(h) << 16); }

// Round to nearest even; a NaN stays a (quiet) NaN. The instruction takes subnormals for zero.
IRODORI_INLINE H NarrowBf16(F x) {
#if defined(__AVX512BF16__) && IRODORI_LANES == 16
  return (H)_mm512_cvtneps_pbh((__m512)x);
#else
  const U u = (U)x;
  const U rounded = (u + (((u >> 16) & 1u) + 0x7fffu)) >> 16;
  const U quiet = (u >> 16) | 0x40u;
  return LowHalves((U)(x != x ? (I)quiet : (I)rounded));
#endif
}

IRODORI_INLINE F WidenF16(H h) {
#if defined(__AVX512F__) && IRODORI_LANES == 16
  // The form with a zero mask: GCC 12 warns about its own header in the plain one.
  return (F)_mm512_maskz_cvtph_ps(0xffff, (__m256i)h);
#elif defined(__F16C__) && IRODORI_LANES == 8
  return (F)_mm256_cvtph_ps((__m128i)h);
#else
  // The exponent moves from 5 to 8 bits by a multiplication with 2^112, which also puts subnormals
  // right.
  const U u = Widened(h);
  const U magnitude = (u & 0x7fffu) << 13;
  const F scaled = (F)magnitude * Splat(0x1p112f);
  const I special = (I)(magnitude) >= (I)((U)(I{}) + (0x7c00u << 13));
  const U bits = (U)(special ? (I)(magnitude | 0x7f800000u) : (I)scaled);
  return (F)(bits | ((u & 0x8000u) << 16));
#endif
}

IRODORI_INLINE H NarrowF16(F x) {
#if defined(__AVX512F__) && IRODORI_LANES == 16
  return (H)_mm512_maskz_cvtps_ph(0xffff, (__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__F16C__) && IRODORI_LANES == 8
  return (H)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
#else
  const U u = (U)x;
  const U sign = (u >> 16) & 0x8000u;
  const U magnitude = u & 0x7fffffffu;
  // Normal results: rebias and round in integers; a carry walks into the exponent as it should.
  const U normal = (magnitude + (((magnitude >> 13) & 1u) + 0xc8000fffu)) >> 13;
  // Subnormal results: adding 0.5 leaves the rounded value in the low bits of the sum.
  const U subnormal = (U)((F)magnitude + Splat(0.5f)) - 0x3f000000u;
  I result = (I)magnitude < (I)((U)(I{}) + 0x38800000u) ? (I)subnormal : (I)normal;
  result = (I)magnitude >= (I)((U)(I{}) + 0x47800000u) ? (I{} + 0x7c00) : result;
  result = (I)magnitude > (I)((U)(I{}) + 0x7f800000u) ? (I)(((magnitude >> 13) & 0x3ffu) | 0x7e00u)
                                                      : result;
  return __builtin_convertvector((U)result | sign, H);
#endif
}

// Vectors from and to memory of any alignment.
IRODORI_INLINE F Load(const float* p) {
  F v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
IRODORI_INLINE F Load(const Bf16* p) {
  H h;
  __builtin_memcpy(&h, p, sizeof(h));
  return WidenBf16(h);
}
IRODORI_INLINE F Load(const F16* p) {
  H h;
  __builtin_memcpy(&h, p, sizeof(h));
  return WidenF16(h);
}
IRODORI_INLINE void Store(float* p, F v) { __builtin_memcpy(p, &v, sizeof(v)); }
IRODORI_INLINE void Store(Bf16* p, F v) {
  const H h = NarrowBf16(v);
  __builtin_memcpy(p, &h, sizeof(h));
}
IRODORI_INLINE void Store(F16* p, F v) {
  const H h = NarrowF16(v);
  __builtin_memcpy(p, &h, sizeof(h));
}

// Term k of a panel [K / 4][kLanes][4] as whole numbers.
IRODORI_INLINE F TermOf(const Int8* panel, int64_t k) {
  U fours;
  __builtin_memcpy(&fours, panel + k / 4 * 4 * kLanes, sizeof(fours));
  return __builtin_convertvector((I)(fours << static_cast<int>(24 - k % 4 * 8)) >> 24, F);
}

// The first `count` lanes (0 < count < kLanes); the others are zero, respectively left alone in
// memory.
template <typename T>
IRODORI_INLINE F LoadFirst(const T* p, int64_t count) {
  T lanes[kLanes] = {};
  __builtin_memcpy(lanes, p, static_cast<size_t>(count) * sizeof(T));
  return Load(lanes);
}
template <typename T>
IRODORI_INLINE void StoreFirst(T* p, F v, int64_t count) {
  T lanes[kLanes];
  Store(lanes, v);
  __builtin_memcpy(p, lanes, static_cast<size_t>(count) * sizeof(T));
}
// With masks where there are: a call of memcpy takes as long as sixty lanes.
#if defined(__AVX512BW__) && defined(__AVX512VL__) && IRODORI_LANES == 16
IRODORI_INLINE __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1);
}
IRODORI_INLINE H LoadFirstBits(const void* p, int64_t count) {
  return (H)_mm256_maskz_loadu_epi16(FirstLanes(count), p);
}
IRODORI_INLINE F LoadFirst(const float* p, int64_t count) {
  return (F)_mm512_maskz_loadu_ps(FirstLanes(count), p);
}
IRODORI_INLINE F LoadFirst(const Bf16* p, int64_t count) {
  return WidenBf16(LoadFirstBits(p, count));
}
IRODORI_INLINE F LoadFirst(const F16* p, int64_t count) {
  return WidenF16(LoadFirstBits(p, count));
}
IRODORI_INLINE void StoreFirst(float* p, F v, int64_t count) {
  _mm512_mask_storeu_ps(p, FirstLanes(count), (__m512)v);
}
IRODORI_INLINE void StoreFirst(Bf16* p, F v, int64_t count) {
  _mm256_mask_storeu_epi16(p, FirstLanes(count), (__m256i)NarrowBf16(v));
}
IRODORI_INLINE void StoreFirst(F16* p, F v, int64_t count) {
  _mm256_mask_storeu_epi16(p, FirstLanes(count), (__m256i)NarrowF16(v));
}
#elif defined(__AVX2__) && IRODORI_LANES == 8
IRODORI_INLINE __m256i FirstLanes(int64_t count) {
  return (__m256i)(I{0, 1, 2, 3, 4, 5, 6, 7} < I{} + static_cast<int32_t>(count));
}
IRODORI_INLINE F LoadFirst(const float* p, int64_t count) {
  return (F)_mm256_maskload_ps(p, FirstLanes(count));
}
IRODORI_INLINE void StoreFirst(float* p, F v, int64_t count) {
  _mm256_maskstore_ps(p, FirstLanes(count), (__m256)v);
}
#endif

}  // namespace irodori::cpu::IRODORI_FAMILY
