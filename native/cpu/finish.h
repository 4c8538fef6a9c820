// The one epilogue of a kernel family: a chain of element-wise ops over a run of float32 results,
// then the store.
//
// A kernel leaves `n` results of the vector (row, m), columns n0 .. n0 + n, in float32 scratch and
// calls FinishRun. Ops go over the run one after another: it is at most a few hundred values long
// and stays in L1, where a pass costs one load and one store per vector, against hundreds of FMAs
// per vector in a matmul.
#pragma once

#include "native/cpu/args.h"
#include "native/cpu/simd_math.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Scratch runs may be read and written up to this many floats past their end.
inline constexpr int64_t kRunSlack = kLanes;

struct AddOp {
  IRODORI_INLINE F Of(F v, F b) { return v + b; }
};
struct SubOp {
  IRODORI_INLINE F Of(F v, F b) { return v - b; }
};
struct MulOp {
  IRODORI_INLINE F Of(F v, F b) { return v * b; }
};
struct MulOnePlusOp {
  IRODORI_INLINE F Of(F v, F b) { return v * (Splat(1.0f) + b); }
};
struct PreluOp {
  IRODORI_INLINE F Of(F v, F b) { return v < F{} ? v * b : v; }
};
struct SiluOp {
  IRODORI_INLINE F Of(F v) { return Silu(v); }
};
struct GeluTanhOp {
  template <int N>
  IRODORI_INLINE void OfAll(F (&v)[N]) {
    GeluTanh(v);
  }
};
struct QuickGeluOp {
  template <int N>
  IRODORI_INLINE void OfAll(F (&v)[N]) {
    QuickGelu(v);
  }
};
struct GeluOp {
  IRODORI_INLINE F Of(F v) { return Gelu(v); }
};
struct ReluOp {
  IRODORI_INLINE F Of(F v) { return v < F{} ? F{} : v; }
};
struct TanhOp {
  IRODORI_INLINE F Of(F v) { return Tanh(v); }
};
struct LogisticOp {
  IRODORI_INLINE F Of(F v) { return Logistic(v); }
};
struct ExpOp {
  IRODORI_INLINE F Of(F v) { return Exp(v); }
};

template <typename Op>
static inline void ApplyUnary(float* values, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) Store(values + i, Op::Of(Load(values + i)));
}

template <typename Op, int N>
IRODORI_INLINE void ApplyTo(float* values) {
  F v[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) v[i] = Load(values + i * kLanes);
  Op::OfAll(v);
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) Store(values + i * kLanes, v[i]);
}

template <typename Op>
static inline void ApplyTogether(float* values, int64_t n) {
  constexpr int kVectors = 4;
  int64_t i = 0;
  for (; i + kVectors * kLanes <= n; i += kVectors * kLanes) ApplyTo<Op, kVectors>(values + i);
  for (; i < n; i += kLanes) ApplyTo<Op, 1>(values + i);
}

template <typename Op>
static inline void ApplyConstant(float* values, int64_t n, float constant) {
  const F b = Splat(constant);
  for (int64_t i = 0; i < n; i += kLanes) Store(values + i, Op::Of(Load(values + i), b));
}

template <typename Op, typename T>
static inline void ApplyBuffer(float* values, int64_t n, const T* operand) {
  int64_t i = 0;
#pragma GCC unroll 4
  for (; i + kLanes <= n; i += kLanes) {
    Store(values + i, Op::Of(Load(values + i), Load(operand + i)));
  }
  if (i < n) Store(values + i, Op::Of(Load(values + i), LoadFirst(operand + i, n - i)));
}

template <typename Op, typename T>
static inline void ApplyOperandOf(const EpilogueStep& step, float* values, int64_t row, int64_t m,
                                  int64_t n0, int64_t n) {
  const T* operand = reinterpret_cast<const T*>(RowAt(step.operand, row));
  if (step.reach == Reach::kScalar) {
    T lanes[kLanes] = {};
    lanes[0] = operand[0];
    ApplyConstant<Op>(values, n, Load(lanes)[0]);
  } else {
    ApplyBuffer<Op>(values, n, operand + n0 + (step.reach == Reach::kFull ? m * step.pitch : 0));
  }
}

template <typename Op>
static inline void ApplyOperand(const EpilogueStep& step, float* values, int64_t row, int64_t m,
                                int64_t n0, int64_t n) {
  if (step.dtype == DType::kBF16) {
    ApplyOperandOf<Op, Bf16>(step, values, row, m, n0, n);
  } else if (step.dtype == DType::kF16) {
    ApplyOperandOf<Op, F16>(step, values, row, m, n0, n);
  } else {
    ApplyOperandOf<Op, float>(step, values, row, m, n0, n);
  }
}

