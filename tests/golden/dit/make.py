"""Small DiTs of diffusers with every tensor redrawn. Run: python tests/golden/dit/make.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import DiTTransformer2DModel  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402

CASES = {
    # As DiT-XL/2, but narrow; heads of 72 as there.
    "trained-size": (dict(num_attention_heads=1, attention_head_dim=72, in_channels=4, out_channels=8, num_layers=1,
                          sample_size=8, patch_size=2, num_embeds_ada_norm=10), (8, 8), 1),
    # Another grid than the trained one, other options, one head.
    "other-options": (dict(num_attention_heads=1, attention_head_dim=20, in_channels=3, out_channels=None, num_layers=3,
                           sample_size=12, patch_size=3, num_embeds_ada_norm=4, attention_bias=False, activation_fn="gelu",
                           norm_elementwise_affine=True, norm_eps=1e-3, upcast_attention=True), (15, 15), 2),
}


def call(model, inputs):
    return {"sample": model(inputs["hidden_states"], timestep=inputs["timestep"], class_labels=inputs["class_labels"]).sample}


goldens = Goldens(__file__)
for case, (config, (height, width), seed) in CASES.items():
    model = redraw(DiTTransformer2DModel(**config), seed)
    # The class table's last row is "no class".
    inputs = {
        "hidden_states": noise(seed + 100, 3, config["in_channels"], height, width),
        "timestep": torch.tensor([981.0, 0.0, 500.5]),
        "class_labels": torch.tensor([config["num_embeds_ada_norm"], 0, 3]),
    }
    outputs, errors = run(model, call, inputs)
    model.save_pretrained(goldens.path(case) / "transformer")
    goldens.add(case, "transformer", inputs, outputs, errors, seed)
goldens.finish(diffusers=diffusers.__version__)
