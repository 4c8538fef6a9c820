// Row bindings: from JS values to pointers, with nothing left to check on the native thread.
#include "native/addon/row_bindings.h"

#include <algorithm>
#include <functional>

#include "native/addon/handle.h"

namespace irodori::addon {
namespace {

struct ArrayKind {
  napi_typedarray_type type;
  const char* name;
};

// The typed array that holds a dtype's elements; f16 and bf16 as their bits.
ArrayKind KindOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return {napi_float32_array, "Float32Array"};
    case DType::kF16:
    case DType::kBF16:
      return {napi_uint16_array, "Uint16Array"};
    case DType::kI32:
      return {napi_int32_array, "Int32Array"};
    case DType::kI64:
      return {napi_bigint64_array, "BigInt64Array"};
    case DType::kU8:
      return {napi_uint8_array, "Uint8Array"};
    case DType::kI8:  // of packs alone
    case DType::kI8Sums16:
      return {napi_int8_array, "Int8Array"};
  }
  return {napi_uint8_array, "Uint8Array"};
}

const char* ArrayName(napi_typedarray_type type) {
  constexpr const char* kNames[] = {"Int8Array",     "Uint8Array",    "Uint8ClampedArray",
                                    "Int16Array",    "Uint16Array",   "Int32Array",
                                    "Uint32Array",   "Float32Array",  "Float64Array",
                                    "BigInt64Array", "BigUint64Array"};
  auto index = static_cast<size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "another typed array";
}

// Memory one binding touches, to find outputs that lie over something else.
struct Range {
  uintptr_t begin;
  uintptr_t end;
  bool written;
  const std::string* port;
};

class Reader {
 public:
  Reader(Environment& environment, const DeviceResource& device, const Program& program,
         int64_t rows)
      : environment_(environment), device_(device), program_(program), rows_(rows) {}

  Status Open() {
    IRODORI_NAPI(napi_create_array(environment_.env(), &bound_.held));
    return Status::Ok();
  }

  Status Read(const std::vector<Port>& ports, napi_value list, bool written) {
    napi_env env = environment_.env();
    const char* direction = written ? "outputs" : "inputs";
    IRODORI_ASSIGN(std::vector<napi_value> values,
                   ReadArray(env, list, std::string("run: ") + direction));
    if (static_cast<int64_t>(values.size()) != static_cast<int64_t>(ports.size()) * rows_) {
      return Status(Code::kMissingInput, std::string("run: ") + direction + ": expected " +
                                             std::to_string(ports.size()) + " ports of " +
                                             std::to_string(rows_) + " rows, got " +
                                             std::to_string(values.size()) + " values");
    }
    std::vector<RowBinding>& bindings = written ? bound_.outputs : bound_.inputs;
    bindings.reserve(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const Port& port = ports[i / static_cast<size_t>(rows_)];
      IRODORI_ASSIGN(RowBinding binding,
                     ReadOne(values[i], port, static_cast<int64_t>(i) % rows_, written));
      bindings.push_back(binding);
    }
    return Status::Ok();
  }

