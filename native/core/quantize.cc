#include "native/core/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "native/core/rounding.h"

namespace irodori {
namespace {

// What a group of four adds to the sums that have to have room: its first two values and its last
// two, the positive ones and the negative ones of each.
template <typename Sum, typename T>
std::array<Sum, 4> PairsOf(const T* group) {
  const auto up = [&](int64_t i) { return std::max(Sum{0}, static_cast<Sum>(group[i])); };
  const auto down = [&](int64_t i) { return std::max(Sum{0}, -static_cast<Sum>(group[i])); };
  return {up(0) + up(1), down(0) + down(1), up(2) + up(3), down(2) + down(3)};
}

// Calls visit(sum, i, pair) for every sum over the group at i and the one before it that is more
// than `room`; visit may change them.
template <typename Sum, typename T, typename Visit>
void ForEachCrowded(std::span<T> values, Sum room, const Visit& visit) {
  std::array<Sum, 4> before{};
  for (size_t i = 0; i + kInt8Group <= values.size(); i += kInt8Group) {
    std::array<Sum, 4> pairs = PairsOf<Sum>(&values[i]);
    bool crowded = false;
    for (size_t pair = 0; pair < 4; ++pair) crowded |= before[pair] + pairs[pair] > room;
    if (crowded) {
      for (size_t pair = 0; pair < 4; ++pair) {
        if (before[pair] + pairs[pair] > room) visit(before[pair] + pairs[pair], i, pair);
      }
      pairs = PairsOf<Sum>(&values[i]);
    }
    before = pairs;
  }
}

float LargestMagnitude(std::span<const float> weights) {
  float most = 0;
  for (const float weight : weights) {
    const float magnitude = std::fabs(weight);
    if (std::isnan(magnitude)) return magnitude;
    most = std::max(most, magnitude);
  }
  return most;
}

// The scale of least squared error, at least `scale`: an integer is off by a twelfth of the scale's
// square, and what is taken off a sum is taken off four integers alike. That error is convex in the
// scale, so the zero of its slope is looked for.
double ScaleWithRoom(double scale, std::span<const float> weights) {
  constexpr double kRoom = kInt8MostOfFour;
  std::vector<float> crowded;
  float most = 0;
  ForEachCrowded(weights, static_cast<float>(kRoom * scale), [&](float sum, size_t, size_t) {
    crowded.push_back(std::min(sum, std::numeric_limits<float>::max()));
    most = std::max(most, crowded.back());
  });
  double low = scale;
  double high = std::max(low, most / kRoom);
  for (int halvings = 0; high > low && halvings < 12; ++halvings) {
    const double middle = (low + high) / 2;
    double slope = static_cast<double>(weights.size()) * middle / 6;
    for (const float sum : crowded) slope -= kRoom / 2 * std::max(0.0, sum - kRoom * middle);
    (slope < 0 ? low : high) = middle;
  }
  return high;
}

// Takes off the integers what their sums are above their room.
void MakeRoom(std::vector<int8_t>& q) {
  ForEachCrowded(std::span(q), kInt8MostOfFour, [&](int sum, size_t i, size_t pair) {
    const int sign = pair % 2 == 0 ? 1 : -1;
    int8_t* const terms = &q[i + pair / 2 * 2];
    int8_t* const before = i == 0 ? terms : terms - kInt8Group;
    const std::array<int8_t*, 4> taken{&terms[0], &before[0], &terms[1], &before[1]};
    for (size_t t = 0; sum > kInt8MostOfFour; t = (t + 1) % taken.size()) {
      if (sign * *taken[t] <= 0) continue;
      *taken[t] = static_cast<int8_t>(*taken[t] - sign);
      --sum;
    }
  });
}

}  // namespace

float QuantizeWeights(std::span<const float> weights, int64_t sums, std::vector<int8_t>& q) {
  Int8Scale scale = Int8ScaleOver(LargestMagnitude(weights), static_cast<float>(kInt8Most));
  const bool finite = scale.to_int8 > 0;
  if (finite && sums == 16) {
    scale.scale = static_cast<float>(ScaleWithRoom(scale.scale, weights));
    scale.to_int8 = 1 / scale.scale;
  }
  q.assign(static_cast<size_t>(RoundUp(std::ssize(weights), kInt8Group)), 0);
  for (size_t i = 0; finite && i < weights.size(); ++i)
    q[i] = static_cast<int8_t>(Int8Nearest(weights[i] * scale.to_int8));
  if (sums == 16) MakeRoom(q);
  return scale.scale;
}

}  // namespace irodori
