// Order and memory of a Program's steps.
//
// A root is a buffer that is no view. A root counts as written once a step wrote all of it, or once
// steps wrote disjoint views whose elements add up to it. A view may be read when its root may, or
// when one written view contains it. An arena root lives from its first write to its last read (or
// write); two roots whose bytes overlap may not both be alive, except that a step whose kernel
// reads a vector before it writes that one may write over an operand that dies there, element for
// element.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "native/core/message.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

// Views written of one root; keeps the check linear in practice and bounded on hostile input.
constexpr size_t kMaxWrittenViews = 1024;
constexpr size_t kNever = SIZE_MAX;

// A strided rectangle of a root's elements.
struct Region {
  int64_t offset;
  int64_t vectors;
  int64_t columns;
  int64_t pitch;

  int64_t end() const { return offset + (vectors - 1) * pitch + columns; }
  bool contiguous() const { return vectors == 1 || pitch == columns; }
};

bool Same(const Region& a, const Region& b) {
  return a.offset == b.offset && a.vectors == b.vectors && a.columns == b.columns &&
         (a.vectors == 1 || a.pitch == b.pitch);
}

// Sufficient, not necessary: spans apart, or columns apart in the same pitch.
bool Disjoint(const Region& a, const Region& b) {
  if (a.end() <= b.offset || b.end() <= a.offset) return true;
  if (a.pitch != b.pitch) return false;
  const int64_t a_column = a.offset % a.pitch;
  const int64_t b_column = b.offset % b.pitch;
  if (a_column + a.columns > a.pitch || b_column + b.columns > b.pitch) return false;
  return a_column + a.columns <= b_column || b_column + b.columns <= a_column;
}

// Sufficient, not necessary: a span inside a contiguous one, or a rectangle inside another of the
// same pitch.
bool Contains(const Region& outer, const Region& inner) {
  if (outer.contiguous()) return outer.offset <= inner.offset && inner.end() <= outer.end();
  const int64_t distance = inner.offset - outer.offset;
  if (distance < 0 || (inner.vectors > 1 && inner.pitch != outer.pitch)) return false;
  return distance % outer.pitch + inner.columns <= outer.columns &&
         distance / outer.pitch + inner.vectors <= outer.vectors;
}

struct Root {
  bool whole = false;
  std::vector<Region> views;      // written ones
  int64_t disjoint_elements = 0;  // of those views that overlap no other
  size_t first_write = kNever;
  size_t last_use = 0;
};

class Dataflow {
 public:
  explicit Dataflow(const Program& program) : program_(program), roots_(program.buffers.size()) {}

