// group_norm of one family: statistics, merge, apply.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/ops/group_norm.h"

namespace irodori::cpu::IRODORI_FAMILY {

static inline int64_t GroupNormScratchBytes(const GroupNormArgs& args) {
  return 3 * RoundUp(args.channels + kRunSlack, 16) * static_cast<int64_t>(sizeof(float));
}

// Sums of each group's channels of `sums`, in channel order.
static inline float GroupSum(const GroupNormArgs& args, const float* sums, int64_t group) {
  const int64_t width = args.channels / args.groups;
  float sum = 0;
  for (int64_t c = group * width; c < (group + 1) * width; ++c) sum += sums[c];
  return sum;
}

static inline void GroupNormStatistics(const GroupNormArgs& args, int64_t block,
                                       std::byte* scratch) {
  const int64_t row = block / args.pixel_blocks;
  const int64_t p0 = block % args.pixel_blocks * args.pixel_block;
  const int64_t p1 = MinOf(p0 + args.pixel_block, args.pixels);
  const int64_t channels = args.channels;
  const int64_t width = channels / args.groups;
  const float count = static_cast<float>((p1 - p0) * width);
  const int64_t pitch = RoundUp(channels + kRunSlack, 16);
  float* run = reinterpret_cast<float*>(scratch);
  float* sums = run + pitch;
  float* means = sums + pitch;
  float* partial = args.partials + block * args.groups * 2;
  const std::byte* x = RowAt(args.x, row);

  for (int64_t c = 0; c < channels; c += kLanes) Store(sums + c, F{});
  for (int64_t p = p0; p < p1; ++p) {
    LoadRun(run, x, args.x_dtype, p * args.x_pitch, channels);
    for (int64_t c = 0; c < channels; c += kLanes) Store(sums + c, Load(sums + c) + Load(run + c));
  }
  for (int64_t g = 0; g < args.groups; ++g) {
    const float mean = GroupSum(args, sums, g) / count;
    partial[g * 2] = mean;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) means[c] = mean;
  }
  for (int64_t c = 0; c < channels; c += kLanes) Store(sums + c, F{});
  for (int64_t p = p0; p < p1; ++p) {
    LoadRun(run, x, args.x_dtype, p * args.x_pitch, channels);
    for (int64_t c = 0; c < channels; c += kLanes) {
      const F d = Load(run + c) - Load(means + c);
      Store(sums + c, Fma(d, d, Load(sums + c)));
    }
  }
  for (int64_t g = 0; g < args.groups; ++g) partial[g * 2 + 1] = GroupSum(args, sums, g);
}

static inline void GroupNormMerge(const GroupNormArgs& args, int64_t row, std::byte*) {
  const int64_t width = args.channels / args.groups;
  float* mean_of = args.moments + row * 2 * (args.channels + 16);
  float* scale_of = mean_of + args.channels + 16;
  for (int64_t g = 0; g < args.groups; ++g) {
    double count = 0, mean = 0, squares = 0;
    for (int64_t b = 0; b < args.pixel_blocks; ++b) {
      const float* partial = args.partials + ((row * args.pixel_blocks + b) * args.groups + g) * 2;
      const int64_t pixels = MinOf(args.pixel_block, args.pixels - b * args.pixel_block);
      const double more = static_cast<double>(pixels * width);
      const double delta = static_cast<double>(partial[0]) - mean;
      const double total = count + more;
      mean += delta * more / total;
      squares += static_cast<double>(partial[1]) + delta * delta * count * more / total;
      count = total;
    }
    const double variance = squares / count;
    const float scale =
        static_cast<float>(1.0 / __builtin_sqrt(variance + static_cast<double>(args.eps)));
    for (int64_t c = g * width; c < (g + 1) * width; ++c) {
      mean_of[c] = static_cast<float>(mean);
      scale_of[c] = scale;
    }
  }
}

static inline void GroupNormApply(const GroupNormArgs& args, int64_t block, std::byte* scratch) {
  const int64_t row = block / args.pixel_blocks;
  const int64_t p0 = block % args.pixel_blocks * args.pixel_block;
  const int64_t p1 = MinOf(p0 + args.pixel_block, args.pixels);
  const float* mean_of = args.moments + row * 2 * (args.channels + 16);
  const float* scale_of = mean_of + args.channels + 16;
  float* run = reinterpret_cast<float*>(scratch);
  const std::byte* x = RowAt(args.x, row);
  for (int64_t p = p0; p < p1; ++p) {
    LoadRun(run, x, args.x_dtype, p * args.x_pitch, args.channels);
    for (int64_t c = 0; c < args.channels; c += kLanes) {
      Store(run + c, (Load(run + c) - Load(mean_of + c)) * Load(scale_of + c));
    }
    FinishRun(args.finish, run, row, p, 0, args.channels);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
