"""Draws with an exported folder, through diffusers or through irodori, and lays drawings out on a page."""

import json
import os
import subprocess

import numpy as np
import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, PixArtTransformer2DModel
from PIL import Image, ImageDraw, ImageFont
from transformers import AutoTokenizer, CLIPTextModel

from files import read_json
from networks import LATENT_CHANNELS, MAX_TOKENS, denoise, encode_text
from paths import HERE

FONTS = ("/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


class Irodori:
    """The model as irodori runs it, whose noise is its own. `quantize` as its option of that name."""

    def __init__(self, folder, quantize="none", threads=2):
        self.folder, self.quantize, self.threads = os.path.abspath(folder), quantize, threads
        settings = read_json(folder, "irodori.json")
        self.guidance, self.side = settings["guidance"], settings["width"]

    def draw(self, prompts, steps, guidance=None, seed=0):
        """Pictures as bytes [n, side, side, 3]; every prompt has noise of its own."""
        request = {"model": self.folder, "quantize": self.quantize, "threads": self.threads, "prompts": prompts,
                   "seed": seed, "steps": steps, "guidance": self.guidance if guidance is None else guidance, "size": self.side}
        done = subprocess.run(["node", os.path.join(HERE, "draw.mjs")], input=json.dumps(request).encode(),
                              stdout=subprocess.PIPE, check=True)
        return np.frombuffer(done.stdout, np.uint8).reshape(len(prompts), self.side, self.side, 3)


class Model:
    """The model as diffusers runs it, in float32."""

    def __init__(self, folder):
        sub = lambda name: os.path.join(folder, name)
        self.tokenizer = AutoTokenizer.from_pretrained(sub("tokenizer"))
        self.text_encoder = CLIPTextModel.from_pretrained(sub("text_encoder"), dtype=torch.float32)
        self.transformer = PixArtTransformer2DModel.from_pretrained(sub("transformer"), torch_dtype=torch.float32)
        self.vae = AutoencoderTiny.from_pretrained(sub("vae"), torch_dtype=torch.float32)
        self.scheduler = DPMSolverMultistepScheduler.from_pretrained(sub("scheduler"))
        self.latent = self.transformer.config.sample_size
        self.guidance = read_json(folder, "irodori.json")["guidance"]

    def encode(self, prompts):
        tokens = self.tokenizer(prompts, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
        return encode_text(self.text_encoder, tokens["input_ids"]), tokens["attention_mask"].float()

    @torch.inference_mode()
    def draw(self, prompts, steps, guidance=None, seed=0, batch=128, same_noise=False):
        """Pictures as bytes [n, 8 latent, 8 latent, 3]; every prompt has noise of its own from the seed, or all the same."""
        guidance = self.guidance if guidance is None else guidance
        shape = (1 if same_noise else len(prompts), LATENT_CHANNELS, self.latent, self.latent)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).expand(len(prompts), -1, -1, -1)
        pictures = []
        for start in range(0, len(prompts), batch):
            part = prompts[start : start + batch]
            scheduler = DPMSolverMultistepScheduler.from_config(self.scheduler.config)
            scheduler.set_timesteps(steps)
            context, mask = self.encode(part + [""] * len(part))
            x = noise[start : start + batch]
            for t in scheduler.timesteps:
                s = torch.full((2 * len(part),), t.item() / 1000)
                yes, no = denoise(self.transformer, torch.cat([x, x]), s, context, mask).chunk(2)
                x = scheduler.step(no + guidance * (yes - no), t, x).prev_sample
            y = self.vae.decode(x / self.vae.config.scaling_factor).sample[:, :3].clamp(-1, 1)  # without opacity
            pictures.append(((y + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        return np.concatenate(pictures)


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
