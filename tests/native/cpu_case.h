// One step as a Program on any device: random operands in memory with gutters, results per row, and
// the checks that every CPU kernel has to pass.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "native/core/backend.h"

namespace irodori::test {

enum class Place : uint8_t { kRow, kParam, kGemm, kUpsample };

struct TensorSpec {
  Shape shape;
  DType dtype = DType::kF32;
  Place place = Place::kRow;
  int64_t gap = 0;  // elements between last-axis vectors, of some other tensor in the same memory
  double low = -1, high = 1;  // range of values
};

struct LinkSpec {
  Epilogue op;
  std::optional<TensorSpec> operand;
  double value = 0;
};

struct StepCase {
  std::string name;
  Kernel kernel;
  std::vector<std::optional<TensorSpec>> operands;
  TensorSpec out;
  std::vector<double> attrs;
  std::vector<LinkSpec> epilogue;
  double tolerance = 0;  // absolute, for float32 arithmetic; storage rounding is added
  // Added where matrix tiles take bf16: what they round inside.
  double tile_tolerance = 0;
};

// The outputs of rows `first` .. `first + rows`, each as stored bytes. Operands of row r depend on
// (case, operand, r).
struct CaseRun {
  Status status;
  bool gutters_intact = true;
  std::vector<std::vector<std::byte>> rows;
};
CaseRun RunCase(Device& device, const StepCase& step, int64_t first, int64_t rows);

std::vector<double> Widen(const std::vector<std::byte>& bytes, DType dtype);

// All of it: near the reference device, the same bits in any batch and on 1, 2 and 4 threads,
// gutters intact.
void CheckCase(const std::string& instructions, const StepCase& step);

// Families that run here, and why others do not (printed once).
const std::vector<std::string>& RunningFamilies();

}  // namespace irodori::test
