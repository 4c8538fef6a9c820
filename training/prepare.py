"""Prepares the data: item list from the manifest, latents and thumbnails from the pictures, captions and tokenizer."""

import argparse
import colorsys
import json
import os

import numpy as np
import torch
from PIL import Image

from captions import HERE, build
from taesd import SHIPPED, load_taesd

DATA = os.path.join(HERE, "data", "emoji.jsonl")
STYLE = "fluent3d"
SIZE = 64
COPIES = 5


def write_items(manifest, path):
    """Keeps what training needs of the manifest: base items of one style, without symbols, flags and skin tones."""
    with open(manifest, encoding="utf-8") as f:
        source = json.load(f)
    licence = source["styles"][STYLE]["licence"]
    rows = []
    for item in source["items"]:
        if item["skinVariantOf"] or STYLE not in item["images"] or item["group"] in ("symbols", "flags", None):
            continue
        rows.append({"codepoint": item["codepoint"], "emoji": item["emoji"], "group": item["group"],
                     "file": item["images"][STYLE], "licence": licence,
                     **{g: {"label": item[g]["label"], "tags": item[g]["tags"]} for g in ("en", "ja")}})
    with open(path, "w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    return len(rows)


def read_items():
    with open(DATA, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def dominant_colour(picture):
    """The one colour word that at least 55 % of the opaque pixels deserve, or None."""
    pixels = np.asarray(picture.resize((48, 48), Image.LANCZOS)).reshape(-1, 4)
    votes = {}
    pixels = pixels[pixels[:, 3] > 128]
    for r, g, b, _ in pixels:
        h, s, v = colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)
        h *= 360
        if v < 0.25:
            name = "black"
        elif s < 0.15:
            name = "white" if v > 0.82 else None
        elif h < 15 or h >= 345:
            name = "pink" if s < 0.55 and v > 0.8 else "brown" if v < 0.55 else "red"
        elif h < 40:
            name = "orange" if s > 0.6 and v > 0.8 else "brown" if v < 0.75 else None
        elif h < 65:
            name = "yellow" if v > 0.6 else None
        elif h < 165:
            name = "green"
        elif h < 255:
            name = "blue"
        elif h < 295:
            name = "purple"
        else:
            name = "pink"
        votes[name] = votes.get(name, 0) + 1
    votes.pop(None, None)
    if not votes:
        return None
    best = max(votes, key=votes.get)
    return best if votes[best] >= 0.55 * len(pixels) else None


def compose(picture, scale=1.0, dx=0.0, dy=0.0):
    """The picture on white at 64x64, shrunk and shifted by whole parts of the large original."""
    side = max(picture.size)
    canvas = Image.new("RGBA", (side, side), (255, 255, 255, 255))
    w, h = (max(1, round(v * scale)) for v in picture.size)
    small = picture if scale == 1.0 else picture.resize((w, h), Image.LANCZOS)
    canvas.alpha_composite(small, (max(0, round((side - w) / 2 + dx * side)), max(0, round((side - h) / 2 + dy * side))))
    return canvas.convert("RGB").resize((SIZE, SIZE), Image.LANCZOS)


def train_tokenizer(captions, path):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=False))
    kana = [normalizers.Replace(chr(c), chr(c - 0x60)) for c in range(ord("ァ"), ord("ヶ") + 1)]
    marks = Regex(r"""[!?,;"'`@$%^&_=\[\]{}|\\/>、。…「」『』]""")  # punctuation that no caption contains
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("\ufe0f", ""),
         normalizers.Replace(marks, " "), normalizers.Strip(), *kana])
    # A word, a run of kana, a run of kanji, a number; anything else stands alone.
    words = Regex(r"[\u3041-\u3096\u30fc]+|[\u4e00-\u9fff\u3005]+|[a-zà-ÿ]+|[0-9]+|[^\s]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(words, "isolated")])
    tokenizer.decoder = decoders.Fuse()
    letters = [chr(c) for c in range(0x3041, 0x3097)] + list("abcdefghijklmnopqrstuvwxyz0123456789")
    trainer = trainers.BpeTrainer(vocab_size=5120, min_frequency=3, special_tokens=["[PAD]", "[BOS]", "[EOS]", "[UNK]"],
                                  initial_alphabet=letters, max_token_length=10, show_progress=False)
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", pair="[BOS] $A $B [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)])
    tokenizer.save(path)
    return tokenizer


