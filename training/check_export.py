"""Checks that diffusers' own PixArtAlphaPipeline loads the exported folder and draws what evaluate.py draws."""

import argparse
import os

import numpy as np
import torch
from diffusers import PixArtAlphaPipeline

from captions import HERE
from evaluate import Model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=os.path.join(os.path.dirname(HERE), "models", "emoji"))
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    pipe = PixArtAlphaPipeline.from_pretrained(args.model)
    pipe.set_progress_bar_config(disable=True)
    prompts = ["a rocket", "赤いりんご", "寿司"]
    latents = torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    theirs = pipe(prompts, latents=latents, num_inference_steps=args.steps, guidance_scale=2.5, height=64, width=64,
                  use_resolution_binning=False, clean_caption=False, max_sequence_length=16, output_type="np").images
    ours = Model(args.model).draw(prompts, args.steps, seed=0)
    difference = np.abs(np.round(theirs * 255) - ours).max()
    print("largest difference in levels of 255:", difference)
    assert difference <= 1


if __name__ == "__main__":
    main()
