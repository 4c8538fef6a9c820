"""Small PixArts of diffusers with every tensor redrawn. Run: python tests/golden/pixart/make.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import PixArtTransformer2DModel  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402

BASE = dict(num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=8, num_layers=2, patch_size=2,
            cross_attention_dim=24)
CASES = {
    # PixArt-Sigma: no micro-conditions, projected captions, stretched positions.
    "sigma": ({**BASE, "sample_size": 16, "caption_channels": 20, "interpolation_scale": 2, "use_additional_conditions": False}, (16, 16), 1),
    # PixArt-alpha at 1024: resolution and aspect ratio embedded, because sample_size is 128; a picture that is not square.
    "alpha": ({**BASE, "sample_size": 128, "caption_channels": 20}, (12, 20), 2),
    # Text without projection, of another width than the network; positions closer together, as at 256 pixels.
    "unprojected": ({**BASE, "sample_size": 8, "interpolation_scale": 0.5, "cross_attention_dim": 10, "out_channels": None, "norm_elementwise_affine": True,
                     "norm_eps": 1e-3, "attention_bias": False, "activation_fn": "gelu"}, (8, 8), 3),
    # No text at all.
    "no-text": ({**BASE, "sample_size": 8, "cross_attention_dim": None}, (8, 8), 4),
}
TOKENS = 7


def call(model, inputs):
    added = {name: inputs.get(f"added_cond_kwargs.{name}") for name in ("resolution", "aspect_ratio")}
    return {"sample": model(
        inputs["hidden_states"], encoder_hidden_states=inputs.get("encoder_hidden_states"), timestep=inputs["timestep"],
        encoder_attention_mask=inputs.get("encoder_attention_mask"), added_cond_kwargs=added).sample}


goldens = Goldens(__file__)
for case, (config, (height, width), seed) in CASES.items():
    model = redraw(PixArtTransformer2DModel(**config), seed)
    inputs = {
        "hidden_states": noise(seed + 100, 3, config["in_channels"], height, width),
        "timestep": torch.tensor([999.0, 21.0, 333.25]),
    }
    if config["cross_attention_dim"]:
        inputs["encoder_hidden_states"] = noise(seed + 200, 3, TOKENS, config.get("caption_channels") or config["cross_attention_dim"])
        lengths = torch.tensor([7, 2, 4])
        inputs["encoder_attention_mask"] = (torch.arange(TOKENS)[None] < lengths[:, None]).float()
    if model.use_additional_conditions:
        inputs["added_cond_kwargs.resolution"] = torch.tensor([[1024.0, 1024], [768, 1280], [512, 512]])
        inputs["added_cond_kwargs.aspect_ratio"] = torch.tensor([[1.0], [0.6], [1.0]])
    outputs, errors = run(model, call, inputs)
    model.save_pretrained(goldens.path(case) / "transformer")
    goldens.add(case, "transformer", inputs, outputs, errors, seed)
goldens.finish(diffusers=diffusers.__version__)
