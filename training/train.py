"""Trains denoiser and text encoder together by flow matching; stops when a budget of minutes is used up, and goes on later.

The text encoder first learns alone, for `--words` minutes, to agree with a sentence encoder (teacher.py), and goes on
agreeing while both are trained.
"""

import argparse
import ctypes
import dataclasses
import math
import multiprocessing
import os
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

from batches import Batches
from files import append_line, read_json
from networks import PATCH, Shape, compile_blocks, denoise, encode_text, make_text_encoder, make_transformer, target_tokens
from optim import Muon
from paths import RUNS
from taesd import SCALING_FACTOR

TEACHING = 0.5  # weight of the lessons' loss


def rate(step, done, flat):
    """Share of the full learning rate: warm-up of 120 steps or a tenth of the time, whichever is shorter, a flat part, then a
    cosine to zero.
    """
    falling = min(max((done - flat) / (1 - flat), 0.0), 1.0)
    return min(1.0, max((step + 1) / 120, 10 * done)) * 0.5 * (1 + math.cos(math.pi * falling))


def stop_on_signals():
    """A list that is no longer empty once the process was asked to end."""
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    return stopping


def read_minutes(path, otherwise):
    try:
        return float(read_json(path)["minutes"])
    except (OSError, ValueError, KeyError):
        return otherwise


class Shared:
    """Weights, gradients of every process and a few numbers in memory that all the processes see."""

    def __init__(self, modules, ranks):
        self.named = {f"{m}.{k}": p for m, module in modules.items() for k, p in module.named_parameters()}
        total = sum(p.numel() for p in self.named.values())
        self.weights = torch.empty(total).share_memory_()
        self.grads = torch.zeros(ranks, total).share_memory_()
        self.numbers = torch.zeros(3, dtype=torch.float64).share_memory_()  # go on, rate, seconds
        self.losses = torch.zeros(ranks, 2).share_memory_()
        self.places, at = {}, 0
        for p in self.named.values():
            self.places[p] = slice(at, at + p.numel())
            self.weights[self.places[p]] = p.detach().flatten()
            p.data = self.weights[self.places[p]].view(p.shape)
            at += p.numel()

    def claim(self, rank):
        """Lets the backward pass of this process write into its own row."""
        for p, place in self.places.items():
            p.grad = self.grads[rank, place].view(p.shape)


