"""Training on one CUDA device: a step is a CUDA graph, matrices are multiplied in bfloat16, weights stay float32.

Networks of this size run thousands of kernels of microseconds each, and drawing captions costs more than computing with them:
so every step is recorded once and replayed, and as many processes as there are cores draw batches.
"""

import os
import signal

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from batches import Batches
from keeper import Keeper
from losses import Losses
from networks import MAX_TOKENS, compile_blocks

DEVICE = "cuda"
PROCESSES = os.cpu_count()
WARM_UP = 3  # steps without effect before recording: kernels are compiled and chosen in them
WORDS = 8  # lessons of a batch in one step, while only words are learnt


def adamw_options(lr):
    return {"lr": torch.tensor(lr, device=DEVICE), "fused": True, "capturable": True}


class Stream(IterableDataset):
    """Batches without end, those of each process by its own seed."""

    def __init__(self, make, draw):
        self.make, self.draw = make, draw

    def __iter__(self):
        torch.set_num_threads(1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the trainer's own handlers came along
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        batches = self.make(get_worker_info().id)
        while True:
            yield self.draw(batches)


class Recorded:
    """A function of tensors as a CUDA graph; its inputs and outputs stay in place."""

    def __init__(self, function, inputs):
        self.inputs = [t.to(DEVICE) for t in inputs]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function(*self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = function(*self.inputs)

    def __call__(self, inputs):
        for held, given in zip(self.inputs, inputs):
            held.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.outputs


def train(args, shape, modules, named, muon, adamw, old):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(args.seed + (old["step"] if old else 0))
    compile_blocks()
    keeper, losses = Keeper(args, shape, named, muon, adamw, old), Losses(args, shape, modules, DEVICE)
    parameters, full = list(named.values()), torch.tensor(args.lr, device=DEVICE)
    factor = torch.zeros((), device=DEVICE)

    def step(minimised, *batch):
        """One step down; returns the gradients' norm and the parts of the loss."""
        for p in parameters:
            p.grad = None
        with torch.autocast(DEVICE, torch.bfloat16):
            loss, *parts = minimised(*batch)
        loss.backward()
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        grads = [p.grad for p in parameters]
        norm = torch.nn.utils.get_total_norm(grads)
        torch._foreach_mul_(grads, (1 / (norm + 1e-6)).clamp(max=1))
        for group in adamw.param_groups:
            group["lr"].copy_(full * factor)
        adamw.step()
        muon.step(factor, lambda p: p.grad)
        return norm, torch.stack(parts)

    def run(minimised, draw, going):
        make = lambda worker: Batches(args.data, losses.latents.shape[1], args.batch,
                                      [args.seed, keeper.state["step"], worker], args.lessons, MAX_TOKENS)
        drawn = iter(DataLoader(Stream(make, draw), batch_size=None, num_workers=args.processes, pin_memory=True))
        factor.zero_()
        recorded = Recorded(lambda *batch: step(minimised, *batch), next(drawn))
        keeper.clock = None
        for batch in drawn:
            go, share = keeper.decide()
            if not go or not going():
                break
            factor.fill_(share)
            keeper.after(*recorded(batch), share)

    words = lambda: keeper.state["seconds"] < 60 * args.words
    if words():
        run(losses.words, lambda batches: [torch.cat(p) for p in zip(*(batches.lesson(MAX_TOKENS) for _ in range(WORDS)))], words)
    run(losses.pictures, lambda batches: list(batches.next()), lambda: True)
    keeper.end()
