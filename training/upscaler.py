"""Trains the upscaler: decoded 64x64 pictures to 256x256 with opacity, so that stickers can be cut out.

SRVGGNetCompact of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833) with a fourth channel: colours are added to the
picture enlarged by repeating pixels, as there; opacity has nothing to be added to. The input is what the decoder makes of
latents, clean ones and slightly noisy ones, so that the decoder's faults are mended too.
"""

import argparse
import math
import os
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from files import append_line, read_json, read_lines, write_json
from optim import MuonWithAdamW
from paths import MODEL, RUNS
from taesd import load_taesd

FACTOR, CROP = 4, 40
NOISE = 0.12  # of latents with variance near one


class SRVGGNetCompact(nn.Module):
    """Names of tensors as in Real-ESRGAN: body.0 is the first convolution, every odd one a PReLU."""

    def __init__(self, features=32, layers=10, outputs=4):
        super().__init__()
        body = [nn.Conv2d(3, features, 3, 1, 1), nn.PReLU(features)]
        for _ in range(layers):
            body += [nn.Conv2d(features, features, 3, 1, 1), nn.PReLU(features)]
        body.append(nn.Conv2d(features, outputs * FACTOR**2, 3, 1, 1))
        self.body = nn.ModuleList(body)

    def forward(self, x):
        """[B, 3, h, w] to [B, 4, 4 h, 4 w], all in [0, 1]."""
        y = x
        for layer in self.body:
            y = layer(y)
        y = F.pixel_shuffle(y, FACTOR)
        base = F.interpolate(x, scale_factor=FACTOR, mode="nearest")
        return torch.cat([y[:, :3] + base, y[:, 3:]], 1)


class Targets:
    """Pictures as bytes [side, side, 4]: colours on white, then opacity. Once read they stay in memory, 262 kB each."""

    def __init__(self, folder, rows, side=64 * FACTOR):
        self.folder, self.rows, self.side, self.kept = folder, rows, side, {}

    def __getitem__(self, k):
        if k not in self.kept:
            picture = Image.open(os.path.join(self.folder, self.rows[k]["file"])).convert("RGBA")
            if picture.size != (self.side, self.side):
                picture = picture.resize((self.side, self.side), Image.LANCZOS)
            white = Image.new("RGBA", picture.size, "white")
            flat = np.asarray(Image.alpha_composite(white, picture))
            self.kept[k] = np.concatenate([flat[..., :3], np.asarray(picture)[..., 3:]], 2)
        return self.kept[k]


