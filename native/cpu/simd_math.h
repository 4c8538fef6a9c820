// Vector exp, tanh, erf and logistic functions of one kernel family.
//
// Polynomials are minimax fits (Lawson's iteration on 2001 Chebyshev nodes in float64, coefficients
// then rounded to float32). Largest errors against float64 over the whole range, checked in
// tests/native/cpu_math_test.cc: Exp 1.5 ulp, Exp2 2 ulp, Tanh 2.5 ulp, Erf 2 ulp, Logistic 3 ulp;
// one more where the family has no FMA.
#pragma once

#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

// e^x = 2^n e^r with n = round(x / ln 2), r = x - n ln 2 (ln 2 in two parts) and e^r = 1 + r + r^2
// P(r). 0 below -104, infinite above 88.73; a NaN stays.
IRODORI_INLINE F Exp(F x) {
  x = AtLeast(AtMost(x, Splat(89.0f)), Splat(-104.0f));
  const F n = Round(x * Splat(1.44269504f));
  F r = Fma(n, Splat(-0.693359375f), x);
  r = Fma(n, Splat(2.12194440e-4f), r);
  F p = Fma(Splat(0x1.6a1a72p-10f), r, Splat(0x1.123fc6p-7f));
  p = Fma(p, r, Splat(0x1.555916p-5f));
  p = Fma(p, r, Splat(0x1.55548ap-3f));
  p = Fma(p, r, Splat(0x1.fffffcp-2f));
  const F e = Fma(p, r * r, r) + Splat(1.0f);
#if defined(__AVX512F__) && IRODORI_LANES == 16
  return (F)_mm512_maskz_scalef_ps(0xffff, (__m512)e, (__m512)n);
#else
  // 2^n in two factors, so that neither leaves the normal range and the last product rounds into
  // the subnormals.
  const I whole = __builtin_convertvector(n, I);
  const I half = whole >> 1;
  const F low = (F)((half + 127) << 23);
  const F high = (F)((whole - half + 127) << 23);
  return e * low * high;
#endif
}

// N vectors to 2^x, for x up to 127: n = round(x), r = x - n and 2^r = 1 + r P(r), P of the given
// coefficients, the highest first. 1 at 0, 0 below -126.5 (subnormal factors would be slow); a NaN
// stays. Four operations and one for each coefficient with AVX-512; else six: the exponent comes
// out of the addition that rounds. In step, because a vector alone waits for its own chain.
template <int N, int Terms>
IRODORI_INLINE void Exp2Of(F (&x)[N], const float (&coefficients)[Terms]) {
  F r[N], p[N];
#if defined(__AVX512DQ__) && IRODORI_LANES == 16
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) r[i] = (F)_mm512_maskz_reduce_ps(0xffff, (__m512)x[i], 0);
#else
  const F magic = Splat(0x1.8p23f + 127);
  F n[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) x[i] = AtLeast(x[i], Splat(-127.0f));
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) n[i] = x[i] + magic;
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) p[i] = n[i] - magic;
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) r[i] = x[i] - p[i];
#endif
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) p[i] = Splat(coefficients[0]);
#pragma GCC unroll 8
  for (int term = 1; term < Terms; ++term) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) p[i] = Fma(p[i], r[i], Splat(coefficients[term]));
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) p[i] = Fma(p[i], r[i], Splat(1.0f));
#if defined(__AVX512DQ__) && IRODORI_LANES == 16
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    const __mmask16 kept = _mm512_cmp_ps_mask((__m512)x[i], (__m512)Splat(-126.5f), _CMP_NLT_UQ);
    x[i] = (F)_mm512_maskz_scalef_ps(kept, (__m512)p[i], (__m512)(x[i] - r[i]));
  }
#else
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) x[i] = p[i] * (F)((I)n[i] << 23);
#endif
}

template <int N>
IRODORI_INLINE void Exp2(F (&x)[N]) {
  Exp2Of(x, {0x1.5bda40p-10f, 0x1.3ce8acp-7f, 0x1.c6b6d8p-5f, 0x1.ebf9c2p-3f, 0x1.62e42ap-1f});
}

