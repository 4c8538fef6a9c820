"""Teaches TAESD's decoder opacity as a fourth channel, so that stickers can be cut out, and the pictures at hand meanwhile.

The last convolution gets a fourth output and the whole decoder goes on learning from latents, clean and slightly noisy ones,
to pictures on white with their opacity. The encoder and so the latents stay as they are. Pictures held out are left out.
"""

import argparse
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from files import append_line, read_json
from keeper import rate, save_checkpoint, stop_on_signals
from paths import MODEL, RUNS
from prepare import moved, movement
from taesd import load_taesd, with_opacity

NOISE = 0.24  # most that is added to latents, whose variance is near 0.6


class Pictures:
    """Stored pictures and their latents, encoded when they are wanted."""

    def __init__(self, folder, encoder, size, rng):
        self.pixels = np.load(os.path.join(folder, "pixels.npy"), mmap_mode="r")
        self.encoder, self.size, self.rng = encoder, size, rng

    def plain(self, indices):
        """Colours on white, then opacity. [n, 4, size, size] in [-1, 1]."""
        pictures = torch.from_numpy(np.stack([self.pixels[k] for k in indices])).permute(0, 3, 1, 2).float() / 255
        return F.interpolate(pictures, (self.size, self.size), mode="area") * 2 - 1

    @torch.no_grad()
    def encode(self, pictures):
        return self.encoder(pictures[:, :3].contiguous(memory_format=torch.channels_last))

    def draw(self, indices, batch):
        """A batch at random of latents and pictures: half of it moved, half of it with noise of a strength of its own each."""
        y = self.plain(self.rng.choice(indices, batch))
        for k in self.rng.permutation(batch)[: batch // 2]:
            y[k : k + 1] = moved(y[k : k + 1] / 2 + 0.5, *movement(self.rng)) * 2 - 1
        strength = self.rng.uniform(0, NOISE, (batch, 1, 1, 1)).astype(np.float32)
        strength[: batch // 2] = 0
        z = self.encode(y)
        return z + torch.from_numpy(strength * self.rng.standard_normal(z.shape, np.float32)), y


def difference(y, x):
    """Mean absolute difference of pictures and of their slopes."""
    d = y - x
    slopes = (d[:, :, 1:] - d[:, :, :-1]).abs().mean() + (d[:, :, :, 1:] - d[:, :, :, :-1]).abs().mean()
    return d.abs().mean() + slopes


@torch.inference_mode()
def score(vae, latents, targets):
    """PSNR in dB of the colours and of the opacity."""
    y = torch.cat([vae.decode(part).sample for part in latents.split(32)]).clamp(-1, 1)
    psnr = lambda a, b: (-10 * torch.log10((a - b).square().mean((1, 2, 3)).clamp(min=1e-6) / 4)).mean().item()
    return {"psnr": round(psnr(y[:, :3], targets[:, :3]), 2), "opacity": round(psnr(y[:, 3:], targets[:, 3:]), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--vae", default=os.path.join(MODEL, "vae"))
    parser.add_argument("--run", default=os.path.join(RUNS, "decoder"))
    parser.add_argument("--minutes", type=float, default=40, help="trained time in all, over every resume")
    parser.add_argument("--steps", type=int, help="stop after so many steps in all, whatever the time")
    parser.add_argument("--size", type=int, default=128, help="of pictures")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    os.makedirs(args.run, exist_ok=True)
    split = read_json(args.data, "split.json")
    vae = with_opacity(load_taesd(args.vae)).to(memory_format=torch.channels_last)
    decoder = vae.decoder.train()
    optimizer = torch.optim.AdamW(decoder.parameters(), args.lr, betas=(0.9, 0.98), weight_decay=0)
    average = [p.detach().clone() for p in decoder.parameters()]
    state, path = {"step": 0, "seconds": 0.0}, os.path.join(args.run, "checkpoint.pt")
    if os.path.exists(path):
        old = torch.load(path)
        decoder.load_state_dict(old["model"])
        optimizer.load_state_dict(old["optimizer"])
        average, state = old["average"], {k: old[k] for k in state}
    pictures = Pictures(args.data, vae.encoder, args.size, np.random.default_rng([11, state["step"]]))
    train = np.array(split["train"])
    asked = pictures.plain(np.array(split["heldOut"] or split["train"])[:64])
    looks = pictures.encode(asked), asked
    stopping = stop_on_signals()

    def tell():
        row = {**state, "seconds": round(state["seconds"]), "part": "decoder", "pictures": state["step"] * args.batch, "size": args.size,
               "loss": round(float(np.mean(losses[-100:])), 4) if losses else None, **score(vae, *looks)}
        append_line(os.path.join(args.run, "log.jsonl"), row)
        print(row, flush=True)

    def save():
        save_checkpoint(path, {"model": decoder.state_dict(), "optimizer": optimizer.state_dict(), "average": average, **state,
                               "options": vars(args)})

    if state["step"] == 0:
        print("before:", score(vae, *looks), flush=True)
    last, clock, losses = time.monotonic(), time.monotonic(), []
    while not stopping and state["seconds"] < 60 * args.minutes and state["step"] != args.steps:
        for group in optimizer.param_groups:
            group["lr"] = args.lr * rate(state["step"], state["seconds"] / (60 * args.minutes), flat=0)
        z, y = pictures.draw(train, args.batch)
        loss = difference(vae.decode(z).sample, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        state["step"] += 1
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in decoder.parameters()],
                                 1 - min(0.995, state["step"] / (state["step"] + 9)))
        now = time.monotonic()
        state["seconds"] += min(now - clock, 10.0)
        clock = now
        losses.append(loss.item())
        if state["step"] % 100 == 0:
            tell()
            clock = time.monotonic()
        if now - last > 120:
            save()
            last = time.monotonic()
    save()
    with torch.no_grad():
        for p, a in zip(decoder.parameters(), average):
            p.copy_(a)
    tell()
    vae.bfloat16().save_pretrained(os.path.join(args.run, "vae"))


if __name__ == "__main__":
    main()
