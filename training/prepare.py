"""Prepares a folder of pictures for training: filters it, keeps the pixels, encodes them once, makes the tokenizer.

The folder holds `captions.jsonl`, one picture a line:

    {"file": "cat.png", "captions": {"en": ["a cat", "tabby"], "ja": ["猫"]}, "licence": "CC0-1.0", "source": "…"}

A caption may also be [text, share, kind]. Optional: "item" (pictures of one thing are balanced and split together; else each is of its own),
"style" (a key of the folder's `styles.json`, whose words are put into captions), "weight" (how often it is shown),
"heldOut": true (never trained on). `questions.json`, if there is one, is what evaluate.py asks besides.
In place of `captions.jsonl` there may be `manifest.json`, a list of {"path", "licence", "caption_en", "caption_ja"}.
"""

import argparse
import json
import multiprocessing
import os
import shutil
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from files import read_json, read_lines, write_json, write_lines
from paths import MODEL, RUNS
from taesd import load_taesd
from tokens import encode_lengths, train_tokenizer

SIDE = 128
SMALLEST = 64  # pixels of the shorter side
ALIKE = 1.5  # mean difference of 16x16 thumbnails, of 255, below which two pictures are one


def read_rows(folder):
    captions, manifest = (os.path.join(folder, name) for name in ("captions.jsonl", "manifest.json"))
    if not os.path.exists(captions) and os.path.exists(manifest):
        return [row_of(entry) for entry in read_json(manifest)]
    return read_lines(captions)


def row_of(entry):
    """A row of an entry of manifest.json."""
    captions = {name.removeprefix("caption_"): [text] for name, text in entry.items() if name.startswith("caption_")}
    return {"file": entry["path"], "captions": captions, "licence": entry.get("licence"), "source": entry.get("source", "")}


def weighted(captions):
    """Captions as [text, share, kind]: of plain ones the first is the label and has 60 %."""
    if not captions or not isinstance(captions[0], str):
        return captions
    rest = max(1, len(captions) - 1)
    return [[c.lower(), (1.0 if len(captions) == 1 else 0.6) if k == 0 else 0.4 / rest, "label" if k == 0 else "variant"]
            for k, c in enumerate(captions)]


def on_white(picture):
    """A square RGBA picture as [SIDE, SIDE, 4] bytes: colours as shown on white, and opacity.

    A photograph (no transparency) is cut to its middle, a cut-out is put on a square.
    """
    if picture.getextrema()[3][0] == 255:
        picture = ImageOps.fit(picture, (min(picture.size),) * 2)
    side = max(picture.size)
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    white = Image.new("RGBA", (side, side), (255, 255, 255, 255))
    white.alpha_composite(canvas)
    white.putalpha(canvas.getchannel("A"))
    kind = Image.BOX if side % SIDE == 0 else Image.LANCZOS
    shown = Image.merge("RGB", white.split()[:3]).resize((SIDE, SIDE), kind)
    return np.dstack([np.asarray(shown), np.asarray(canvas.getchannel("A").resize((SIDE, SIDE), kind))])


def read_pictures(folder, rows):
    """Pixels of the pictures that are fit, their rows, and the reasons for which the others are not."""
    pixels = np.empty((len(rows), SIDE, SIDE, 4), np.uint8)
    kept, reasons = [], Counter()
    for row in rows:
        try:
            picture = Image.open(os.path.join(folder, row["file"])).convert("RGBA")
        except OSError:
            reasons["unreadable"] += 1
            continue
        if min(picture.size) < SMALLEST:
            reasons["too small"] += 1
        elif not any(row.get("captions", {}).values()):
            reasons["no caption"] += 1
        elif not row.get("licence"):
            reasons["no licence"] += 1
        else:
            pixels[len(kept)] = on_white(picture)
            kept.append(row)
    return pixels[: len(kept)], kept, reasons