  Status Verify(AbortFlag abort) {
    FindLifetimes();
    for (size_t step = 0; step < program_.steps.size(); ++step) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
      IRODORI_RETURN_IF_ERROR(Visit(step));
    }
    for (const Port& port : program_.outputs) {
      if (roots_[port.buffer].whole) continue;
      return {Code::kInvalidProgram,
              Message("program(", program_.name, "): output ", Quoted(port.name),
                      ": expected steps that write all of it, got none")};
    }
    return Status::Ok();
  }

 private:
  uint32_t RootOf(uint32_t buffer) const {
    const BufferSpec& spec = program_.buffers[buffer];
    return spec.storage == StorageKind::kView ? spec.index : buffer;
  }
  Region RegionOf(uint32_t buffer) const {
    const BufferSpec& spec = program_.buffers[buffer];
    const bool view = spec.storage == StorageKind::kView;
    const int64_t offset = view ? static_cast<int64_t>(spec.offset) / DTypeBytes(spec.dtype) : 0;
    return {offset, spec.vectors(), spec.columns(), spec.pitch};
  }
  bool Given(uint32_t root) const {
    const StorageKind storage = program_.buffers[root].storage;
    return storage == StorageKind::kInput || storage == StorageKind::kParam;
  }
  Status Fail(size_t step, std::string_view expected, std::string_view got) const {
    return {Code::kInvalidProgram,
            Message(StepPlace(program_, step), ": expected ", expected, ", got ", got)};
  }
  std::string Name(uint32_t buffer) const {
    return Message("buffer ", buffer, " ", Quoted(program_.buffers[buffer].name));
  }

  template <typename Visitor>
  static void EachRead(const Step& step, Visitor visit) {
    for (const int32_t operand : step.operands) {
      if (operand >= 0) visit(static_cast<uint32_t>(operand));
    }
    for (const EpilogueOp& op : step.epilogue) {
      if (op.operand >= 0) visit(static_cast<uint32_t>(op.operand));
    }
  }

  void FindLifetimes() {
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      EachRead(step, [&](uint32_t buffer) { roots_[RootOf(buffer)].last_use = i; });
      Root& output = roots_[RootOf(step.output)];
      if (output.first_write == kNever) output.first_write = i;
      output.last_use = i;
    }
  }

  Status Visit(size_t index) {
    const Step& step = program_.steps[index];
    Status status;
    EachRead(step, [&](uint32_t buffer) {
      if (status.ok()) status = Read(index, buffer);
    });
    IRODORI_RETURN_IF_ERROR(std::move(status));
    IRODORI_RETURN_IF_ERROR(Write(index));
    EachRead(step, [&](uint32_t buffer) { Retire(index, RootOf(buffer)); });
    Retire(index, RootOf(step.output));
    return Status::Ok();
  }

  Status Read(size_t index, uint32_t buffer) {
    const uint32_t root_index = RootOf(buffer);
    const Root& root = roots_[root_index];
    const Region region = RegionOf(buffer);
    const auto contains = [&](const Region& written) { return Contains(written, region); };
    if (!Given(root_index) && !root.whole && std::ranges::none_of(root.views, contains)) {
      return Fail(index, "operands that earlier steps wrote", Message(Name(buffer), ", unwritten"));
    }
    const Step& step = program_.steps[index];
    if (root_index != RootOf(step.output)) return Status::Ok();
    const Region output = RegionOf(step.output);
    const bool in_place = WritesInPlace(step.kernel) && Same(region, output);
    if (in_place || Disjoint(region, output)) return Status::Ok();
    return Fail(index, "an output apart from its operands", Name(buffer));
  }

  Status Write(size_t index) {
    const Step& step = program_.steps[index];
    const uint32_t root_index = RootOf(step.output);
    Root& root = roots_[root_index];
    if (root.first_write == index && program_.buffers[root_index].storage == StorageKind::kArena) {
      IRODORI_RETURN_IF_ERROR(Admit(index, root_index));
    }
    if (root.whole) return Status::Ok();
    const Region region = RegionOf(step.output);
    const int64_t elements = Elements(program_.buffers[root_index].shape);
    if (region.vectors * region.columns == elements) {
      root.whole = true;
    } else {
      if (root.views.size() == kMaxWrittenViews) {
        return Fail(index, Message("at most ", kMaxWrittenViews, " written views"),
                    Name(root_index));
      }
      const auto apart = [&](const Region& written) { return Disjoint(written, region); };
      if (std::ranges::all_of(root.views, apart))
        root.disjoint_elements += region.vectors * region.columns;
      root.views.push_back(region);
      root.whole = root.disjoint_elements == elements;
    }
    if (root.whole) root.views = {};
    return Status::Ok();
  }

  // Gives an arena root its bytes, unless a live one holds some of them.
  Status Admit(size_t index, uint32_t root) {
    const BufferSpec& spec = program_.buffers[root];
    const uint64_t end = spec.offset + static_cast<uint64_t>(spec.row_bytes());
    auto next = live_.lower_bound(spec.offset);
    if (next != live_.begin()) {
      const auto before = std::prev(next);
      const BufferSpec& other = program_.buffers[before->second];
      if (other.offset + static_cast<uint64_t>(other.row_bytes()) > spec.offset)
        return Overlap(index, root, before->second);
    }
    if (next != live_.end() && next->first < end) {
      if (!WritesOver(index, root, next->second)) return Overlap(index, root, next->second);
      next = live_.erase(next);
      if (next != live_.end() && next->first < end) return Overlap(index, root, next->second);
    }
    live_.emplace(spec.offset, root);
    return Status::Ok();
  }

  // Whether this step replaces `dying` by `root` element for element: the same bytes,
  // all of both, and no other part of `dying` read here.
  bool WritesOver(size_t index, uint32_t root, uint32_t dying) const {
    const Step& step = program_.steps[index];
    const BufferSpec& a = program_.buffers[root];
    const BufferSpec& b = program_.buffers[dying];
    bool operand = false;
    bool other_part = false;
    EachRead(step, [&](uint32_t buffer) {
      operand = operand || buffer == dying;
      other_part = other_part || (RootOf(buffer) == dying && buffer != dying);
    });
    return WritesInPlace(step.kernel) && step.output == root && operand && !other_part &&
           roots_[dying].last_use == index && a.offset == b.offset &&
           a.row_bytes() == b.row_bytes() && DTypeBytes(a.dtype) == DTypeBytes(b.dtype);
  }

  Status Overlap(size_t index, uint32_t root, uint32_t other) const {
    return Fail(index, Message("bytes of its own for ", Name(root)),
                Message("those of ", Name(other), ", still in use"));
  }

  void Retire(size_t index, uint32_t root) {
    if (roots_[root].last_use != index) return;
    const auto place = live_.find(program_.buffers[root].offset);
    if (place != live_.end() && place->second == root) live_.erase(place);
  }

  const Program& program_;
  std::vector<Root> roots_;            // by buffer index; views stay unused
  std::map<uint64_t, uint32_t> live_;  // offset -> arena root
};

}  // namespace

Status VerifyDataflow(const Program& program, AbortFlag abort) {
  return Dataflow(program).Verify(abort);
}

}  // namespace irodori
