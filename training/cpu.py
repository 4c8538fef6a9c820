"""Training on the CPU: processes of one thread each share weights, batch and optimiser.

A busy core then holds up a step, not every kernel.
"""

import ctypes
import multiprocessing
import os
import signal

import torch

from batches import SHORT, Batches
from keeper import Keeper
from losses import Losses
from networks import compile_blocks


PROCESSES = 2


def adamw_options(lr):
    return {"lr": lr, "foreach": True}


class Shared:
    """Weights, gradients of every process and a few numbers in memory that all the processes see."""

    def __init__(self, named, ranks):
        total = sum(p.numel() for p in named.values())
        self.weights = torch.empty(total).share_memory_()
        self.grads = torch.zeros(ranks, total).share_memory_()
        self.numbers = torch.zeros(3, dtype=torch.float64).share_memory_()  # go on, rate, seconds
        self.losses = torch.zeros(ranks, 2).share_memory_()
        self.places, at = {}, 0
        for p in named.values():
            self.places[p] = slice(at, at + p.numel())
            self.weights[self.places[p]] = p.detach().flatten()
            p.data = self.weights[self.places[p]].view(p.shape)
            at += p.numel()

    def claim(self, rank):
        """Lets the backward pass of this process write into its own row."""
        for p, place in self.places.items():
            p.grad = self.grads[rank, place].view(p.shape)


def work(rank, args, shape, modules, named, shared, muon, adamw, barrier, old):
    """What each process does: half the batch, then half the matrices; process 0 also keeps time, average and log."""
    if rank:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with process 0
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    compile_blocks()
    keeper = Keeper(args, shape, named, muon, adamw, old) if rank == 0 else None
    begun = old["step"] if old else 0
    torch.manual_seed(1000 * args.seed + 2 * begun + rank)
    muon.own = slice(rank, None, args.processes)
    shared.claim(rank)
    size = args.batch // args.processes
    lessons = args.lessons // args.processes
    losses = Losses(args, shape, modules)
    batches = Batches(args.data, losses.latents.shape[1], size, [args.seed, begun, rank], lessons)

    def forward():
        """The loss and its two parts, of pictures and of lessons."""
        if shared.numbers[2] < 60 * args.words:
            return losses.words(*(torch.cat(parts) for parts in zip(*(batches.lesson(SHORT) for _ in range(8)))))
        return losses.pictures(*batches.next())

    if keeper:
        shared.numbers[2] = keeper.state["seconds"]
    barrier.wait()
    while True:
        shared.grads[rank].zero_()
        loss, pictures, taught = forward()
        loss.backward()
        shared.losses[rank] = torch.stack([pictures, taught])
        if keeper:
            shared.numbers[:2] = torch.tensor(keeper.decide(), dtype=torch.float64)
        barrier.wait()
        go, factor = shared.numbers[:2].tolist()
        if not go:
            break
        mean = shared.grads.mean(0)
        norm = mean.norm().item()
        mean *= min(1.0, 1 / (norm + 1e-6))
        if keeper:
            for group in adamw.param_groups:
                group["lr"] = args.lr * factor
                for p in group["params"]:
                    p.grad = mean[shared.places[p]].view(p.shape)
            adamw.step()
            shared.claim(rank)
        muon.step(factor, lambda p: mean[shared.places[p]].view(p.shape))
        if keeper:
            keeper.after(norm, shared.losses.mean(0), factor)
            shared.numbers[2] = keeper.state["seconds"]
        barrier.wait()
    if keeper:
        keeper.end()


def train(args, shape, modules, named, muon, adamw, old):
    shared = Shared(named, args.processes)
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(args.processes)
    own = (args, shape, modules, named, shared, muon, adamw, barrier, old)
    others = [fork.Process(target=work, args=(rank, *own)) for rank in range(1, args.processes)]
    for process in others:
        process.start()
    work(0, *own)
    for process in others:
        process.join()
