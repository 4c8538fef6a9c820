"""What the frozen judges of drawings share: a residual network over pictures of 64x64, trained once on real pictures."""

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

from files import read_json, write_json
from keeper import save_checkpoint
from optim import MuonWithAdamW
from paths import HERE, RUNS

FROZEN = os.path.join(HERE, "data")


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


class Features(nn.Module):
    """Pictures to unit vectors, through a trunk of so many channels that ends in cells x cells places."""

    def __init__(self, widths, cells, features):
        super().__init__()
        self.cells = cells
        self.stem = nn.Conv2d(3, widths[0], 4, 2, 1)
        self.blocks = nn.Sequential(*(Residual(a, b) for a, b in zip(widths, widths[1:])))
        self.head = nn.Linear(widths[-1] * cells * cells, features)

    def vectors(self, x):
        """Pictures [B, 3, 64, 64] in [-1, 1] to unit vectors [B, features]."""
        x = F.adaptive_avg_pool2d(self.blocks(F.relu(self.stem(x))), self.cells)
        return F.normalize(self.head(x.flatten(1)), dim=1)


def to_input(pictures):
    """Bytes [n, H, W, 3] as [n, 3, H, W] in [-1, 1]; a judge reads 64x64."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.inference_mode()
def vectors_of(model, pictures, batch=256):
    """Unit vectors [n, features] of pictures as bytes [n, 64, 64, 3]."""
    return torch.cat([model.vectors(to_input(pictures[k : k + batch])) for k in range(0, len(pictures), batch)])


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


def pictures_at(pixels, indices):
    """Colours on white of stored pictures, as `distorted` takes them. [n, 3, 128, 128] in [-1, 1]."""
    return to_input(np.stack([pixels[k] for k in indices])[..., :3])


def begin(description, name, pictures, batch):
    """The options of a judge's command, with those two by default; and the pixels of its pictures."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--run", default=os.path.join(RUNS, name))
    parser.add_argument("--out", default=FROZEN, help="where the weights and their hash go")
    parser.add_argument("--pictures", type=int, default=pictures, help="shown in all")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lr", type=float, default=2e-3, help="of AdamW: stem, head, norms and what is no kernel")
    parser.add_argument("--muon-lr", type=float, default=0.02, help="of the other kernels")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    return args, np.load(os.path.join(args.data, "pixels.npy"), mmap_mode="r")


def fit(model, args, lesson):
    """Trains a judge; resumable. `lesson(rng)` gives a batch's loss and the share of it that was told right."""
    os.makedirs(args.run, exist_ok=True)
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
        loss, share = lesson(rng)
        optimizer.step(loss, min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps)))
        step += 1
        right.append(share.item())
        if step % 50 == 0 or step == steps:
            spent = seconds + time.monotonic() - started
            print(json.dumps({"step": step, "seconds": round(spent), "loss": round(loss.item(), 3),
                              "right": round(float(np.mean(right)), 4)}), flush=True)
            right = []
            save_checkpoint(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": spent})


def hash_of(file):
    with open(file, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def freeze(model, folder, name, **about):
    """Writes NAME.safetensors, and NAME.json with its hash."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, f"{path}.safetensors")
    write_json(f"{path}.json", {"sha256": hash_of(f"{path}.safetensors"), **about}, compact=True)
    print("parameters", sum(p.numel() for p in model.parameters()), "sha256", hash_of(f"{path}.safetensors"))


def frozen(folder, name):
    """What is known of a judge, and its weights; refuses those of another hash."""
    file, said = os.path.join(folder, f"{name}.safetensors"), read_json(folder, f"{name}.json")
    if hash_of(file) != said["sha256"]:
        raise ValueError(f"{file}: expected sha256 {said['sha256']}, got {hash_of(file)}")
    return said, {k: v.float() for k, v in load_file(file).items()}
