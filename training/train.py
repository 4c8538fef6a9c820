"""Trains denoiser and text encoder together by flow matching; stops when a budget of minutes is used up."""

import argparse
import json
import math
import os
import signal
import time

import numpy as np
import torch

from captions import HERE, LANGUAGES
from model import (BOS, EOS, MAX_TOKENS, PAD, SCALING_FACTOR, UNK, denoise, encode_text, make_text_encoder,
                   make_transformer)
from optim import Muon

SHORT = 8
DROP = 0.1
BROKEN = 0.15  # share of captions read with merges left out, so that unknown spellings are not unknown tokens
STRANGE = 0.04  # share of captions with an unknown token put somewhere, so that it means nothing


class Batches:
    """Endless shuffled passes over the items, cut into batches whose captions have one padded length."""

    def __init__(self, folder, size, seed):
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
        self.vocabulary = 1 + max(i for rows in data["ids"].values() for ids in rows for i in ids)
        self.waiting = {SHORT: [], MAX_TOKENS: []}
        self.order = []

    def caption(self, item):
        if self.rng.random() < DROP:
            return [BOS, EOS]
        captions, sums = self.choices[2 * item + int(self.rng.integers(2))]
        ids = captions[min(int(np.searchsorted(sums, self.rng.random() * sums[-1])), len(captions) - 1)]
        ids = ids[int(self.rng.integers(1, len(ids)))] if self.rng.random() < BROKEN else ids[0]
        if self.rng.random() < STRANGE:
            place = int(self.rng.integers(1, len(ids)))
            ids = [*ids[:place], UNK, *ids[place:]]
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], EOS]

    def next(self):
        while True:
            if not self.order:
                self.order = self.rng.permutation(len(self.latents)).tolist()
            item = self.order.pop()
            ids = self.caption(item)
            length = SHORT if len(ids) <= SHORT else MAX_TOKENS
            self.waiting[length].append((item, ids))
            if len(self.waiting[length]) == self.size:
                break
        rows, self.waiting[length] = self.waiting[length], []
        copies = self.rng.integers(self.latents.shape[1], size=self.size)
        x0 = self.latents[torch.tensor([i for i, _ in rows]), torch.from_numpy(copies)]
        ids = torch.full((self.size, length), PAD)
        for row, (_, tokens) in zip(ids, rows):
            row[: len(tokens)] = torch.tensor(tokens)
        mask = torch.arange(length)[None] < torch.tensor([len(t) for _, t in rows])[:, None]
        return x0, ids, mask.float()


def rate(step, done):
    """Share of the full learning rate: 120 steps of warm-up, 40 % of the time flat, then a cosine to zero."""
    falling = min(max((done - 0.4) / 0.6, 0.0), 1.0)
    return min(1.0, (step + 1) / 120) * 0.5 * (1 + math.cos(math.pi * falling))


