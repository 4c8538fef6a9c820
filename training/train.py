"""Trains denoiser and text encoder together by flow matching; stops when a budget of minutes is used up."""

import argparse
import ctypes
import json
import math
import multiprocessing
import os
import signal
import time

import numpy as np
import torch

from captions import HERE, LANGUAGES, asked_for
from model import (BOS, EOS, MAX_TOKENS, PAD, SCALING_FACTOR, UNK, denoise, encode_text, make_text_encoder,
                   make_transformer)
from optim import Muon

SHORT = 8
DROP = 0.1
PLAIN = 0.6  # share of pictures shown as they are; the others are the shrunk and shifted copies
BROKEN = 0.15  # share of captions read with merges left out, so that unknown spellings are not unknown tokens
STRANGE = 0.04  # share of captions with an unknown token put somewhere, so that it means nothing


class Batches:
    """Endless shuffled passes over the items, cut into batches whose captions have one padded length."""

    def __init__(self, folder, size, seed, practice=0.0):
        """`practice` is the share of pictures that are drawn from the items people ask for, by the words they use."""
        self.rng = np.random.default_rng(seed)
        self.size = size
        self.latents = torch.load(os.path.join(folder, "latents.pt")) * SCALING_FACTOR
        with open(os.path.join(folder, "captions.json"), encoding="utf-8") as f:
            data = json.load(f)
        self.choices = []
        for rows in data["captions"]:
            for g in LANGUAGES:
                own = [(data["ids"][c], p) for lang, c, p, _ in rows if lang == g]
                self.choices.append(([ids for ids, _ in own], np.cumsum([p for _, p in own])))
        self.practice = practice
        self.asked = [(k, data["ids"][c]) for k, c in asked_for(data["items"])]
        self.waiting = {SHORT: [], MAX_TOKENS: []}
        self.order = []

    def pair(self):
        """An item and one of its captions as ids."""
        if self.rng.random() < self.practice:
            item, ids = self.asked[int(self.rng.integers(len(self.asked)))]
            return item, self.roughen(ids)
        if not self.order:
            self.order = self.rng.permutation(len(self.latents)).tolist()
        item = self.order.pop()
        if self.rng.random() < DROP:
            return item, [BOS, EOS]
        captions, sums = self.choices[2 * item + int(self.rng.integers(2))]
        ids = captions[min(int(np.searchsorted(sums, self.rng.random() * sums[-1])), len(captions) - 1)]
        return item, self.roughen(ids)

    def roughen(self, ids):
        """One of a caption's splits into tokens, sometimes with an unknown word in it."""
        ids = ids[int(self.rng.integers(1, len(ids)))] if self.rng.random() < BROKEN else ids[0]
        if self.rng.random() < STRANGE:
            place = int(self.rng.integers(1, len(ids)))
            ids = [*ids[:place], UNK, *ids[place:]]
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], EOS]

    def next(self):
        while True:
            item, ids = self.pair()
            length = SHORT if len(ids) <= SHORT else MAX_TOKENS
            self.waiting[length].append((item, ids))
            if len(self.waiting[length]) == self.size:
                break
        rows, self.waiting[length] = self.waiting[length], []
        copies = self.rng.integers(1, self.latents.shape[1], size=self.size)
        copies[self.rng.random(self.size) < PLAIN] = 0
        x0 = self.latents[torch.tensor([i for i, _ in rows]), torch.from_numpy(copies)]
        ids = torch.full((self.size, length), PAD)
        for row, (_, tokens) in zip(ids, rows):
            row[: len(tokens)] = torch.tensor(tokens)
        mask = torch.arange(length)[None] < torch.tensor([len(t) for _, t in rows])[:, None]
        return x0, ids, mask.float()


def rate(step, done):
    """Share of the full learning rate: 120 steps of warm-up, 30 % of the time flat, then a cosine to zero."""
    falling = min(max((done - 0.3) / 0.7, 0.0), 1.0)
    return min(1.0, (step + 1) / 120) * 0.5 * (1 + math.cos(math.pi * falling))


def read_minutes(path, otherwise):
    try:
        with open(path, encoding="utf-8") as f:
            return float(json.load(f)["minutes"])
    except (OSError, ValueError, KeyError):
        return otherwise


class Shared:
    """Weights, gradients of every process and a few numbers in memory that all the processes see."""

    def __init__(self, modules, ranks):
        self.named = {f"{m}.{k}": p for m, module in modules.items() for k, p in module.named_parameters()}
        total = sum(p.numel() for p in self.named.values())
        self.weights = torch.empty(total).share_memory_()
        self.grads = torch.zeros(ranks, total).share_memory_()
        self.numbers = torch.zeros(2 + ranks, dtype=torch.float64).share_memory_()  # go on, rate, losses
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


def work(rank, args, shared, modules, muon, adamw, barrier, old):
    """What each process does: half the batch, then half the matrices; process 0 also keeps time, average and log."""
    if rank:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with process 0
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    state = {k: old[k] if old else 0 for k in ("step", "seconds", "pictures", "updates")}
    torch.manual_seed(1000 * args.seed + 2 * state["step"] + rank)
    muon.own = slice(rank, None, args.processes)
    shared.claim(rank)
    size = args.batch // args.processes
    batches = Batches(args.data, size, [args.seed, state["step"], rank], args.practice)
    transformer, text_encoder = modules["transformer"], modules["text_encoder"]

    @torch.compile(dynamic=False)
    def loss_of(x0, noise, s, ids, mask):
        w = s[:, None, None, None]
        context = encode_text(text_encoder, ids)
        velocity = denoise(transformer, (1 - w) * x0 + w * noise, s, context, mask)
        return (velocity - (noise - x0)).square().mean()

    keeper = Keeper(args, shared, muon, adamw, state, old, len(batches.latents)) if rank == 0 else None
    while True:
        x0, ids, mask = batches.next()
        s = torch.sigmoid(torch.randn(size) + 0.3)
        shared.grads[rank].zero_()
        loss = loss_of(x0, torch.randn_like(x0), s, ids, mask)
        loss.backward()
        shared.numbers[2 + rank] = loss.item()
        if keeper:
            shared.numbers[0], shared.numbers[1] = keeper.decide()
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
        barrier.wait()
        if keeper:
            keeper.after(norm, factor)
    if keeper:
        keeper.save()
        print("stopped after", state["step"], "steps,", round(state["seconds"]), "seconds,", state["pictures"],
              "pictures", flush=True)


