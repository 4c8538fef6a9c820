// Weights as int8: what four neighbouring integers have room for, and that scales are chosen well.
#include "native/core/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/native/check.h"

namespace irodori::test {
namespace {

struct Quantized {
  std::vector<int8_t> q;
  float scale = 0;
};

Quantized Quantize(const std::vector<float>& weights, int64_t sums) {
  Quantized quantized;
  quantized.scale = QuantizeWeights(weights, sums, quantized.q);
  return quantized;
}

double SquaredError(const std::vector<float>& weights, const Quantized& quantized) {
  double error = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double off = weights[i] - static_cast<double>(quantized.scale) * quantized.q[i];
    error += off * off;
  }
  return error;
}

// The largest sum of magnitudes of one sign that two results of an instruction add up to.
int MostOfFour(std::vector<int8_t> q) {
  q.resize(q.size() + kInt8Group);  // the first and the last group have one neighbour each
  int most = 0;
  for (size_t i = kInt8Group; i < q.size(); ++i) {
    if (i % 2 == 1) continue;
    for (const int sign : {1, -1}) {
      int sum = 0;
      for (const size_t j : {i - 4, i - 3, i, i + 1}) sum += std::max(0, sign * q[j]);
      most = std::max(most, sum);
    }
  }
  return most;
}

// Normal values, and ones with long tails, as trained weights have them.
std::vector<float> Weights(size_t count, double tail, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<float> weights(count);
  for (float& weight : weights) {
    const double value = normal(random);
    weight = static_cast<float>(value * std::exp(tail * normal(random)));
  }
  return weights;
}

TEST(Int8WeightsOfWideSumsAreTheNearest) {
  for (const double tail : {0.0, 0.5}) {
    const std::vector<float> weights = Weights(318, tail, 1);
    const Quantized wide = Quantize(weights, 32);
    CHECK(wide.q.size() == 320 && wide.q[318] == 0 && wide.q[319] == 0);
    for (size_t i = 0; i < weights.size(); ++i)
      CHECK(std::fabs(weights[i] / wide.scale - wide.q[i]) < 0.501);
  }
}

TEST(Int8WeightsHaveRoomForFour) {
  for (const size_t count : {2, 4, 6, 8, 31, 64, 320, 1153}) {
    for (const double tail : {0.0, 0.5, 1.5}) {
      for (uint32_t seed = 0; seed < 20; ++seed) {
        const Quantized narrow = Quantize(Weights(count, tail, seed), 16);
        CHECK(MostOfFour(narrow.q) <= kInt8MostOfFour);
      }
    }
  }
  CHECK(MostOfFour(Quantize(std::vector<float>(64, 1), 16).q) <= kInt8MostOfFour);
  CHECK(MostOfFour(Quantize({-3, -3}, 16).q) <= kInt8MostOfFour);
}

// As good as scales that are made coarser until the nearest integers have room: finer ones would
// take too much off the largest sums, coarser ones round all weights by more.
TEST(Int8ScalesWeighRoundingAgainstRoom) {
  for (const double tail : {0.0, 0.5, 1.0}) {
    double error = 0, error_of_nearest = 0;
    for (uint32_t seed = 0; seed < 20; ++seed) {
      const std::vector<float> weights = Weights(1024, tail, seed);
      error += SquaredError(weights, Quantize(weights, 16));
      Quantized nearest = Quantize(weights, 32);
      while (MostOfFour(nearest.q) > kInt8MostOfFour) {
        nearest.scale *= 1.002f;
        for (size_t i = 0; i < weights.size(); ++i)
          nearest.q[i] = static_cast<int8_t>(std::lround(weights[i] / nearest.scale));
      }
      error_of_nearest += SquaredError(weights, nearest);
    }
    CHECK(error < 1.01 * error_of_nearest);
  }
}

TEST(Int8WeightsThatAreNotFinite) {
  for (const float odd : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    for (const int64_t sums : {16, 32}) {
      const Quantized quantized = Quantize({1, 2, odd, 3}, sums);
      CHECK(std::isnan(quantized.scale));
      CHECK((quantized.q == std::vector<int8_t>{0, 0, 0, 0}));
    }
  }
  for (const int64_t sums : {16, 32}) CHECK(std::isfinite(Quantize({0, 0, 0, 0}, sums).scale));
  for (const float large : {2e38f, std::numeric_limits<float>::max()})
    CHECK(std::isfinite(Quantize(std::vector<float>(8, large), 16).scale));
}

}  // namespace
}  // namespace irodori::test