def read_minutes(path, otherwise):
    try:
        with open(path, encoding="utf-8") as f:
            return float(json.load(f)["minutes"])
    except (OSError, ValueError, KeyError):
        return otherwise


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.path.join(HERE, "runs", "data"))
    parser.add_argument("--run", default=os.path.join(HERE, "runs", "emoji"))
    parser.add_argument("--minutes", type=float, default=115, help="trained time in all, over every resume")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--lr", type=float, default=1e-3, help="of AdamW")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.run, exist_ok=True)
    control = os.path.join(args.run, "control.json")  # {"minutes": n} here moves the end while the run goes on
    saved = os.path.join(args.run, "checkpoint.pt")

    old = torch.load(saved) if os.path.exists(saved) else None
    batches = Batches(args.data, args.batch, [args.seed, old["step"] if old else 0])
    transformer, text_encoder = make_transformer(), make_text_encoder(batches.vocabulary)
    named = {**{"transformer." + k: p for k, p in transformer.named_parameters()},
             **{"text_encoder." + k: p for k, p in text_encoder.named_parameters()}}
    names, parameters = list(named), list(named.values())
    inner = [args.optimizer == "muon" and p.ndim == 2 and k.endswith("weight")
             and ("transformer_blocks" in k or "encoder.layers" in k) for k, p in named.items()]
    adamw = torch.optim.AdamW([p for p, own in zip(parameters, inner) if not own], lr=args.lr, betas=(0.9, 0.98),
                              weight_decay=0.01, foreach=True)
    muon = Muon([p for p, own in zip(parameters, inner) if own], lr=args.muon_lr)
    ema = [p.detach().clone() for p in parameters]
    step, seconds, pictures, updates = 0, 0.0, 0, 0
    if old:
        with torch.no_grad():
            for p, e, k in zip(parameters, ema, names):
                p.copy_(old["weights"][k])
                e.copy_(old["ema"][k])
        adamw.load_state_dict(old["adamw"])
        muon.load_state_dict(old["muon"])
        step, seconds, pictures, updates = (old[k] for k in ("step", "seconds", "pictures", "updates"))
        torch.manual_seed(args.seed + step)
    print("parameters", sum(p.numel() for p in parameters), "of them Muon's",
          sum(p.numel() for p, own in zip(parameters, inner) if own), "vocabulary", batches.vocabulary, flush=True)

    @torch.compile(dynamic=False)
    def loss_of(x0, noise, s, ids, mask):
        w = s[:, None, None, None]
        context = encode_text(text_encoder, ids)
        velocity = denoise(transformer, (1 - w) * x0 + w * noise, s, context, mask)
        return (velocity - (noise - x0)).square().mean()

    def save():
        torch.save({"weights": dict(zip(names, [p.detach() for p in parameters])), "ema": dict(zip(names, ema)),
                    "adamw": adamw.state_dict(), "muon": muon.state_dict(), "step": step, "seconds": seconds,
                    "pictures": pictures, "updates": updates, "vocabulary": batches.vocabulary,
                    "options": vars(args)}, saved + ".new")
        os.replace(saved + ".new", saved)

    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    minutes = read_minutes(control, args.minutes)
    last_save, window, window_start = time.monotonic(), [], seconds
    clock = None
    while not stopping and seconds < 60 * minutes:
        x0, ids, mask = batches.next()
        s = torch.sigmoid(torch.randn(args.batch) + 0.3)
        loss = loss_of(x0, torch.randn_like(x0), s, ids, mask)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        factor = rate(step, seconds / (60 * minutes))
        for group in adamw.param_groups:
            group["lr"] = args.lr * factor
        adamw.step()
        muon.step(factor)
        for p in parameters:
            p.grad = None
        step += 1
        pictures += args.batch
        if step % 10 == 0:
            updates += 1
            torch._foreach_lerp_(ema, [p.detach() for p in parameters], 1 - min(0.998, updates / (updates + 9)))
        now = time.monotonic()
        if clock is not None:
            seconds += min(now - clock, 10.0)  # a paused process does not count as training
        clock = now
        window.append(loss.item())
        if step % 20 == 0:
            minutes = read_minutes(control, minutes)
            row = {"step": step, "epoch": round(pictures / len(batches.latents), 1), "seconds": round(seconds, 1),
                   "loss": round(float(np.mean(window)), 4), "rate": round(factor, 4), "norm": round(float(norm), 3),
                   "per_second": round(args.batch * len(window) / max(seconds - window_start, 1e-9), 1),
                   "minutes": minutes, "time": time.strftime("%H:%M:%S")}
            with open(os.path.join(args.run, "log.jsonl"), "a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")
            window, window_start = [], seconds
        if now - last_save > 300:
            save()
            last_save = time.monotonic()
    save()
    print("stopped after", step, "steps,", round(seconds), "seconds,", pictures, "pictures", flush=True)


if __name__ == "__main__":
    main()
