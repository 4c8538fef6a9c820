// Work that stops when its flag is set: each slow call of the engine, before and in the middle.
#include "native/core/abort.h"

#include <chrono>
#include <thread>

#include "native/core/backend.h"
#include "native/core/recipe.h"
#include "native/core/safetensors.h"
#include "tests/native/check.h"
#include "tests/native/program_writer.h"
#include "tests/native/temporary_file.h"

namespace irodori::test {
namespace {

const std::atomic<bool> kSet{true};

std::vector<std::unique_ptr<Device>> Devices() {
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(OpenReferenceDevice().value());
  devices.push_back(OpenCpuDevice({"portable", 1}).value());
  return devices;
}

TEST(AbortStopsReading) {
  const TemporaryFile file(std::string(64, 'x'));
  const auto source = SourceFile::Open(file.path()).value();
  std::vector<float> values(16);
  CHECK_STATUS(source->ReadFloats(0, DType::kF32, values, &kSet), Code::kAborted, "");
  CHECK_STATUS(source->ReadFloats(0, DType::kBF16, values, &kSet), Code::kAborted, "");
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const auto bytes = std::as_bytes(std::span(header));
  const auto size = static_cast<int64_t>(header.size()) + 9;
  CHECK_OK(ParseSafetensorsHeader(bytes, size, "f").status());
  CHECK_STATUS(ParseSafetensorsHeader(bytes, size, "f", &kSet).status(), Code::kAborted, "");
}

TEST(AbortStopsBinding) {
  const std::vector<std::byte> bytes = Encode(SmallProgram());
  CHECK_STATUS(DecodeProgram(bytes, &kSet).status(), Code::kAborted, "");
  const auto program = std::make_shared<const Program>(DecodeProgram(bytes).value());
  const auto device = OpenCpuDevice({"portable", 1}).value();
  std::vector<std::shared_ptr<Pack>> packs;
  for (const ParamSpec& spec : program->params) {
    const HostTensor tensor{spec.shape,
                            std::vector<float>(static_cast<size_t>(Elements(spec.shape)))};
    packs.push_back(device->MakePack(spec, tensor).value());
  }
  CHECK_STATUS(device->Bind(program, packs, &kSet).status(), Code::kAborted, "");
  CHECK_OK(device->Bind(program, packs).status());
}

TEST(AbortStopsPacking) {
  for (const auto& device : Devices()) {
    for (const Packing packing : {Packing::kPlain, Packing::kGemm}) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const ParamSpec spec{packing, dtype, {4, 6}};
        const HostTensor tensor{spec.shape, std::vector<float>(24)};
        CHECK_STATUS(device->MakePack(spec, tensor, &kSet).status(), Code::kAborted, "");
        CHECK_OK(device->MakePack(spec, tensor).status());
      }
    }
  }
}

// Seconds of work in one step of one row, stopped after 20 ms.
TEST(AbortStopsAReferenceKernel) {
  constexpr int64_t kSize = 1400;
  ProgramWriter w;
  const auto x = static_cast<int32_t>(w.Input("x", DType::kF32, {kSize, kSize}));
  const auto weight = static_cast<int32_t>(w.Param(Packing::kGemm, DType::kF32, {kSize, kSize}));
  w.AddStep(Kernel::kMatmul, {x, weight}, w.Output("y", DType::kF32, {kSize, kSize}),
            {1, static_cast<double>(kSize), 0, 0});
  const auto program = std::make_shared<const Program>(DecodeProgram(Encode(w.program)).value());
  const auto device = OpenReferenceDevice().value();
  std::vector<float> values(kSize * kSize), result(kSize * kSize);
  const auto pack = device->MakePack(program->params[0], {{kSize, kSize}, values}).value();
  const auto executable = device->Bind(program, {pack}).value();
  const auto lane = device->OpenLane().value();
  const RowBinding input{reinterpret_cast<std::byte*>(values.data()), nullptr, 0,
                         kSize * kSize * 4};
  const RowBinding output{reinterpret_cast<std::byte*>(result.data()), nullptr, 0,
                          kSize * kSize * 4};
  std::atomic<bool> abort{false};
  std::thread caller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    abort = true;
  });
  CHECK_STATUS(device->Run(*lane, *executable, {1, {&input, 1}, {&output, 1}, &abort}),
               Code::kAborted, "");
  caller.join();
}

}  // namespace
}  // namespace irodori::test
