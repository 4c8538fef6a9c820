// Writes Programs as src/compile/encode.ts does, right or wrong, for tests and fuzz seeds.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "native/core/program.h"

namespace irodori::test {

class ByteWriter {
 public:
  template <typename T>
  void Number(T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  void String(std::string_view text) {
    Number(static_cast<uint32_t>(text.size()));
    for (const char character : text) bytes_.push_back(static_cast<std::byte>(character));
  }
  void WriteShape(const Shape& shape) {
    Number(static_cast<uint32_t>(shape.size()));
    for (const int64_t size : shape) Number(size);
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

inline std::vector<std::byte> Encode(const Program& program) {
  ByteWriter out;
  const auto count = [&](const auto& list) { out.Number(static_cast<uint32_t>(list.size())); };
  out.Number(kProgramMagic);
  out.Number(kProgramVersion);
  out.String(program.name);
  out.Number(program.arena_bytes);
  count(program.buffers);
  for (const BufferSpec& buffer : program.buffers) {
    const bool arena = buffer.storage == StorageKind::kArena;
    out.String(buffer.name);
    out.Number(static_cast<uint8_t>(buffer.dtype));
    out.WriteShape(buffer.shape);
    out.Number(buffer.pitch);
    out.Number(static_cast<uint8_t>(buffer.storage));
    out.Number(arena ? buffer.offset : uint64_t{buffer.index});
    out.Number(arena ? uint64_t{0} : buffer.offset);
  }
  count(program.params);
  for (const ParamSpec& param : program.params) {
    out.Number(static_cast<uint8_t>(param.packing));
    out.Number(static_cast<uint8_t>(param.dtype));
    out.WriteShape(param.shape);
  }
  for (const std::vector<Port>* ports : {&program.inputs, &program.outputs}) {
    count(*ports);
    for (const Port& port : *ports) {
      out.String(port.name);
      out.Number(port.buffer);
    }
  }
  count(program.steps);
  for (const Step& step : program.steps) {
    out.Number(static_cast<uint8_t>(step.kernel));
    count(step.operands);
    for (const int32_t operand : step.operands) out.Number(operand);
    out.Number(step.output);
    count(step.attrs);
    for (const double attr : step.attrs) out.Number(attr);
    count(step.epilogue);
    for (const EpilogueOp& op : step.epilogue) {
      out.Number(static_cast<uint8_t>(op.op));
      out.Number(op.operand);
      out.Number(op.value);
    }
    out.String(step.at);
  }
  return out.bytes();
}

// Builds Programs buffer by buffer. Each call returns the buffer's index.
class ProgramWriter {
 public:
  Program program{"test", 0, {}, {}, {}, {}, {}};

  uint32_t Input(std::string name, DType dtype, Shape shape) {
    return OfPort(std::move(name), dtype, std::move(shape), StorageKind::kInput, program.inputs);
  }
  uint32_t Output(std::string name, DType dtype, Shape shape) {
    return OfPort(std::move(name), dtype, std::move(shape), StorageKind::kOutput, program.outputs);
  }
  uint32_t Param(Packing packing, DType dtype, Shape shape) {
    program.params.push_back({packing, dtype, shape});
    return Add({"param", dtype, shape, shape.empty() ? 1 : shape.back(), StorageKind::kParam, 0,
                static_cast<uint32_t>(program.params.size() - 1)});
  }
  // In arena bytes of its own, unless an offset is given.
  uint32_t Arena(DType dtype, Shape shape, int64_t at = -1) {
    const uint64_t offset = at >= 0 ? static_cast<uint64_t>(at) : program.arena_bytes;
    const uint32_t index = Add(
        {"arena", dtype, shape, shape.empty() ? 1 : shape.back(), StorageKind::kArena, offset, 0});
    const uint64_t end = offset + static_cast<uint64_t>(program.buffers[index].row_bytes());
    program.arena_bytes = std::max(program.arena_bytes, (end + 63) / 64 * 64);
    return index;
  }
  uint32_t View(uint32_t base, Shape shape, int64_t pitch, uint64_t offset) {
    return Add({"view", program.buffers[base].dtype, std::move(shape), pitch, StorageKind::kView,
                offset, base});
  }
  void AddStep(Kernel kernel, std::vector<int32_t> operands, uint32_t output,
               std::vector<double> attrs = {}, std::vector<EpilogueOp> epilogue = {}) {
    program.steps.push_back(
        {kernel, std::move(operands), output, std::move(attrs), std::move(epilogue), "at"});
  }

 private:
  uint32_t Add(BufferSpec spec) {
    program.buffers.push_back(std::move(spec));
    return static_cast<uint32_t>(program.buffers.size() - 1);
  }
  uint32_t OfPort(std::string name, DType dtype, Shape shape, StorageKind storage,
                  std::vector<Port>& ports) {
    const int64_t columns = shape.empty() ? 1 : shape.back();
    const uint32_t index = Add(
        {name, dtype, std::move(shape), columns, storage, 0, static_cast<uint32_t>(ports.size())});
    ports.push_back({std::move(name), index});
    return index;
  }
};

// A small Program of many features that decodes: views, in place, epilogues, params.
inline Program SmallProgram() {
  ProgramWriter w;
  const auto f32 = DType::kF32;
  const uint32_t x = w.Input("x", f32, {4, 6});
  const uint32_t bias = w.Input("bias", f32, {8});
  const uint32_t weight = w.Param(Packing::kGemm, f32, {8, 6});
  const uint32_t gamma = w.Param(Packing::kPlain, f32, {8});
  const uint32_t a = w.Arena(f32, {4, 8});
  const uint32_t b = w.Arena(f32, {4, 8});
  const uint32_t a2 = w.Arena(f32, {4, 8}, 0);  // over a, in place
  const uint32_t left = w.View(b, {4, 4}, 8, 0);
  const uint32_t right = w.View(b, {4, 4}, 8, 16);
  const uint32_t a_left = w.View(a2, {4, 4}, 8, 0);
  const uint32_t a_right = w.View(a2, {4, 4}, 8, 16);
  const uint32_t y = w.Output("y", f32, {4, 8});
  const auto i = [](uint32_t buffer) { return static_cast<int32_t>(buffer); };
  w.AddStep(Kernel::kMatmul, {i(x), i(weight), i(bias)}, a, {1, 512, 0, 0},
            {{Epilogue::kGelu, -1, 0}});
  w.AddStep(Kernel::kElementwise, {i(a)}, a2, {}, {{Epilogue::kScale, -1, 2}});
  w.AddStep(Kernel::kElementwise, {i(a_right)}, left);
  w.AddStep(Kernel::kElementwise, {i(a_left)}, right);
  w.AddStep(Kernel::kLayerNorm, {i(b), i(gamma), -1}, y, {1e-5}, {{Epilogue::kAdd, i(a2), 0}});
  return w.program;
}

}  // namespace irodori::test