def encode_captions(tokenizer, captions):
    """Token ids of every caption: row 0 the plain reading, then three with merges left out at random."""
    plain = [e.ids for e in tokenizer.encode_batch(captions)]
    tokenizer.model.dropout = 0.15
    broken = [[e.ids for e in tokenizer.encode_batch(captions)] for _ in range(3)]
    tokenizer.model.dropout = None
    return [[row[k] for row in [plain, *broken]] for k in range(len(captions))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", help="write data/emoji.jsonl anew from this manifest")
    parser.add_argument("--pictures", help="folder with the WebP files (…/@lobehub/fluent-emoji-3d/assets)")
    parser.add_argument("--vae", default=SHIPPED, help="folder with the autoencoder, as exported or as published")
    parser.add_argument("--out", default=os.path.join(HERE, "runs", "data"))
    args = parser.parse_args()
    if args.manifest:
        print("items", write_items(args.manifest, DATA))
    if not args.pictures:
        return
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    os.makedirs(args.out, exist_ok=True)
    items = read_items()
    pixels = []
    for item in items:
        picture = Image.open(os.path.join(args.pictures, item["file"])).convert("RGBA")
        item["colour"] = dominant_colour(picture)
        pixels.append(compose(picture))
        for _ in range(COPIES - 1):
            pixels.append(compose(picture, rng.uniform(0.88, 1.0), *rng.uniform(-0.03, 0.03, 2)))
    pixels = np.stack([np.asarray(p) for p in pixels]).reshape(len(items), COPIES, SIZE, SIZE, 3)
    vae = load_taesd(args.vae)
    latents = []
    with torch.inference_mode():
        for row in pixels:
            x = torch.from_numpy(row).permute(0, 3, 1, 2).float() / 127.5 - 1
            latents.append(vae.encode(x).latents)
        latents = torch.stack(latents)
        some = latents[::20, 0]
        back = vae.decode(some).sample.clamp(-1, 1)
        want = torch.from_numpy(pixels[::20, 0].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
        psnr = -10 * torch.log10(((back - want) / 2).pow(2).mean((1, 2, 3)))
    torch.save(latents, os.path.join(args.out, "latents.pt"))
    np.save(os.path.join(args.out, "pixels.npy"), pixels[:, 0])
    flat = latents.transpose(0, 2).reshape(16, -1)
    print("latents", tuple(latents.shape), "round trip PSNR", psnr.mean().item(), psnr.min().item(), psnr.max().item())
    print("mean", [round(v, 3) for v in flat.mean(1).tolist()])
    print("std", [round(v, 3) for v in flat.std(1).tolist()], "overall", flat.std().item(), flat.pow(2).mean().sqrt().item())

    captions = build(items)
    texts = sorted({c for rows in captions for _, c, _, _ in rows})
    tokenizer = train_tokenizer(texts, os.path.join(args.out, "tokenizer.json"))
    ids = dict(zip(texts, encode_captions(tokenizer, texts)))
    with open(os.path.join(args.out, "captions.json"), "w", encoding="utf-8") as f:
        json.dump({"items": items, "captions": captions, "ids": ids}, f, ensure_ascii=False)
    lengths = [len(v[0]) for v in ids.values()]
    print("captions", len(texts), "vocabulary", tokenizer.get_vocab_size(), "mean length", np.mean(lengths),
          "at most 8:", np.mean(np.array(lengths) <= 8), "longest", max(lengths))


if __name__ == "__main__":
    main()
