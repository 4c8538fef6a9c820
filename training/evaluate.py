"""Draws with an exported model: top-1 and top-5 over every trained label, and contact sheets to look at."""

import argparse
import json
import os
import time

import numpy as np
import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, PixArtTransformer2DModel
from PIL import Image, ImageDraw, ImageFont
from transformers import AutoTokenizer, CLIPTextModel

from captions import HERE, LANGUAGES
from model import MAX_TOKENS, denoise, encode_text

SAMPLERS = {"euler": {"solver_order": 1}, "dpmpp2m": {"solver_order": 2}}
FONTS = ("/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


class Model:
    def __init__(self, folder):
        sub = lambda name: os.path.join(folder, name)
        self.tokenizer = AutoTokenizer.from_pretrained(sub("tokenizer"))
        self.text_encoder = CLIPTextModel.from_pretrained(sub("text_encoder"), dtype=torch.float32)
        self.transformer = PixArtTransformer2DModel.from_pretrained(sub("transformer"), torch_dtype=torch.float32)
        self.vae = AutoencoderTiny.from_pretrained(sub("vae"), torch_dtype=torch.float32)
        self.scheduler = DPMSolverMultistepScheduler.from_pretrained(sub("scheduler"))

    def encode(self, prompts):
        tokens = self.tokenizer(prompts, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
        return encode_text(self.text_encoder, tokens["input_ids"]), tokens["attention_mask"].float()

    @torch.inference_mode()
    def draw(self, prompts, steps, guidance=2.5, sampler="dpmpp2m", shift=1.0, seed=0, batch=128):
        """Pictures as an array of bytes [n, 64, 64, 3]; every prompt has noise of its own from the seed."""
        noise = torch.randn(len(prompts), 16, 8, 8, generator=torch.Generator().manual_seed(seed))
        pictures = []
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            scheduler = DPMSolverMultistepScheduler.from_config(
                self.scheduler.config, flow_shift=shift, **SAMPLERS[sampler])
            scheduler.set_timesteps(steps)
            context, mask = self.encode(part + [""] * len(part))
            x = noise[start : start + batch]
            for t in scheduler.timesteps:
                s = torch.full((2 * len(part),), t.item() / 1000)
                yes, no = denoise(self.transformer, torch.cat([x, x]), s, context, mask).chunk(2)
                x = scheduler.step(no + guidance * (yes - no), t, x).prev_sample
            y = self.vae.decode(x / self.vae.config.scaling_factor).sample.clamp(-1, 1)
            pictures.append(((y + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        return np.concatenate(pictures)


def thumbnails(pictures):
    """16x16 means, flat."""
    n = len(pictures)
    return pictures.reshape(n, 16, 4, 16, 4, 3).mean((2, 4)).reshape(n, -1).astype(np.float32)


def ranks(drawn, real, wanted):
    """How many other items' thumbnails are nearer to each drawing than the wanted item's."""
    a, b = thumbnails(drawn), thumbnails(real)
    distance = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)[None]
    own = distance[np.arange(len(a)), wanted]
    return (distance < own[:, None]).sum(1)


def sheet(prompts, pictures, path, columns=8, cell=128):
    font = next((ImageFont.truetype(f, 12) for f in FONTS if os.path.exists(f)), ImageFont.load_default())
    rows = -(-len(prompts) // columns)
    page = Image.new("RGB", (columns * cell, rows * (cell + 16)), "white")
    pen = ImageDraw.Draw(page)
    for k, (prompt, picture) in enumerate(zip(prompts, pictures)):
        x, y = k % columns * cell, k // columns * (cell + 16)
        page.paste(Image.fromarray(picture).resize((cell, cell), Image.LANCZOS), (x, y))
        pen.text((x + 4, y + cell), prompt[:20], fill="black", font=font)
    page.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=os.path.join(os.path.dirname(HERE), "models", "emoji"))
    parser.add_argument("--data", default=os.path.join(HERE, "runs", "data"))
    parser.add_argument("--steps", type=int, nargs="*", default=[4, 20])
    parser.add_argument("--samplers", nargs="*", default=["dpmpp2m"], choices=list(SAMPLERS))
    parser.add_argument("--shift", type=float, nargs="*", default=[1.0])
    parser.add_argument("--guidance", type=float, nargs="*", default=[2.5])
    parser.add_argument("--every", type=int, default=1, help="score every n-th label only")
    parser.add_argument("--kind", default="label", choices=["label", "variant", "tag", "emoji"],
                        help="which captions to score; of the others than labels one per item and language")
    parser.add_argument("--sheet", help="draw prompts (a JSON list, or the scored labels) into this PNG instead of scoring")
    parser.add_argument("--prompts", help="JSON file with a list of prompts for the sheet")
    parser.add_argument("--append", help="also append every score to this file, which card.py reads")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = Model(args.model)
    with open(os.path.join(args.data, "captions.json"), encoding="utf-8") as f:
        data = json.load(f)
    chosen = {g: [] for g in LANGUAGES}
    for k in range(0, len(data["items"]), args.every):
        for g in LANGUAGES:
            own = [c for lang, c, _, kind in data["captions"][k] if lang == g and kind == args.kind]
            if own:
                chosen[g].append((own[k % len(own)], k))
    if args.sheet:
        prompts = [c for g in LANGUAGES for c, _ in chosen[g]]
        if args.prompts:
            with open(args.prompts, encoding="utf-8") as f:
                prompts = json.load(f)
        pictures = model.draw(prompts, args.steps[0], args.guidance[0], args.samplers[0], args.shift[0], args.seed)
        sheet(prompts, pictures, args.sheet)
        return
    real = np.load(os.path.join(args.data, "pixels.npy"))
    for sampler in args.samplers:
        for steps in args.steps:
            for shift in args.shift:
                for guidance in args.guidance:
                    for g in LANGUAGES:
                        start = time.monotonic()
                        prompts = [c for c, _ in chosen[g]]
                        drawn = model.draw(prompts, steps, guidance, sampler, shift, args.seed)
                        rank = ranks(drawn, real, np.array([k for _, k in chosen[g]]))
                        row = json.dumps({"sampler": sampler, "steps": steps, "shift": shift, "guidance": guidance,
                                          "kind": args.kind, "language": g, "n": len(rank),
                                          "top1": round(float((rank == 0).mean()), 4),
                                          "top5": round(float((rank < 5).mean()), 4),
                                          "seconds": round(time.monotonic() - start, 1)})
                        print(row, flush=True)
                        if args.append:
                            with open(args.append, "a", encoding="utf-8") as f:
                                f.write(row + "\n")


if __name__ == "__main__":
    main()