def duplicates(pixels, rows):
    """Indices of later pictures of one item that look like an earlier one, and how many pairs of items look alike."""
    small = torch.from_numpy(pixels.reshape(-1, 16, SIDE // 16, 16, SIDE // 16, 4).mean((2, 4), dtype=np.float32))
    small = small.flatten(1)
    squares, limit = small.square().sum(1), (1.7 * ALIKE) ** 2 * small.shape[1]  # a coarse bound, then the exact mean
    drop, alike = set(), 0
    for start in range(0, len(small), 512):
        part = small[start : start + 512]
        near = squares[start : start + 512, None] - 2 * part @ small.T + squares[None] < limit
        for a, b in near.nonzero().tolist():
            if b >= start + a or b in drop:
                continue
            if (part[a] - small[b]).abs().mean() < ALIKE:
                item = rows[start + a].get("item")
                if item is None or item == rows[b].get("item") and rows[b].get("style") == rows[start + a].get("style"):
                    drop.add(start + a)
                    break
                alike += 1
    return drop, alike


def moved(pictures, scale, dx, dy):
    """Shrunk and shifted by parts of the side; white and nothing outside. [B, 4, H, W] in [0, 1]."""
    theta = torch.tensor([[[scale, 0, dx], [0, scale, dy]]]).float().expand(len(pictures), 2, 3)
    colours, opacity = 1 - pictures[:, :3], pictures[:, 3:]
    grid = F.affine_grid(theta, pictures.shape, align_corners=False)
    y = F.grid_sample(torch.cat([colours, opacity], 1), grid, align_corners=False)
    return torch.cat([1 - y[:, :3], y[:, 3:]], 1)


def movement(rng):
    """By how much a training view is shrunk and shifted: arguments of `moved`."""
    return rng.uniform(1.0, 1.14), *rng.uniform(-0.06, 0.06, 2)


ENCODED = 32  # pictures encoded at a time


def views_of(pixels, start, copies, count=ENCODED):
    """Pictures from `start` on, each as it is, then moved by as much as it was encoded. `copies` of [n, 4, H, W] in [0, 1].

    Those of one part of ENCODED pictures are all moved alike."""
    rng = np.random.default_rng(start // ENCODED * ENCODED)
    part = torch.from_numpy(np.array(pixels[start : start + count])).permute(0, 3, 1, 2).float() / 255
    return [part] + [moved(part, *movement(rng)) for _ in range(copies - 1)]


@torch.inference_mode()
def encode_part(vae, pixels, start, copies, size):
    """Latents [n, copies, C, h, w] in float16 of `views_of`."""
    views = views_of(pixels, start, copies)
    x = torch.stack([F.interpolate(v, (size, size), mode="area")[:, :3] for v in views], 1).flatten(0, 1) * 2 - 1
    n = len(views[0])
    if n < ENCODED:  # one shape, compiled once
        x = torch.cat([x, x.new_zeros(ENCODED * copies - len(x), *x.shape[1:])])
    z = vae(x)[: n * copies]
    return z.view(n, copies, *z.shape[1:]).half()


def encode_share(pixels, folder, copies, size, rank, ranks, out):
    """Every so many-th part of the pictures, in a process of one thread: two threads of one wait for each other."""
    torch.set_num_threads(1)
    autoencoder = load_taesd(folder)
    vae = torch.compile(lambda x: autoencoder.encode(x).latents)
    store = np.load(pixels, mmap_mode="r")
    target = np.lib.format.open_memmap(out, mode="r+")
    starts = range(rank * ENCODED, len(store), ranks * ENCODED)
    for done, start in enumerate(starts):
        part = encode_part(vae, store, start, copies, size)
        target[start : start + len(part)] = part.numpy()
        if rank == 0 and done % 50 == 0:
            print(f"encoded {ranks * done * ENCODED} of {len(store)}", flush=True)


def prepare_pictures(folder, out):
    pixels, rows, reasons = read_pictures(folder, read_rows(folder))
    drop, alike = duplicates(pixels, rows)
    reasons["near-duplicate"] = len(drop)
    kept = [k for k in range(len(rows)) if k not in drop]
    rows = [rows[k] for k in kept]
    for k, row in enumerate(rows):
        row.setdefault("item", f"picture {k}")
        row["captions"] = {g: weighted(c) for g, c in row["captions"].items() if c}
    np.save(os.path.join(out, "pixels.npy"), pixels[kept])
    for name in ("styles.json", "questions.json"):
        if os.path.exists(os.path.join(folder, name)):
            shutil.copyfile(os.path.join(folder, name), os.path.join(out, name))
    report = {"pictures": len(rows), "heldOut": sum(r.get("heldOut", False) for r in rows),
              "leftOut": {k: v for k, v in reasons.items() if v}, "drawnAlike": alike,
              "byLicence": Counter(r["licence"] for r in rows), "byStyle": Counter(r.get("style", "") for r in rows),
              "captions": {g: len({c for r in rows for c, _, _ in r["captions"].get(g, [])})
                           for g in sorted({g for r in rows for g in r["captions"]})}}
    write_json(os.path.join(out, "report.json"), report)
    split = {"train": [k for k, r in enumerate(rows) if not r.get("heldOut")],
             "heldOut": [k for k, r in enumerate(rows) if r.get("heldOut")]}
    write_json(os.path.join(out, "split.json"), split, compact=True)
    write_lines(os.path.join(out, "rows.jsonl"), rows)
    print(json.dumps(report, ensure_ascii=False, indent=1))


def prepare_latents(out, folder, copies, size, processes):
    pixels, path = os.path.join(out, "pixels.npy"), os.path.join(out, f"latents-{size}.npy")
    count = len(np.load(pixels, mmap_mode="r"))
    channels = load_taesd(folder).config.latent_channels
    target = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, copies, channels, size // 8, size // 8))
    shares = [multiprocessing.Process(target=encode_share, args=(pixels, folder, copies, size, rank, processes, path))
              for rank in range(processes)]
    for share in shares:
        share.start()
    for share in shares:
        share.join()
        if share.exitcode:
            raise SystemExit("encoding failed")
    plain = np.asarray(target[:, 0], np.float32)
    print("latents", target.shape, "mean", round(float(plain.mean()), 3), "deviation", round(float(plain.std()), 3))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="pictures and captions.jsonl (or manifest.json); left out, only latents are made anew")
    parser.add_argument("--out", default=os.path.join(RUNS, "data"))
    parser.add_argument("--vae", default=os.path.join(MODEL, "vae"), help="autoencoder, as exported or as published")
    parser.add_argument("--size", type=int, nargs="*", default=[64], help="pixels of the pictures that are encoded")
    parser.add_argument("--copies", type=int, default=2, help="views of each picture, the first as it is")
    parser.add_argument("--vocabulary", type=int, default=8192, help="pieces of the tokenizer at most")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    if args.folder:
        prepare_pictures(args.folder, args.out)
        rows = read_lines(args.out, "rows.jsonl")
        texts = sorted({c for r in rows for captions in r["captions"].values() for c, _, _ in captions})
        tokenizer = train_tokenizer(texts, os.path.join(args.out, "tokenizer.json"), args.vocabulary)
        print("tokenizer", tokenizer.get_vocab_size(), "pieces;", encode_lengths(tokenizer, texts))
    for size in args.size:
        prepare_latents(args.out, args.vae, args.copies, size, args.processes)


if __name__ == "__main__":
    main()