// To a relative error of 1.02e-4, for what is rounded to bfloat16 then: a twentieth of what that
// adds.
template <int N>
IRODORI_INLINE void Exp2ForBf16(F (&x)[N]) {
  Exp2Of(x, {0x1.c2a218p-5f, 0x1.f00c4cp-3f, 0x1.62f5fap-1f});
}

// x + x^3 P(x^2) below 0.625, else 1 - 2 / (e^(2|x|) + 1) with the sign of x.
IRODORI_INLINE F Tanh(F x) {
  const F t = Abs(x);
  const F s = x * x;
  F p = Fma(Splat(-0x1.75e1cep-8f), s, Splat(0x1.52269cp-6f));
  p = Fma(p, s, Splat(-0x1.b83c5ap-5f));
  p = Fma(p, s, Splat(0x1.110726p-3f));
  p = Fma(p, s, Splat(-0x1.555532p-2f));
  const F small = Fma(p * s, x, x);
  const F large = Splat(1.0f) - Splat(2.0f) / (Exp(t + t) + Splat(1.0f));
  return t < Splat(0.625f) ? small : CopySign(large, x);
}

// x + x P(x^2) below 0.93, else 1 - e^(-(t + t Q(t))) with t = min(|x|, 4) and the sign of x.
IRODORI_INLINE F Erf(F x) {
  const F s = x * x;
  F p = Fma(Splat(0x1.574ed6p-14f), s, Splat(-0x1.a88d90p-11f));
  p = Fma(p, s, Splat(0x1.549664p-8f));
  p = Fma(p, s, Splat(-0x1.b80962p-6f));
  p = Fma(p, s, Splat(0x1.ce2dcap-4f));
  p = Fma(p, s, Splat(-0x1.812742p-2f));
  p = Fma(p, s, Splat(0x1.06eba8p-3f));
  const F small = Fma(p, x, x);
  const F t = AtMost(Abs(x), Splat(4.0f));
  F q = Fma(Splat(-0x1.c0c24ep-13f), t, Splat(0x1.a56404p-9f));
  q = Fma(q, t, Splat(-0x1.770778p-6f));
  q = Fma(q, t, Splat(0x1.af270ap-4f));
  q = Fma(q, t, Splat(0x1.457cdep-1f));
  q = Fma(q, t, Splat(0x1.07328ap-3f));
  const F large = Splat(1.0f) - Exp(-Fma(q, t, t));
  return Abs(x) < Splat(0.93f) ? small : CopySign(large, x);
}

// 1 / (1 + e^-x)
IRODORI_INLINE F Logistic(F x) { return Splat(1.0f) / (Splat(1.0f) + Exp(-x)); }

IRODORI_INLINE F Silu(F x) { return x / (Splat(1.0f) + Exp(-x)); }

// x / 2 (1 + erf(x / sqrt 2))
IRODORI_INLINE F Gelu(F x) {
  return (x * Splat(0.5f)) * (Splat(1.0f) + Erf(x * Splat(0.707106781f)));
}

// N vectors to x / (1 + 2^power), in step as Exp2 is: half the time of one after another. What
// rounding adds to a large power is lost in a result near 0.
template <int N>
IRODORI_INLINE void DivideByPower(F (&x)[N], F (&power)[N]) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) power[i] = AtMost(power[i], Splat(127.0f));
  Exp2(power);
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) x[i] = x[i] / (Splat(1.0f) + power[i]);
}

// x / (1 + e^(-1.702 x))
template <int N>
IRODORI_INLINE void QuickGelu(F (&x)[N]) {
  F power[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) power[i] = Splat(-2.45546696f) * x[i];
  DivideByPower(x, power);
}

// x / 2 (1 + tanh(u)) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x / (1 + e^(-2u)).
template <int N>
IRODORI_INLINE void GeluTanh(F (&x)[N]) {
  F power[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    power[i] = Splat(-2.30220821f) * Fma(Splat(0.044715f) * x[i] * x[i], x[i], x[i]);
  }
  DivideByPower(x, power);
}

}  // namespace irodori::cpu::IRODORI_FAMILY
