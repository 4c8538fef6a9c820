// The AMX tile unit: eight tiles of 16 rows of 64 bytes, and products of tiles of bf16 and int8;
// and the same interface over vectors of AVX-512 BF16.
//
//   C[m][n] += sum over pairs p: A[m][2p] B[p][2n] + A[m][2p + 1] B[p][2n + 1]        m, n, p < 16
//
// C is float32 [16, 16], A is bf16 [16, 32] row-major, B is bf16 [16 pairs, 16, 2]. Of int8, signed
// both, likewise with fours in place of pairs and C int32: TDPBSSD, whose sums wrap around.
//
// Natively this is inline assembly (tile numbers are part of an instruction). In the emulated build
// the same interface is plain C++ that rounds as the manual describes TDPBF16PS: even and odd
// products are summed in two chains of FMAs over the pairs, the two sums are added, that sum is
// added to C; subnormals are zero on the way in and out.
//
// With IRODORI_VECTOR_TILES the unit is VDPBF16PS (AVX-512 BF16): odd products are added to C, then
// even ones, each by an FMA that takes subnormals for zero. Tiles 0 .. 3 are for C and lie in L1;
// the others are operands, and are read where they were loaded from, when they are multiplied.
#pragma once

#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

#if defined(IRODORI_VECTOR_TILES)

class TileUnit {
 public:
  void Configure() {}
  void Release() {}

  template <int T>
  [[gnu::always_inline]] void Zero() {
    static_assert(T < kSums);
#pragma GCC unroll 16
    for (int row = 0; row < 16; ++row) sums_[T][row] = F{};
  }
  template <int T>
  [[gnu::always_inline]] void Load(const void* rows, int64_t stride_bytes) {
    const auto* from = static_cast<const std::byte*>(rows);
    if constexpr (T < kSums) {
#pragma GCC unroll 16
      for (int row = 0; row < 16; ++row)
        __builtin_memcpy(&sums_[T][row], from + row * stride_bytes, 64);
    } else {
      operands_[T - kSums] = {from, stride_bytes};
    }
  }
  template <int T>
  [[gnu::always_inline]] void Store(void* rows, int64_t stride_bytes) {
    static_assert(T < kSums);
#pragma GCC unroll 16
    for (int row = 0; row < 16; ++row) {
      __builtin_memcpy(static_cast<std::byte*>(rows) + row * stride_bytes, &sums_[T][row], 64);
    }
  }
  // Eight rows of C at a time: more chains than the six cycles that an instruction takes.
  template <int C, int A, int B>
  [[gnu::always_inline]] void DotProductBf16() {
    static_assert(C < kSums && A >= kSums && B >= kSums);
    constexpr int kChains = 8;
    const Operand a = operands_[A - kSums], b = operands_[B - kSums];
#pragma GCC unroll 2
    for (int row = 0; row < 16; row += kChains) {
      F sums[kChains];
#pragma GCC unroll 8
      for (int i = 0; i < kChains; ++i) sums[i] = sums_[C][row + i];
#pragma GCC unroll 16
      for (int pair = 0; pair < 16; ++pair) {
        F w;
        __builtin_memcpy(&w, b.rows + pair * b.stride, 64);
#pragma GCC unroll 8
        for (int i = 0; i < kChains; ++i) {
          sums[i] = Product(sums[i], w, Pair(a.rows + (row + i) * a.stride + pair * 4));
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < kChains; ++i) sums_[C][row + i] = sums[i];
    }
  }

  // The pair at x in every lane.
  IRODORI_INLINE F Pair(const std::byte* x) {
    uint32_t pair;
    __builtin_memcpy(&pair, x, 4);
    return (F)(U{} + pair);
  }
  // sum + the pairs of w with those of x.
  IRODORI_INLINE F Product(F sum, F w, F x) {
#ifndef IRODORI_EMULATED_UNITS
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
    return sum;
#else
    for (uint32_t shift = 0; shift <= 16; shift += 16) {  // the upper, odd halves first
      const F left = (F)((U)w << shift & 0xffff0000u), right = (F)((U)x << shift & 0xffff0000u);
      for (int i = 0; i < kLanes; ++i) {
        sum[i] = Flushed(__builtin_fmaf(Flushed(left[i]), Flushed(right[i]), Flushed(sum[i])));
      }
    }
    return sum;
#endif
  }

 private:
  static constexpr int kSums = 4;
  struct Operand {
    const std::byte* rows;
    int64_t stride;
  };
  static float Flushed(float x) { return __builtin_fabsf(x) < 0x1p-126f ? x * 0.0f : x; }

  F sums_[kSums][16];
  Operand operands_[4];
};

#elif !defined(IRODORI_EMULATED_UNITS)

class TileUnit {
 public:
  // All tiles 16 rows by 64 bytes. A thread configures before its first tile instruction of a
  // job...
  IRODORI_INLINE void Configure() {
    struct alignas(64) Palette {
      uint8_t palette = 1;
      uint8_t start_row = 0;
      uint8_t reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    const Palette palette;
    asm volatile("ldtilecfg %0" : : "m"(palette));
  }
  // ... and releases after its last, so that the kernel need not save eight KiB when it switches
  // threads.
  IRODORI_INLINE void Release() { asm volatile("tilerelease" ::: "memory"); }

  template <int T>
  IRODORI_INLINE void Zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(T));
  }
  template <int T>
  IRODORI_INLINE void Load(const void* rows, int64_t stride_bytes) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2"
                 :
                 : "r"(rows), "r"(stride_bytes), "i"(T)
                 : "memory");
  }
  template <int T>
  IRODORI_INLINE void Store(void* rows, int64_t stride_bytes) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)"
                 :
                 : "r"(rows), "r"(stride_bytes), "i"(T)
                 : "memory");
  }
  template <int C, int A, int B>
  IRODORI_INLINE void DotProductBf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }
  template <int C, int A, int B>
  IRODORI_INLINE void DotProductInt8() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }
};

