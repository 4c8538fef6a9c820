// The forms of 3x3 convolutions beside each other: milliseconds of each at the shapes of Stable
// Diffusion's networks, in turns. What is counted is the process's own time, so that other
// processes do not decide.
//
// Usage: irodori_conv_bench [family] [threads] [rounds] [words of names to run...]. Prints the
// median of the rounds and, of the sum over all taps, the rate.
#include <cstdio>

#include "native/core/conv_form.h"
#include "native/core/message.h"
#include "tests/native/contender.h"

namespace irodori::test {
namespace {

struct Shape3x3 {
  const char* where;
  int64_t size, in, out;  // of the picture that the convolution sees
  int64_t upsample = 1;
};

// A convolution in one form, over int8 or float32.
Program FormOf(const Shape3x3& shape, const ConvForm& form, double sums) {
  ProgramWriter w;
  const int64_t size = shape.size / form.upsample;
  const auto x = static_cast<int32_t>(w.Input("x", DType::kF32, {size, size, shape.in}));
  const auto weight = static_cast<int32_t>(w.Param(PackingOf(form),
                                                   sums == 0    ? DType::kF32
                                                   : sums == 16 ? DType::kI8Sums16
                                                                : DType::kI8,
                                                   {shape.out, 9 * shape.in}));
  w.AddStep(Kernel::kConv2d, {x, weight},
            w.Output("y", DType::kF32, {shape.size, shape.size, shape.out}),
            {3, 3, 1, 1, 1, 1, 1, 1, 1, static_cast<double>(9 * shape.in),
             static_cast<double>(form.upsample), static_cast<double>(form.tile), sums});
  return w.program;
}

void RunShape(Device& device, const Shape3x3& shape, int rounds) {
  std::vector<ConvForm> forms = {{1, 0}, {1, 2}, {1, 4}};
  if (shape.upsample == 2) forms = {{1, 0}, {1, 4}, {2, 0}, {2, 2}};
  std::vector<Contender> contenders;
  for (const ConvForm& form : forms) contenders.emplace_back(device, FormOf(shape, form, 0));
  contenders.emplace_back(device, FormOf(shape, {1, 0}, device.info().int8_sums));
  const std::vector<double> times = InTurns(contenders, rounds);
  const double direct = times[0];
  const double flops = 18.0 * static_cast<double>(shape.size * shape.size * shape.in * shape.out);
  std::printf("%-5s %5ld -> %4ld @ %3ld  %7.1f GFLOP/s ", shape.where, shape.in, shape.out,
              shape.size, flops / direct * 1e-6);
  for (size_t i = 0; i < forms.size(); ++i) {
    const double time = times[i];
    std::printf(" | %s%ld %8.2f ms %5.2fx", forms[i].upsample == 2 ? "folded " : "m ",
                forms[i].tile, time, direct / time);
  }
  std::printf(" | int8 %8.2f ms %5.2fx\n", times.back(), direct / times.back());
  std::fflush(stdout);
}

}  // namespace
}  // namespace irodori::test

int main(int count, char** arguments) {
  using namespace irodori;
  using namespace irodori::test;
  const std::unique_ptr<Device> device = OpenBenchDevice(count, arguments);
  const int rounds = count > 3 ? std::atoi(arguments[3]) : 9;
  const DeviceInfo& info = device->info();
  std::printf("%s, %s, %d threads\n", info.name.c_str(), info.arithmetic.c_str(), info.threads);
  const Shape3x3 shapes[] = {
      {"unet", 64, 320, 320},      {"unet", 64, 640, 320},      {"unet", 64, 960, 320},
      {"unet", 32, 640, 640},      {"unet", 32, 1280, 640},     {"unet", 16, 1280, 1280},
      {"unet", 16, 2560, 1280},    {"unet", 8, 1280, 1280},     {"unet", 8, 2560, 1280},
      {"up", 64, 640, 640, 2},     {"up", 32, 1280, 1280, 2},   {"up", 16, 1280, 1280, 2},
      {"vae", 64, 512, 512},       {"vae", 128, 512, 512},      {"vae", 256, 256, 256},
      {"vae", 512, 128, 128},      {"vaeup", 128, 512, 512, 2}, {"vaeup", 256, 512, 512, 2},
      {"vaeup", 512, 256, 256, 2}, {"taesd", 64, 64, 64},       {"taesd", 128, 64, 64},
      {"taesd", 512, 64, 64},      {"small", 16, 64, 64},       {"small", 32, 128, 128},
      {"small", 8, 256, 256},
  };
  for (const Shape3x3& shape : shapes) {
    bool wanted = count <= 4;
    const std::string name = Message(shape.where, shape.size, "c", shape.in);
    for (int i = 4; i < count; ++i) wanted = wanted || name.find(arguments[i]) != std::string::npos;
    if (wanted) RunShape(*device, shape, rounds);
  }
  return 0;
}