  // A kernel writes its outputs in an order of its own: none may lie over an input or another
  // output.
  Status CheckOverlaps() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    const Range* furthest = nullptr;          // of all before
    const Range* furthest_written = nullptr;  // of the written ones before
    for (const Range& range : ranges_) {
      const Range* other = range.written ? furthest : furthest_written;
      if (other != nullptr && other->end > range.begin) {
        return Status(Code::kInvalidArgument, "run: expected outputs in memory of their own, got " +
                                                  *range.port + " and " + *other->port +
                                                  " in the same memory");
      }
      if (furthest == nullptr || range.end > furthest->end) furthest = &range;
      if (range.written && (furthest_written == nullptr || range.end > furthest_written->end)) {
        furthest_written = &range;
      }
    }
    return Status::Ok();
  }

  BoundRows Take() { return std::move(bound_); }

 private:
  Result<RowBinding> ReadOne(napi_value value, const Port& port, int64_t row, bool written) {
    const BufferSpec& spec = program_.buffers[port.buffer];
    bool is_typed_array = false;
    IRODORI_NAPI(napi_is_typedarray(environment_.env(), value, &is_typed_array));
    return is_typed_array ? ReadTypedArray(value, port, spec, row, written)
                          : ReadBuffer(value, port, spec, row, written);
  }

  static std::string Place(const Port& port, int64_t row) {
    return "run: " + port.name + " of row " + std::to_string(row);
  }

  Result<RowBinding> ReadTypedArray(napi_value value, const Port& port, const BufferSpec& spec,
                                    int64_t row, bool written) {
    napi_env env = environment_.env();
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    napi_value array_buffer;
    bool is_array_buffer = false;
    bool is_detached = false;
    IRODORI_NAPI(
        napi_get_typedarray_info(env, value, &type, &length, &data, &array_buffer, nullptr));
    ArrayKind kind = KindOf(spec.dtype);
    if (type != kind.type) {
      return Status(Code::kDtypeMismatch,
                    Place(port, row) + ": expected a " + kind.name + ", got a " + ArrayName(type));
    }
    IRODORI_NAPI(napi_is_arraybuffer(env, array_buffer, &is_array_buffer));
    if (!is_array_buffer) {
      return Status(
          Code::kInvalidArgument,
          Place(port, row) + ": expected an array over an ArrayBuffer, got one over shared memory");
    }
    IRODORI_NAPI(napi_is_detached_arraybuffer(env, array_buffer, &is_detached));
    if (is_detached) {
      return Status(Code::kInvalidArgument,
                    Place(port, row) + ": expected memory, got a detached array");
    }
    if (static_cast<int64_t>(length) != Elements(spec.shape)) {
      return Status(Code::kShapeMismatch, Place(port, row) + ": expected " +
                                              std::to_string(Elements(spec.shape)) +
                                              " values, got " + std::to_string(length));
    }
    uint32_t next = 0;
    IRODORI_NAPI(napi_get_array_length(env, bound_.held, &next));
    IRODORI_NAPI(napi_set_element(env, bound_.held, next, value));
    auto begin = reinterpret_cast<uintptr_t>(data);
    AddRange(begin, spec.row_bytes(), written, port);
    return RowBinding{.host = static_cast<std::byte*>(data), .size_bytes = spec.row_bytes()};
  }

  Result<RowBinding> ReadBuffer(napi_value value, const Port& port, const BufferSpec& spec,
                                int64_t row, bool written) {
    if (!IsHandle(environment_, value)) {
      return Status(Code::kInvalidArgument,
                    Place(port, row) + ": expected a " + KindOf(spec.dtype).name +
                        " or a device buffer, got " + TypeName(environment_.env(), value));
    }
    auto read = ReadHandle<BufferResource>(environment_, value, port.name);
    if (!read.ok()) {
      return ReadHandle<BufferResource>(environment_, value, Place(port, row)).status();
    }
    auto resource = std::move(read).value();
    if (resource->device.get() != &device_) {
      return Status(Code::kInvalidArgument,
                    Place(port, row) +
                        ": expected a buffer of the executable's device, got another device's");
    }
    if (resource->size_bytes != spec.row_bytes()) {
      return Status(Code::kShapeMismatch, Place(port, row) + ": expected a buffer of " +
                                              std::to_string(spec.row_bytes()) + " bytes, got " +
                                              std::to_string(resource->size_bytes));
    }
    // Buffers are whole: the object's own address tells two apart.
    AddRange(reinterpret_cast<uintptr_t>(resource->buffer.get()), 1, written, port);
    RowBinding binding{.buffer = resource->buffer.get(), .size_bytes = spec.row_bytes()};
    bound_.buffers.push_back(std::move(resource));
    return binding;
  }

  void AddRange(uintptr_t begin, int64_t size_bytes, bool written, const Port& port) {
    if (size_bytes > 0) {
      ranges_.push_back({begin, begin + static_cast<uintptr_t>(size_bytes), written, &port.name});
    }
  }

  Environment& environment_;
  const DeviceResource& device_;
  const Program& program_;
  int64_t rows_;
  BoundRows bound_;
  std::vector<Range> ranges_;
};

}  // namespace

Result<BoundRows> ReadRows(Environment& environment, const DeviceResource& device,
                           const Program& program, int64_t rows, napi_value inputs,
                           napi_value outputs) {
  Reader reader(environment, device, program, rows);
  IRODORI_RETURN_IF_ERROR(reader.Open());
  IRODORI_RETURN_IF_ERROR(reader.Read(program.inputs, inputs, false));
  IRODORI_RETURN_IF_ERROR(reader.Read(program.outputs, outputs, true));
  IRODORI_RETURN_IF_ERROR(reader.CheckOverlaps());
  return reader.Take();
}

}  // namespace irodori::addon