class Keeper:
    """The clock, the moving average, the log and the checkpoints."""

    def __init__(self, args, shared, muon, adamw, state, old, items):
        self.items = items
        self.args, self.shared, self.muon, self.adamw, self.state = args, shared, muon, adamw, state
        self.control = os.path.join(args.run, "control.json")  # {"minutes": n} here moves the end of the run
        self.minutes = read_minutes(self.control, args.minutes)
        self.parameters = [p.detach() for p in shared.named.values()]
        self.ema = [old["ema"][k].clone() if old else p.clone() for k, p in zip(shared.named, self.parameters)]
        self.stopping = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.append(True))
        self.last_save, self.clock = time.monotonic(), None
        self.window, self.window_start = [], state["seconds"]

    def decide(self):
        """Whether to take one more step, and at which share of the learning rate."""
        go = not self.stopping and self.state["seconds"] < 60 * self.minutes
        return float(go), self.args.rate * rate(self.state["step"], self.state["seconds"] / (60 * self.minutes))

    def after(self, norm, factor):
        state, args = self.state, self.args
        state["step"] += 1
        state["pictures"] += args.batch
        if state["step"] % 10 == 0:
            state["updates"] += 1
            torch._foreach_lerp_(self.ema, self.parameters, 1 - min(0.998, state["updates"] / (state["updates"] + 9)))
        now = time.monotonic()
        if self.clock is not None:
            state["seconds"] += min(now - self.clock, 10.0)  # a paused process does not count as training
        self.clock = now
        self.window.append(self.shared.numbers[2:].mean().item())
        if state["step"] % 20 == 0:
            self.minutes = read_minutes(self.control, self.minutes)
            seconds = max(state["seconds"] - self.window_start, 1e-9)
            row = {"step": state["step"], "epoch": round(state["pictures"] / self.items, 1),
                   "seconds": round(state["seconds"], 1), "loss": round(float(np.mean(self.window)), 4),
                   "rate": round(factor, 4), "norm": round(norm, 3),
                   "per_second": round(args.batch * len(self.window) / seconds, 1),
                   "minutes": self.minutes, "time": time.strftime("%H:%M:%S")}
            with open(os.path.join(args.run, "log.jsonl"), "a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")
            self.window, self.window_start = [], state["seconds"]
        if now - self.last_save > 300:
            self.save()
            self.last_save = time.monotonic()

    def save(self):
        path = os.path.join(self.args.run, "checkpoint.pt")
        names = list(self.shared.named)
        torch.save({"weights": {k: p.clone() for k, p in zip(names, self.parameters)}, "ema": dict(zip(names, self.ema)),
                    "adamw": self.adamw.state_dict(), "muon": self.muon.state_dict(), **self.state,
                    "vocabulary": self.args.vocabulary, "options": vars(self.args)}, path + ".new")
        os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.path.join(HERE, "runs", "data"))
    parser.add_argument("--run", default=os.path.join(HERE, "runs", "emoji"))
    parser.add_argument("--minutes", type=float, default=115, help="trained time in all, over every resume")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--lr", type=float, default=1e-3, help="of AdamW")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--rate", type=float, default=1.0, help="times both learning rates; above 1 to go on near the end")
    parser.add_argument("--practice", type=float, default=0.0, help="share of pictures drawn by captions of data/extra.json")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each; they share a batch")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    os.makedirs(args.run, exist_ok=True)
    with open(os.path.join(args.data, "captions.json"), encoding="utf-8") as f:
        args.vocabulary = 1 + max(i for rows in json.load(f)["ids"].values() for ids in rows for i in ids)
    saved = os.path.join(args.run, "checkpoint.pt")
    old = torch.load(saved) if os.path.exists(saved) else None
    modules = {"transformer": make_transformer(), "text_encoder": make_text_encoder(args.vocabulary)}
    shared = Shared(modules, args.processes)
    inner = [args.optimizer == "muon" and p.ndim == 2 and k.endswith("weight")
             and ("transformer_blocks" in k or "encoder.layers" in k) for k, p in shared.named.items()]
    parameters = list(shared.named.values())
    adamw = torch.optim.AdamW([p for p, own in zip(parameters, inner) if not own], lr=args.lr, betas=(0.9, 0.98),
                              weight_decay=0.01, foreach=True)
    muon = Muon([p for p, own in zip(parameters, inner) if own], lr=args.muon_lr)
    if old:
        with torch.no_grad():
            for k, p in shared.named.items():
                p.copy_(old["weights"][k])
        adamw.load_state_dict(old["adamw"])
        muon.load_state_dict(old["muon"])
    print("parameters", sum(p.numel() for p in parameters), "of them Muon's",
          sum(p.numel() for p, own in zip(parameters, inner) if own), "vocabulary", args.vocabulary, flush=True)
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(args.processes)
    others = [fork.Process(target=work, args=(rank, args, shared, modules, muon, adamw, barrier, old))
              for rank in range(1, args.processes)]
    for process in others:
        process.start()
    work(0, args, shared, modules, muon, adamw, barrier, old)
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