class Losses:
    """What a process minimises; its tensors are its own, its weights are shared."""

    def __init__(self, args, shape, modules):
        self.transformer, self.text_encoder, self.pupil = (modules[k] for k in ("transformer", "text_encoder", "pupil"))
        self.mixing, self.cells = args.mixing, (shape.latent // PATCH) ** 2
        self.kept = round(self.cells * (1 - args.mask))

    def lesson(self, states, ends, vectors):
        """1 - cosine between the last token's state, projected, and the teacher's vector."""
        said = self.pupil(states[torch.arange(len(ends)), ends])
        return (1 - F.cosine_similarity(said, vectors)).mean()

    def words(self, ids, ends, vectors):
        return self.lesson(encode_text(self.text_encoder, ids), ends, vectors)

    def pictures(self, x0, noise, s, ids, mask, keep, taught_ids, taught_ends, vectors):
        w = s[:, None, None, None]
        states = encode_text(self.text_encoder, ids if taught_ids is None else torch.cat([ids, taught_ids]))
        x, context = (1 - w) * x0 + w * noise, states[: len(ids)]
        if keep is None:
            loss = (denoise(self.transformer, x, s, context, mask) - (noise - x0)).square().mean()
        else:
            got = denoise(self.transformer, x, s, context, mask, keep, self.mixing)
            loss = (got - target_tokens(noise - x0, keep)).square().mean()
        if taught_ids is None:
            return loss, loss.detach(), loss.detach() * 0
        taught = self.lesson(states[len(ids) :], taught_ends, vectors)
        return loss + TEACHING * taught, loss.detach(), taught.detach()


def place_of(name, times):
    """Where a denoiser `times` as deep keeps a parameter; the blocks between start closed, so that it computes the same."""
    head, blocks, tail = name.partition("transformer_blocks.")
    index, dot, rest = tail.partition(".")
    return f"{head}{blocks}{times * int(index)}{dot}{rest}" if blocks else name


def work(rank, args, shape, shared, modules, muon, adamw, barrier, old):
    """What each process does: half the batch, then half the matrices; process 0 also keeps time, average and log."""
    if rank:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with process 0
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    compile_blocks()
    state = {k: old[k] if old else 0 for k in ("step", "seconds", "pictures", "updates")}
    torch.manual_seed(1000 * args.seed + 2 * state["step"] + rank)
    muon.own = slice(rank, None, args.processes)
    shared.claim(rank)
    size = args.batch // args.processes
    lessons = args.lessons // args.processes
    batches = Batches(args.data, os.path.join(args.data, f"latents-{args.size}.npy"), size,
                      [args.seed, state["step"], rank], lessons)
    losses = Losses(args, shape, modules)
    keeper = Keeper(args, shape, shared, muon, adamw, state, old, len(batches.train)) if rank == 0 else None

    def forward():
        """The loss and its two parts, of pictures and of lessons."""
        if shared.numbers[2] < 60 * args.words:
            parts = [batches.lesson(8) for _ in range(8)]
            ids, ends, vectors = (torch.cat(p) for p in zip(*parts))
            loss = losses.words(ids, ends, vectors)
            return loss, torch.zeros(()), loss.detach()
        x0, ids, ends, mask, taught = batches.next()
        s = torch.rand(size)
        s = args.shift * s / (1 + (args.shift - 1) * s)
        keep = torch.rand(size, losses.cells).argsort(1)[:, : losses.kept] if args.mask else None
        return losses.pictures(x0 * SCALING_FACTOR, torch.randn_like(x0), s, ids, mask, keep, *(taught or (None,) * 3))

    shared.numbers[2] = state["seconds"]
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
            keeper.after(norm, factor)
            shared.numbers[2] = state["seconds"]
        barrier.wait()
    if keeper:
        keeper.save()
        print("stopped after", state["step"], "steps,", round(state["seconds"]), "seconds,", state["pictures"],
              "pictures", flush=True)


def flops_of(shape, named, mask, mixing):
    """About how many operations a picture costs, forward and backward: six per matrix element and token it meets."""
    cells = (shape.latent // PATCH) ** 2
    inner = sum(p.numel() for k, p in named.items() if k.startswith("transformer.transformer_blocks") and p.ndim == 2)
    words = sum(p.numel() for k, p in named.items() if k.startswith("text_encoder.") and "encoder.layers" in k and p.ndim == 2)
    seen = cells * (mixing + (shape.layers - mixing) * (1 - mask)) / shape.layers if mask else cells
    return 6 * (inner * seen + words * 8)


class Keeper:
    """The clock, the moving average, the log and the checkpoints."""

    def __init__(self, args, shape, shared, muon, adamw, state, old, items):
        self.items, self.shape = items, shape
        self.args, self.shared, self.muon, self.adamw, self.state = args, shared, muon, adamw, state
        self.control = os.path.join(args.run, "control.json")  # {"minutes": n} here moves the end of the run
        self.minutes = read_minutes(self.control, args.minutes)
        self.parameters = [p.detach() for p in shared.named.values()]
        self.ema = [old["ema"][k].clone() if old else p.clone() for k, p in zip(shared.named, self.parameters)]
        self.stopping = stop_on_signals()
        self.flops = flops_of(shape, shared.named, args.mask, args.mixing)
        self.last_save, self.clock = time.monotonic(), None
        self.window, self.window_start = [], state["seconds"]

    def decide(self):
        """Whether to take one more step, and at which share of the learning rate."""
        go = not self.stopping and self.state["seconds"] < 60 * self.minutes
        go = go and (self.args.steps is None or self.state["step"] < self.args.steps)
        done = self.state["seconds"] / (60 * self.minutes)
        return float(go), self.args.rate * rate(self.state["step"], done, self.args.flat)

    def after(self, norm, factor):
        state, args = self.state, self.args
        state["step"] += 1
        if self.state["seconds"] >= 60 * args.words:
            state["pictures"] += args.batch
        if state["step"] % 10 == 0:
            state["updates"] += 1
            torch._foreach_lerp_(self.ema, self.parameters, 1 - min(0.998, state["updates"] / (state["updates"] + 29)))
        now = time.monotonic()
        if self.clock is not None:
            state["seconds"] += min(now - self.clock, 10.0)  # a paused process does not count as training
        self.clock = now
        self.window.append(self.shared.losses.mean(0).tolist())
        if state["step"] % 20 == 0:
            self.minutes = read_minutes(self.control, self.minutes)
            seconds = max(state["seconds"] - self.window_start, 1e-9)
            row = {"step": state["step"], "epoch": round(state["pictures"] / self.items, 1),
                   "seconds": round(state["seconds"], 1), "pictures": state["pictures"],
                   "flops": self.flops * state["pictures"],
                   "loss": round(float(np.mean([p for p, _ in self.window])), 4),
                   "lesson": round(float(np.mean([t for _, t in self.window])), 4),
                   "rate": round(factor, 4), "norm": round(norm, 3),
                   "per_second": round(args.batch * len(self.window) / seconds, 1),
                   "minutes": self.minutes, "time": time.strftime("%H:%M:%S")}
            append_line(os.path.join(args.run, "log.jsonl"), row)
            self.window, self.window_start = [], state["seconds"]
        if now - self.last_save > 300:
            self.save()
            self.last_save = time.monotonic()

    def save(self):
        path = os.path.join(self.args.run, "checkpoint.pt")
        names = list(self.shared.named)
        torch.save({"weights": {k: p.clone() for k, p in zip(names, self.parameters)}, "ema": dict(zip(names, self.ema)),
                    "adamw": self.adamw.state_dict(), "muon": self.muon.state_dict(), **self.state,
                    "shape": dataclasses.asdict(self.shape), "options": vars(self.args)}, path + ".new")
        os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--run", default=os.path.join(RUNS, "emoji"))
    parser.add_argument("--minutes", type=float, default=300, help="trained time in all, over every resume")
    parser.add_argument("--steps", type=int, help="stop after so many steps in all, whatever the time")
    parser.add_argument("--words", type=float, default=0, help="minutes at the start in which only words are learnt")
    parser.add_argument("--lessons", type=int, default=0, help="texts a batch with the teacher's vectors; needs teacher.pt")
    parser.add_argument("--size", type=int, default=64, help="pixels of the pictures whose latents are trained on")
    parser.add_argument("--start", help="checkpoint whose weights a new run starts from, of smaller pictures or of half the depth")
    parser.add_argument("--mask", type=float, default=0.0, help="share of patches that the blocks after --mixing do not see")
    parser.add_argument("--mixing", type=int, default=2, help="blocks that see every patch when some are masked")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--text-layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--shift", type=float, default=3.0,
                        help="of uniform noise levels towards noise, as in Esser et al. 2024, equation 23; 1: uniform")
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--lr", type=float, default=1e-3, help="of AdamW")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--flat", type=float, default=0.5, help="share of the time before the learning rate falls")
    parser.add_argument("--rate", type=float, default=1.0, help="times both learning rates; above 1 to go on near the end")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each; they share a batch")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    os.makedirs(args.run, exist_ok=True)
    vocabulary = len(read_json(args.data, "tokenizer.json")["model"]["vocab"])
    shape = Shape(vocabulary, args.width, args.heads, args.layers, args.text_layers, args.size // 8)
    saved = os.path.join(args.run, "checkpoint.pt")
    old = torch.load(saved) if os.path.exists(saved) else None
    modules = {"transformer": make_transformer(shape), "text_encoder": make_text_encoder(shape),
               "pupil": torch.nn.Linear(shape.width, 384, bias=False)}
    shared = Shared(modules, args.processes)
    inner = [args.optimizer == "muon" and p.ndim == 2 and k.endswith("weight")
             and ("transformer_blocks" in k or "encoder.layers" in k) for k, p in shared.named.items()]
    parameters = list(shared.named.values())
    adamw = torch.optim.AdamW([p for p, own in zip(parameters, inner) if not own], lr=args.lr, betas=(0.9, 0.98),
                              weight_decay=0.01, foreach=True)
    muon = Muon([p for p, own in zip(parameters, inner) if own], lr=args.muon_lr)
    begun = old or (torch.load(args.start) if args.start else None)
    if begun:
        times, rest = divmod(shape.layers, begun["shape"]["layers"])
        assert not rest, f"--layers: expected a multiple of {begun['shape']['layers']}, got {shape.layers}"
        with torch.no_grad():
            for k, p in begun["weights" if old else "ema"].items():
                shared.named[place_of(k, times)].copy_(p)
    if old:
        adamw.load_state_dict(old["adamw"])
        muon.load_state_dict(old["muon"])
    print("parameters", sum(p.numel() for p in parameters), "of them Muon's",
          sum(p.numel() for p, own in zip(parameters, inner) if own), shape, flush=True)
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(args.processes)
    others = [fork.Process(target=work, args=(rank, args, shape, shared, modules, muon, adamw, barrier, old))
              for rank in range(1, args.processes)]
    for process in others:
        process.start()
    work(0, args, shape, shared, modules, muon, adamw, barrier, old)
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
