// Winograd's transforms of one axis, for one kernel family: B' of a tile's input, G of its taps, A'
// of its products.
//
// B' holds the coefficients of the polynomials that vanish in all points but one, G and A' the
// powers of the points, G divided by the distances between them (Toom and Cook).
#pragma once

#include "native/cpu/gemm/winograd.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

// F(kTile, kTaps): kTile outputs of kTile + kTaps - 1 inputs. `d` in place, `g` to `u`, `p` to `y`.
template <int kTile, int kTaps>
struct Winograd;

// Points 0, 1, -1, infinity.
template <>
struct Winograd<2, 3> {
  IRODORI_INLINE void Input(F (&d)[4]) {
    const F d1 = d[1];
    d[0] = d[0] - d[2];
    d[1] = d1 + d[2];
    d[3] = d1 - d[3];
    d[2] = d[2] - d1;
  }
  IRODORI_INLINE void Weights(const F (&g)[3], F (&u)[4]) {
    const F even = Splat(0.5f) * (g[0] + g[2]), odd = Splat(0.5f) * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }
  IRODORI_INLINE void Output(const F (&p)[4], F (&y)[2]) {
    y[0] = p[0] + p[1] + p[2];
    y[1] = p[1] - p[2] - p[3];
  }
};

// Points 0, 1, infinity.
template <>
struct Winograd<2, 2> {
  IRODORI_INLINE void Input(F (&d)[3]) {
    d[0] = d[0] - d[1];
    d[2] = d[2] - d[1];
  }
  IRODORI_INLINE void Weights(const F (&g)[2], F (&u)[3]) {
    u[0] = g[0];
    u[1] = g[0] + g[1];
    u[2] = g[1];
  }
  IRODORI_INLINE void Output(const F (&p)[3], F (&y)[2]) {
    y[0] = p[0] + p[1];
    y[1] = p[1] + p[2];
  }
};

// Points 0, a, -a, b, -b, infinity: even and odd parts of a pair of points are shared.
template <>
struct Winograd<4, 3> {
  static constexpr float kA = kWinogradNear, kB = kWinogradFar;
  static constexpr float kA2 = kA * kA, kB2 = kB * kB;
  // One over the product of a point's distances from the others.
  static constexpr float kZero = 1 / (kA2 * kB2);
  static constexpr float kNear = 1 / (2 * kA2 * (kA2 - kB2));
  static constexpr float kFar = 1 / (2 * kB2 * (kB2 - kA2));

  IRODORI_INLINE void Input(F (&d)[6]) {
    const F first = Fma(Splat(-(kA2 + kB2)), d[2], Fma(Splat(kA2 * kB2), d[0], d[4]));
    const F last = Fma(Splat(-(kA2 + kB2)), d[3], Fma(Splat(kA2 * kB2), d[1], d[5]));
    const F even_a = Fma(Splat(-kB2), d[2], d[4]);
    const F even_b = Fma(Splat(-kA2), d[2], d[4]);
    const F odd_a = Splat(kA) * Fma(Splat(-kB2), d[1], d[3]);
    const F odd_b = Splat(kB) * Fma(Splat(-kA2), d[1], d[3]);
    d[0] = first;
    d[1] = even_a + odd_a;
    d[2] = even_a - odd_a;
    d[3] = even_b + odd_b;
    d[4] = even_b - odd_b;
    d[5] = last;
  }
  IRODORI_INLINE void Weights(const F (&g)[3], F (&u)[6]) {
    const F even_a = Splat(kNear) * Fma(Splat(kA2), g[2], g[0]);
    const F even_b = Splat(kFar) * Fma(Splat(kB2), g[2], g[0]);
    const F odd_a = Splat(kNear * kA) * g[1];
    const F odd_b = Splat(kFar * kB) * g[1];
    u[0] = Splat(kZero) * g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
  IRODORI_INLINE void Output(const F (&p)[6], F (&y)[4]) {
    const F even_a = p[1] + p[2], odd_a = p[1] - p[2];
    const F even_b = p[3] + p[4], odd_b = p[3] - p[4];
    y[0] = p[0] + even_a + even_b;
    y[1] = Fma(Splat(kB), odd_b, Splat(kA) * odd_a);
    y[2] = Fma(Splat(kB2), even_b, Splat(kA2) * even_a);
    y[3] = Fma(Splat(kB2 * kB), odd_b, Fma(Splat(kA2 * kA), odd_a, p[5]));
  }
};

}  // namespace irodori::cpu::IRODORI_FAMILY