def to_floats(pixels):
    """Bytes [h, w, c] as [c, h, w] in [0, 1]."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def decode_all(data, vae, latents, every, path):
    """Bytes [n, 2, 64, 64, 3] of what the decoder makes of clean and of noisy latents; kept in a file."""
    if os.path.exists(path):
        return np.load(path, mmap_mode="r")
    generator = torch.Generator().manual_seed(0)
    out = np.empty((len(every), 2, 64, 64, 3), np.uint8)
    with torch.inference_mode():
        for start in range(0, len(every), 32):
            z = latents[torch.tensor(every[start : start + 32]), 0].float()
            noisy = z + NOISE * torch.randn(z.shape, generator=generator)
            y = vae.decode(torch.cat([z, noisy])).sample.clamp(-1, 1).add(1).mul(127.5).round().byte()
            out[start : start + 32] = torch.stack(y.chunk(2), 1).permute(0, 1, 3, 4, 2).numpy()
    np.save(path, out)
    return out


def difference(y, x):
    d = y - x
    slopes = (d[:, :, 1:] - d[:, :, :-1]).abs().mean() + (d[:, :, :, 1:] - d[:, :, :, :-1]).abs().mean()
    return d.abs().mean() + slopes


@torch.inference_mode()
def score(model, inputs, targets):
    """PSNR in dB of the colours and of the opacity, and the colours' PSNR of bicubic enlargement."""
    psnr = lambda a, b: (-10 * torch.log10((a - b).square().mean((1, 2, 3)).clamp(min=1e-6))).mean().item()
    y = torch.cat([model(part).clamp(0, 1) for part in inputs.split(8)])
    cubic = F.interpolate(inputs, scale_factor=FACTOR, mode="bicubic").clamp(0, 1)
    return psnr(y[:, :3], targets[:, :3]), psnr(y[:, 3:], targets[:, 3:]), psnr(cubic, targets[:, :3])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the pictures that prepare.py was given")
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--vae", default=os.path.join(MODEL, "vae"))
    parser.add_argument("--run", default=os.path.join(RUNS, "upscaler"))
    parser.add_argument("--minutes", type=float, default=40, help="trained time in all, over every resume")
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--most", type=int, default=8000, help="pictures to learn from")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    os.makedirs(args.run, exist_ok=True)
    rows = read_lines(args.data, "rows.jsonl")
    split = read_json(args.data, "split.json")
    single = [k for k in split["train"] if "+" not in str(rows[k].get("item", "")) and "colour" not in rows[k]["file"]]
    chosen = sorted(np.random.default_rng(5).permutation(single)[: args.most].tolist())
    asked = (split["heldOut"] or chosen)[:64]
    latents = torch.from_numpy(np.load(os.path.join(args.data, "latents-64.npy")))
    vae = load_taesd(args.vae)
    pixels = decode_all(args.data, vae, latents, chosen, os.path.join(args.run, "decoded.npy"))
    looks = torch.from_numpy(decode_all(args.data, vae, latents, asked, os.path.join(args.run, "asked.npy"))[:, 0].copy())
    looks = looks.permute(0, 3, 1, 2).float() / 255
    whole = Targets(args.folder, rows)
    wanted = torch.stack([to_floats(whole[k]) for k in asked])
    model = SRVGGNetCompact(args.features, args.layers)
    kernels = [p for p in model.parameters() if p.ndim == 4 and p.shape[:2] == (args.features, args.features)]
    optimizer = MuonWithAdamW(model, kernels, muon_lr=0.005, lr=1e-3, muon_decay=0)
    average = [p.detach().clone() for p in model.parameters()]
    state, path = {"step": 0, "seconds": 0.0}, os.path.join(args.run, "checkpoint.pt")
    if os.path.exists(path):
        old = torch.load(path)
        model.load_state_dict(old["model"])
        optimizer.load_state_dict(old["optimizer"])
        average, state = old["average"], {k: old[k] for k in state}
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    rng = np.random.default_rng([9, state["step"]])

    def save():
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average, **state,
                    "options": vars(args)}, path + ".new")
        os.replace(path + ".new", path)

    last, clock, losses = time.monotonic(), time.monotonic(), []
    while not stopping and state["seconds"] < 60 * args.minutes:
        done = state["seconds"] / (60 * args.minutes)
        factor = min(1.0, (state["step"] + 1) / 100) * 0.5 * (1 + math.cos(math.pi * max(0.0, (done - 0.3) / 0.7)))
        inputs, targets = [], []
        for k in rng.integers(len(chosen), size=args.batch // 2):
            for view in range(2):
                y, x = rng.integers(64 - CROP + 1, size=2)
                small = to_floats(pixels[k, view, y : y + CROP, x : x + CROP])
                large = to_floats(whole[chosen[k]][FACTOR * y : FACTOR * (y + CROP), FACTOR * x : FACTOR * (x + CROP)])
                if rng.random() < 0.5:
                    small, large = small.flip(2), large.flip(2)
                inputs.append(small)
                targets.append(large)
        loss = difference(model(torch.stack(inputs)), torch.stack(targets))
        optimizer.step(loss, factor)
        state["step"] += 1
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in model.parameters()],
                                 1 - min(0.995, state["step"] / (state["step"] + 9)))
        now = time.monotonic()
        state["seconds"] += min(now - clock, 10.0)
        clock = now
        losses.append(loss.item())
        if state["step"] % 200 == 0:
            colour, opacity, cubic = score(model, looks, wanted)
            row = {**state, "seconds": round(state["seconds"]), "loss": round(float(np.mean(losses)), 4),
                   "psnr": round(colour, 2), "alpha": round(opacity, 2), "bicubic": round(cubic, 2)}
            append_line(os.path.join(args.run, "log.jsonl"), row)
            print(row, flush=True)
            losses, clock = [], time.monotonic()
        if now - last > 180:
            save()
            last = time.monotonic()
    save()
    with torch.no_grad():
        for p, a in zip(model.parameters(), average):
            p.copy_(a)
    print("averaged weights:", score(model, looks, wanted))
    out = os.path.join(args.run, "upscaler")
    os.makedirs(out, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, os.path.join(out, "model.safetensors"))
    write_json(os.path.join(out, "config.json"),
               {"_class_name": "SRVGGNetCompact", "num_in_ch": 3, "num_out_ch": 4, "num_feat": args.features,
                "num_conv": args.layers, "upscale": FACTOR, "act_type": "prelu"})


if __name__ == "__main__":
    main()
