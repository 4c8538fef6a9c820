// Epilogue ops in float64, one at a time over all elements.
#include <cmath>
#include <numbers>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

namespace {

double Sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

double GeluTanh(double v) {
  const double inner = std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
  return v / 2 * (1 + std::tanh(inner));
}

// b: the operand's element, or the constant.
double Apply(Epilogue op, double v, double b) {
  switch (op) {
    case Epilogue::kAdd:
    case Epilogue::kOffset:
      return v + b;
    case Epilogue::kSub:
      return v - b;
    case Epilogue::kMul:
    case Epilogue::kScale:
      return v * b;
    case Epilogue::kMulOnePlus:
      return v * (1 + b);
    case Epilogue::kPrelu:
    case Epilogue::kLeakyRelu:
      return v < 0 ? v * b : v;
    case Epilogue::kSilu:
      return v * Sigmoid(v);
    case Epilogue::kGelu:
      return v / 2 * (1 + std::erf(v / std::numbers::sqrt2));
    case Epilogue::kGeluTanh:
      return GeluTanh(v);
    case Epilogue::kQuickGelu:
      return v * Sigmoid(1.702 * v);
    case Epilogue::kRelu:
      return v < 0 ? 0 : v;
    case Epilogue::kTanh:
      return std::tanh(v);
    case Epilogue::kSigmoid:
      return Sigmoid(v);
    case Epilogue::kExp:
      return std::exp(v);
  }
  return NAN;
}

}  // namespace

void ApplyEpilogue(const EpilogueOp& op, const Values* operand, Values& y) {
  const size_t columns = static_cast<size_t>(y.columns());
  for (size_t i = 0; i < y.data.size(); ++i) {
    double b = op.value;
    if (operand != nullptr) {
      const size_t elements = operand->data.size();
      b = operand->data[elements == y.data.size() ? i : elements == columns ? i % columns : 0];
    }
    y.data[i] = Apply(op.op, y.data[i], b);
  }
}

}  // namespace irodori::reference