#else

class TileUnit {
 public:
  void Configure() {
    for (auto& tile : tiles_) __builtin_memset(tile, 0, sizeof(tile));
  }
  void Release() {}

  template <int T>
  void Zero() {
    __builtin_memset(tiles_[T], 0, sizeof(tiles_[T]));
  }
  template <int T>
  void Load(const void* rows, int64_t stride_bytes) {
    for (int64_t row = 0; row < 16; ++row) {
      __builtin_memcpy(tiles_[T][row], static_cast<const std::byte*>(rows) + row * stride_bytes,
                       64);
    }
  }
  template <int T>
  void Store(void* rows, int64_t stride_bytes) {
    for (int64_t row = 0; row < 16; ++row) {
      __builtin_memcpy(static_cast<std::byte*>(rows) + row * stride_bytes, tiles_[T][row], 64);
    }
  }
  template <int C, int A, int B>
  void DotProductBf16() {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 16; ++n) {
        float even = 0, odd = 0;
        for (int pair = 0; pair < 16; ++pair) {
          even = Flushed(__builtin_fmaf(Half(A, m, 2 * pair), Half(B, pair, 2 * n), even));
          odd = Flushed(__builtin_fmaf(Half(A, m, 2 * pair + 1), Half(B, pair, 2 * n + 1), odd));
        }
        float c;
        __builtin_memcpy(&c, tiles_[C][m] + n * 4, 4);
        c = Flushed(Flushed(c) + Flushed(even + odd));
        __builtin_memcpy(tiles_[C][m] + n * 4, &c, 4);
      }
    }
  }
  template <int C, int A, int B>
  void DotProductInt8() {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 16; ++n) {
        uint32_t c;
        __builtin_memcpy(&c, tiles_[C][m] + n * 4, 4);
        for (int four = 0; four < 16; ++four) {
          for (int j = 0; j < 4; ++j) {
            c += static_cast<uint32_t>(Byte(A, m, 4 * four + j) * Byte(B, four, 4 * n + j));
          }
        }
        __builtin_memcpy(tiles_[C][m] + n * 4, &c, 4);
      }
    }
  }

 private:
  int32_t Byte(int tile, int row, int column) const {
    return static_cast<int8_t>(tiles_[tile][row][column]);
  }
  static float Flushed(float x) { return __builtin_fabsf(x) < 0x1p-126f ? x * 0.0f : x; }
  float Half(int tile, int row, int column) const {
    uint16_t half;
    __builtin_memcpy(&half, tiles_[tile][row] + column * 2, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return Flushed(x);
  }

  alignas(64) std::byte tiles_[8][16][64];
};

#endif

}  // namespace irodori::cpu::IRODORI_FAMILY
