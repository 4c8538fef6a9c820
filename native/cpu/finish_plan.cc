// Resolves the epilogue of a step: once when a program is bound, and the addresses in every run.
#include "native/cpu/planned_step.h"

namespace irodori::cpu {

FinishPlan::FinishPlan(const PlanContext& context, const Step& step)
    : out_(context.program.buffers[step.output]), out_buffer_(step.output) {
  links_.reserve(step.epilogue.size() + 2);
  for (const EpilogueOp& op : step.epilogue) links_.push_back(LinkOf(context, op));
}

FinishPlan::Link FinishPlan::LinkOf(const PlanContext& context, const EpilogueOp& op) const {
  Link link{{}, op.operand};
  link.step.op = op.op;
  link.step.value = static_cast<float>(op.value);
  if (op.operand < 0) return link;
  const BufferSpec& operand = context.buffer(op.operand);
  const int64_t elements = Elements(operand.shape);
  link.step.dtype = operand.dtype;
  if (elements == out_.vectors() * out_.columns()) {
    link.step.reach = Reach::kFull;
    link.step.pitch = operand.columns() == out_.columns() ? operand.pitch : out_.columns();
  } else {
    link.step.reach = elements == out_.columns() ? Reach::kChannel : Reach::kScalar;
  }
  return link;
}

void FinishPlan::Prepend(const PlanContext& context, Epilogue op, int32_t buffer) {
  const auto at = links_.begin() + static_cast<std::ptrdiff_t>(prepended_++);
  Link link = LinkOf(context, {op, buffer, 0});
  // [N] is meant even where N elements are also the whole result or a single one.
  link.step.reach = Reach::kChannel;
  links_.insert(at, link);
}

void FinishPlan::PrependScales(const float* scales) {
  Link link{{}, -1};
  link.step.op = Epilogue::kMul;
  link.step.reach = Reach::kChannel;
  link.step.operand.base = reinterpret_cast<std::byte*>(const_cast<float*>(scales));
  links_.insert(links_.begin() + static_cast<std::ptrdiff_t>(prepended_++), link);
}

Finish FinishPlan::Resolve(Run& run) const {
  std::vector<EpilogueStep>& chain = run.lane().chain;
  chain.clear();
  for (const Link& link : links_) {
    chain.push_back(link.step);
    if (link.buffer >= 0) chain.back().operand = run.source(static_cast<uint32_t>(link.buffer));
  }
  return {chain.data(), static_cast<int64_t>(chain.size()), run.source(out_buffer_), out_.dtype,
          out_.pitch};
}

bool FinishPlan::flat() const {
  if (out_.pitch != out_.columns() && out_.vectors() > 1) return false;
  for (const Link& link : links_) {
    if (link.step.reach == Reach::kChannel) return false;
    const bool gaps = link.step.pitch != out_.columns() && out_.vectors() > 1;
    if (link.step.reach == Reach::kFull && gaps) return false;
  }
  return true;
}

}  // namespace irodori::cpu
