"""The frozen scorer: picture to label, trained once on real pictures; it judges drawings and never trains the model.

A small residual network gives a unit vector; every item has a unit vector too, and the label is the nearest item. Trained
with strong augmentation on all styles but the held-out pairs, so that its score on those real pictures is a ceiling.
"""

import argparse
import hashlib
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from files import read_json, read_lines
from optim import MuonWithAdamW
from paths import HERE, RUNS

FILE = os.path.join(HERE, "data", "scorer.safetensors")
ITEMS = os.path.join(HERE, "data", "scorer.json")
WIDTHS = (32, 64, 128, 192)
FEATURES = 128
SHARPNESS = 20.0  # cosines times this are the logits


class Residual(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.down = nn.Conv2d(inner, outer, 3, 2, 1, bias=False)
        self.norm1, self.norm2, self.norm3 = (nn.GroupNorm(8, outer) for _ in range(3))
        self.conv1 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)

    def forward(self, x):
        x = F.relu(self.norm1(self.down(x)))
        return F.relu(x + self.norm3(self.conv2(F.relu(self.norm2(self.conv1(x))))))


class Scorer(nn.Module):
    def __init__(self, items):
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 4, 2, 1)
        self.blocks = nn.Sequential(*(Residual(a, b) for a, b in zip(WIDTHS, WIDTHS[1:])))
        self.head = nn.Linear(WIDTHS[-1] * 4, FEATURES)
        self.items = nn.Parameter(torch.randn(items, FEATURES))

    def vectors(self, x):
        """Pictures [B, 3, 64, 64] in [-1, 1] to unit vectors [B, FEATURES]."""
        x = F.adaptive_avg_pool2d(self.blocks(F.relu(self.stem(x))), 2)
        return F.normalize(self.head(x.flatten(1)), dim=1)

    def forward(self, x):
        """Cosine with every item. Shape [B, items]."""
        return self.vectors(x) @ F.normalize(self.items, dim=1).T


def to_input(pictures):
    """Bytes [n, 64, 64, 3] to what the scorer reads."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def distorted(x, rng):
    """Pictures of twice the size, moved, turned, tinted, blurred and noised. [B, 3, 128, 128] to [B, 3, 64, 64]."""
    b = len(x)
    draw = lambda low, high: torch.from_numpy(rng.uniform(low, high, b)).float()
    angle, scale = draw(-0.25, 0.25), draw(0.85, 1.3)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack([torch.stack([cos, -sin, draw(-0.12, 0.12)], 1), torch.stack([sin, cos, draw(-0.12, 0.12)], 1)], 1)
    x = 1 - F.grid_sample(1 - F.avg_pool2d(x, 2), F.affine_grid(theta, (b, 3, 64, 64), align_corners=False),
                          align_corners=False)
    tint = torch.stack([draw(-0.12, 0.12) for _ in range(3)], 1)[:, :, None, None]
    x = 1 - (1 - x) * draw(0.8, 1.2)[:, None, None, None] + tint * (1 - x).clamp(0, 1)
    soft = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    x = torch.lerp(x, soft, (draw(-0.5, 1).clamp(min=0))[:, None, None, None])
    x = x + draw(0, 0.12)[:, None, None, None] * torch.randn_like(x)
    size, y0, x0 = (rng.integers(low, high, b) for low, high in ((0, 20), (0, 64), (0, 64)))
    for k in range(b):
        x[k, :, y0[k] : y0[k] + size[k], x0[k] : x0[k] + size[k]] = 1
    return x.clamp(-1, 1)


def training_rows(folder):
    """Indices of single pictures that may be seen, and the item of each; items are base items in the order of the list."""
    rows = read_lines(folder, "rows.jsonl")
    items = sorted({r["item"] for r in rows if "item" in r and "+" not in r["item"]})
    place = {item: k for k, item in enumerate(items)}
    fit = [k for k, r in enumerate(rows) if not r.get("heldOut") and r.get("item") in place]
    return items, np.array(fit), torch.tensor([place[rows[k]["item"]] for k in fit]), np.array(
        [rows[k].get("weight", 1.0) ** 0.5 for k in fit])


def load_scorer():
    about = read_json(ITEMS)
    with open(FILE, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    if digest != about["sha256"]:
        raise ValueError(f"{FILE}: expected sha256 {about['sha256']}, got {digest}")
    model = Scorer(len(about["items"]))
    model.load_state_dict({k: v.float() for k, v in load_file(FILE).items()})
    return model.eval(), about["items"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--run", default=os.path.join(RUNS, "scorer"))
    parser.add_argument("--pictures", type=int, default=250_000, help="shown in all")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3, help="of AdamW: stem, head, items, norms")
    parser.add_argument("--muon-lr", type=float, default=0.02, help="of the other kernels")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    os.makedirs(args.run, exist_ok=True)
    items, rows, labels, weights = training_rows(args.data)
    pixels = np.load(os.path.join(args.data, "pixels.npy"), mmap_mode="r")
    model = Scorer(len(items))
    kernels = [p for p in model.blocks.parameters() if p.ndim == 4]
    optimizer = MuonWithAdamW(model, kernels, args.muon_lr, args.lr, decay=0.05)
    path, step, seconds = os.path.join(args.run, "checkpoint.pt"), 0, 0.0
    if os.path.exists(path):
        old = torch.load(path)
        model.load_state_dict(old["model"])
        optimizer.load_state_dict(old["optimizer"])
        step, seconds = old["step"], old["seconds"]
    rng = np.random.default_rng([1, step])
    steps, right, started = args.pictures // args.batch, [], time.monotonic()
    while step < steps:
        chosen = rng.choice(len(rows), args.batch, p=weights / weights.sum())
        order = np.argsort(rows[chosen])
        x = torch.from_numpy(pixels[rows[chosen][order]][..., :3]).permute(0, 3, 1, 2).float() / 127.5 - 1
        target = labels[torch.from_numpy(chosen[order])]
        logits = SHARPNESS * model(distorted(x, rng))
        loss = F.cross_entropy(logits, target, label_smoothing=0.05)
        optimizer.step(loss, min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps)))
        step += 1
        right.append((logits.argmax(1) == target).float().mean().item())
        if step % 100 == 0 or step == steps:
            spent = seconds + time.monotonic() - started
            print(json.dumps({"step": step, "seconds": round(spent), "loss": round(loss.item(), 3),
                              "top1": round(float(np.mean(right)), 4)}), flush=True)
            right = []
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": spent},
                       path + ".new")
            os.replace(path + ".new", path)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, FILE)
    with open(FILE, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    with open(ITEMS, "w", encoding="utf-8") as f:
        json.dump({"sha256": digest, "pictures": args.pictures, "items": items}, f)
        f.write("\n")
    print("parameters", sum(p.numel() for p in model.parameters()), "sha256", digest)


if __name__ == "__main__":
    main()
