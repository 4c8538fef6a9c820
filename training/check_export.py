"""Checks that diffusers' own PixArtAlphaPipeline loads the exported folder and draws what evaluate.py draws."""

import argparse

import numpy as np
import torch
from diffusers import PixArtAlphaPipeline

from draw import Model
from networks import LATENT_CHANNELS, MAX_TOKENS
from paths import MODEL


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    pipe = PixArtAlphaPipeline.from_pretrained(args.model)
    pipe.set_progress_bar_config(disable=True)
    prompts = ["a rocket", "赤いりんご", "寿司"]
    ours = Model(args.model)
    side = 8 * ours.latent
    latents = torch.randn(3, LATENT_CHANNELS, ours.latent, ours.latent, generator=torch.Generator().manual_seed(0))
    theirs = pipe(prompts, latents=latents, num_inference_steps=args.steps, guidance_scale=ours.guidance, height=side, width=side,
                  use_resolution_binning=False, clean_caption=False, max_sequence_length=MAX_TOKENS, output_type="np").images
    difference = np.abs(np.round(theirs[..., :3] * 255) - ours.draw(prompts, args.steps, seed=0)).max()
    print("largest difference in levels of 255:", difference)
    assert difference <= 1


if __name__ == "__main__":
    main()