static inline void ApplyStep(const EpilogueStep& step, float* values, int64_t row, int64_t m,
                             int64_t n0, int64_t n) {
  switch (step.op) {
    case Epilogue::kAdd:
      return ApplyOperand<AddOp>(step, values, row, m, n0, n);
    case Epilogue::kSub:
      return ApplyOperand<SubOp>(step, values, row, m, n0, n);
    case Epilogue::kMul:
      return ApplyOperand<MulOp>(step, values, row, m, n0, n);
    case Epilogue::kMulOnePlus:
      return ApplyOperand<MulOnePlusOp>(step, values, row, m, n0, n);
    case Epilogue::kPrelu:
      return ApplyOperand<PreluOp>(step, values, row, m, n0, n);
    case Epilogue::kScale:
      return ApplyConstant<MulOp>(values, n, step.value);
    case Epilogue::kOffset:
      return ApplyConstant<AddOp>(values, n, step.value);
    case Epilogue::kLeakyRelu:
      return ApplyConstant<PreluOp>(values, n, step.value);
    case Epilogue::kSilu:
      return ApplyUnary<SiluOp>(values, n);
    case Epilogue::kGelu:
      return ApplyUnary<GeluOp>(values, n);
    case Epilogue::kGeluTanh:
      return ApplyTogether<GeluTanhOp>(values, n);
    case Epilogue::kQuickGelu:
      return ApplyTogether<QuickGeluOp>(values, n);
    case Epilogue::kRelu:
      return ApplyUnary<ReluOp>(values, n);
    case Epilogue::kTanh:
      return ApplyUnary<TanhOp>(values, n);
    case Epilogue::kSigmoid:
      return ApplyUnary<LogisticOp>(values, n);
    case Epilogue::kExp:
      return ApplyUnary<ExpOp>(values, n);
  }
}

template <typename T>
static inline void StoreRun(T* out, const float* values, int64_t n) {
  int64_t i = 0;
#pragma GCC unroll 4
  for (; i + kLanes <= n; i += kLanes) Store(out + i, Load(values + i));
  if (i < n) StoreFirst(out + i, Load(values + i), n - i);
}

template <typename T>
static inline void WidenRun(float* values, const T* x, int64_t n) {
  int64_t i = 0;
#pragma GCC unroll 4
  for (; i + kLanes <= n; i += kLanes) Store(values + i, Load(x + i));
  if (i < n) Store(values + i, LoadFirst(x + i, n - i));
}

template <typename T>
static inline void ConvertRun(float* values, const T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(x[i]);
}

// values[0 .. n) = x[first .. first + n) of the given type; writes up to kRunSlack floats past the
// end.
static inline void LoadRun(float* values, const std::byte* x, DType dtype, int64_t first,
                           int64_t n) {
  if (dtype == DType::kBF16) {
    WidenRun(values, reinterpret_cast<const Bf16*>(x) + first, n);
  } else if (dtype == DType::kF16) {
    WidenRun(values, reinterpret_cast<const F16*>(x) + first, n);
  } else if (dtype == DType::kI32) {
    ConvertRun(values, reinterpret_cast<const int32_t*>(x) + first, n);
  } else if (dtype == DType::kI64) {
    ConvertRun(values, reinterpret_cast<const int64_t*>(x) + first, n);
  } else if (dtype == DType::kU8) {
    ConvertRun(values, reinterpret_cast<const uint8_t*>(x) + first, n);
  } else {
    WidenRun(values, reinterpret_cast<const float*>(x) + first, n);
  }
}

// Applies the chain to values[0 .. n), which are columns n0 .. of vector m of batch row `row`, and
// stores them there.
static inline void FinishRun(const Finish& finish, float* values, int64_t row, int64_t m,
                             int64_t n0, int64_t n) {
  for (int64_t i = 0; i < finish.count; ++i) {
    ApplyStep(finish.steps[i], values, row, m, n0, n);
  }
  std::byte* out = RowAt(finish.out, row);
  const int64_t first = m * finish.pitch + n0;
  if (finish.dtype == DType::kBF16) {
    StoreRun(reinterpret_cast<Bf16*>(out) + first, values, n);
  } else if (finish.dtype == DType::kF16) {
    StoreRun(reinterpret_cast<F16*>(out) + first, values, n);
  } else {
    StoreRun(reinterpret_cast<float*>(out) + first, values, n);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
