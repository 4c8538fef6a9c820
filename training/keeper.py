"""What a run keeps: its clock, learning rate, moving average, log and checkpoints."""

import dataclasses
import math
import os
import signal
import time

import torch

from files import append_line, read_json
from networks import PATCH


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


def flops_of(shape, named, mask, mixing):
    """About how many operations a picture costs, forward and backward: six per matrix element and token it meets."""
    cells = (shape.latent // PATCH) ** 2
    inner = sum(p.numel() for k, p in named.items() if k.startswith("transformer.transformer_blocks") and p.ndim == 2)
    words = sum(p.numel() for k, p in named.items() if k.startswith("text_encoder.") and "encoder.layers" in k and p.ndim == 2)
    seen = cells * (mixing + (shape.layers - mixing) * (1 - mask)) / shape.layers if mask else cells
    return 6 * (inner * seen + words * 8)


def save_checkpoint(path, state):
    """In place of the old one at once, so that a stop in between leaves that."""
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


class Keeper:
    """The clock, the moving average, the log and the checkpoints."""

    def __init__(self, args, shape, named, muon, adamw, old):
        self.args, self.shape, self.names, self.muon, self.adamw = args, shape, list(named), muon, adamw
        self.state = {k: old[k] if old else 0 for k in ("step", "seconds", "pictures", "updates")}
        self.items = len(read_json(args.data, "split.json")["train"])
        self.control = os.path.join(args.run, "control.json")  # {"minutes": n} here moves the end of the run
        self.minutes = read_minutes(self.control, args.minutes)
        self.parameters = [p.detach() for p in named.values()]
        self.ema = [old["ema"][k].to(p) if old else p.clone() for k, p in zip(named, self.parameters)]
        self.stopping = stop_on_signals()
        self.flops = flops_of(shape, named, args.mask, args.mixing)
        self.last_save, self.clock = time.monotonic(), None
        self.window, self.window_start = [], self.state["seconds"]

    def decide(self):
        """Whether to take one more step, and at which share of the learning rate."""
        go = not self.stopping and self.state["seconds"] < 60 * self.minutes
        go = go and (self.args.steps is None or self.state["step"] < self.args.steps)
        done = self.state["seconds"] / (60 * self.minutes)
        return float(go), self.args.rate * rate(self.state["step"], done, self.args.flat)

    def after(self, norm, losses, factor):
        """Counts a step; `losses` are its parts, of pictures and of lessons."""
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
        self.window.append(losses.clone())
        if state["step"] % 20 == 0:
            self.minutes = read_minutes(self.control, self.minutes)
            seconds = max(state["seconds"] - self.window_start, 1e-9)
            pictures, lessons = torch.stack(self.window).mean(0).tolist()
            row = {"size": self.args.size, "step": state["step"], "epoch": round(state["pictures"] / self.items, 1),
                   "seconds": round(state["seconds"], 1), "pictures": state["pictures"],
                   "flops": self.flops * state["pictures"],
                   "loss": round(pictures, 4), "lesson": round(lessons, 4),
                   "rate": round(factor, 4), "norm": round(float(norm), 3),
                   "per_second": round(args.batch * len(self.window) / seconds, 1),
                   "minutes": self.minutes, "time": time.strftime("%H:%M:%S")}
            append_line(os.path.join(args.run, "log.jsonl"), row)
            self.window, self.window_start = [], state["seconds"]
        if now - self.last_save > 300:
            self.save()
            self.last_save = time.monotonic()

    def save(self):
        path = os.path.join(self.args.run, "checkpoint.pt")
        kept = lambda values: {k: p.cpu().clone() for k, p in zip(self.names, values)}
        save_checkpoint(path, {"weights": kept(self.parameters), "ema": kept(self.ema),
                               "adamw": self.adamw.state_dict(), "muon": self.muon.state_dict(), **self.state,
                               "shape": dataclasses.asdict(self.shape), "options": vars(self.args)})

    def end(self):
        self.save()
        print("stopped after", self.state["step"], "steps,", round(self.state["seconds"]), "seconds,",
              self.state["pictures"], "pictures", flush=True)
