// The contract every backend implements: devices, packs, buffers, executables, lanes, run.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "native/core/abort.h"
#include "native/core/program.h"
#include "native/core/status.h"
#include "native/core/value_source.h"

namespace irodori {

// Values in host memory, float32 row-major: what recipes evaluate to.
struct HostTensor {
  Shape shape;
  std::vector<float> data;
};

struct DeviceInfo {
  std::string backend;        // "cpu", "reference"
  std::string name;           // "AMD EPYC ..."
  std::string arithmetic;     // decides the bits: "scalar", "portable", "avx2", "avx512", "amx"
  std::string reason;         // why not a wider instruction set
  std::vector<DType> dtypes;  // storage types kernels take
  DType preferred_dtype = DType::kF32;
  int threads = 1;
  int64_t memory_bytes = 0;
  int attention_key_block = 64;
  // Tiles m of Winograd's 3x3 convolutions, and the networks' types for which they are there.
  std::vector<int> winograd_tiles;
  std::vector<DType> winograd_dtypes;
  std::vector<DType> strassen_dtypes;  // for which matmul takes `strassen` 1, and gains by it
  bool upsampled_conv2d = false;       // conv2d takes `upsample` 2
  // Types that kGemm packs of float32 parameters may have, whose values products then widen.
  std::vector<DType> widened_dtypes;
  // Products that are quicker over int8 than in the networks' own types.
  std::vector<Kernel> int8_products;
  int int8_sums = 32;              // bits of their sums, 16 or 32 (quantize.h)
  std::vector<std::string> peaks;  // what MeasurePeak knows
};

// A parameter in device memory, in the layout its kernel reads.
class Pack {
 public:
  virtual ~Pack() = default;
  virtual int64_t size_bytes() const = 0;
};

// Device memory, counted: request state and results that stay on the device.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual int64_t size_bytes() const = 0;
};

// A program bound to packs, with kernels chosen.
class Executable {
 public:
  virtual ~Executable() = default;
  virtual const Program& program() const = 0;
};

// One thing running at a time: a thread team (or a stream) and one arena, as large as the largest
// run so far.
class Lane {
 public:
  virtual ~Lane() = default;
  virtual int64_t arena_bytes() const = 0;
};

// One input or output of one row: host memory, or a device buffer from an offset on.
struct RowBinding {
  std::byte* host = nullptr;
  Buffer* buffer = nullptr;
  int64_t offset = 0;      // into `buffer`
  int64_t size_bytes = 0;  // must be the buffer spec's row bytes
};

struct RunArgs {
  int64_t rows = 0;
  std::span<const RowBinding> inputs;   // port-major: inputs[port * rows + row]
  std::span<const RowBinding> outputs;  // likewise
  AbortFlag abort = nullptr;            // looked at between steps and blocks; then kAborted
  std::span<int64_t> step_ns = {};      // where not empty: one per step, filled with its time
};

struct PeakArgs {
  std::string_view name;  // one of DeviceInfo::peaks
  int threads = 0;        // 0: all of the device
  std::chrono::nanoseconds time{};
  AbortFlag abort = nullptr;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  // `abort`, here and in Bind: looked at every millisecond or so; then kAborted.
  virtual Result<std::shared_ptr<Pack>> MakePack(const ParamSpec& spec, const HostTensor& tensor,
                                                 AbortFlag abort = nullptr) = 0;
  // The same of values that are made as they are read. A device that packs them in stretches never
  // holds all of them; the others read them whole.
  virtual Result<std::shared_ptr<Pack>> MakePackFrom(const ParamSpec& spec,
                                                     const ValueSource& values,
                                                     AbortFlag abort = nullptr);
  virtual Result<std::shared_ptr<Buffer>> Allocate(int64_t size_bytes) = 0;
  virtual Result<std::unique_ptr<Executable>> Bind(std::shared_ptr<const Program> program,
                                                   std::vector<std::shared_ptr<Pack>> packs,
                                                   AbortFlag abort = nullptr) = 0;
  virtual Result<std::unique_ptr<Lane>> OpenLane() = 0;
  // Blocks until done; called off the JS thread. One call per lane at a time. Inputs are checked
  // for size here.
  virtual Status Run(Lane& lane, const Executable& executable, const RunArgs& args) = 0;
  // The most that the device gives, in operations or bytes a second, measured for about that time;
  // blocks like Run. kInvalidOption for a name it does not know.
  virtual Result<double> MeasurePeak(Lane& /*lane*/, const PeakArgs& /*args*/) {
    return Status(Code::kInvalidOption, "peak: expected a device that measures peaks, got another");
  }
};

struct CpuOptions {
  std::string instructions = "auto";  // "auto", "portable", "avx2", "avx512", "amx"
  int threads = 0;                    // 0: as many as the process may use
};

Result<std::unique_ptr<Device>> OpenReferenceDevice();
Result<std::unique_ptr<Device>> OpenCpuDevice(const CpuOptions& options);

}  // namespace irodori
