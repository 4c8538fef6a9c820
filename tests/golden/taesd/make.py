"""Small TAESDs of diffusers with every tensor redrawn, also under the names of the published files.

Run: python tests/golden/taesd/make.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import AutoencoderTiny  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

CASES = {
    # Three stages, odd sizes, silu and another factor in the decoder.
    "three-stages": (dict(encoder_block_out_channels=(12,) * 3, decoder_block_out_channels=(10,) * 3, num_encoder_blocks=(1, 2, 1),
                          num_decoder_blocks=(2, 0, 1), latent_channels=5, act_fn="silu", upsampling_scaling_factor=3), (2, 3, 13, 18), (2, 5, 3, 5), 1),
    # The arrangement of the published networks with 16 latent channels, narrow.
    "published": (dict(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4, latent_channels=16),
                  (3, 3, 24, 16), (3, 16, 3, 2), 2),
}


def encode(model, inputs):
    return {"latents": model.encode(inputs["sample"]).latents}


def decode(model, inputs):
    return {"sample": model.decode(inputs["latent"]).sample}


goldens = Goldens(__file__)
for case, (config, picture, latent, seed) in CASES.items():
    model = redraw(AutoencoderTiny(**config), seed)
    model.save_pretrained(goldens.path(case) / "vae")
    for part, call, inputs in (
        ("vae.encoder", encode, {"sample": noise(seed + 100, *picture).clamp(-1, 1)}),
        ("vae.decoder", decode, {"latent": 2 * noise(seed + 200, *latent)}),
    ):
        outputs, errors = run(model, call, inputs)
        goldens.add(case, part, inputs, outputs, errors, seed)
        if case == "published":
            half = part.removeprefix("vae.")
            shift = 0 if half == "encoder" else 1  # the published decoder's list begins with its clamp
            raw = {}
            for name, tensor in model.state_dict().items():
                if name.startswith(half):
                    index, rest = name.removeprefix(f"{half}.layers.").split(".", 1)
                    raw[f"{int(index) + shift}.{rest}"] = tensor
            save_file(raw, str(goldens.path(case) / f"raw_{half}.safetensors"))
# The network that the package carries, with its own weights, on tiny pictures.
bundled = Path(__file__).parents[3] / "models" / "emoji"
model = AutoencoderTiny.from_pretrained(bundled / "vae", torch_dtype=torch.float32).eval()
for part, call, inputs in (
    ("vae.encoder", encode, {"sample": noise(301, 2, 3, 16, 24).clamp(-1, 1)}),
    ("vae.decoder", decode, {"latent": noise(302, 2, 16, 2, 3)}),
):
    outputs, errors = run(model, call, inputs)
    goldens.add("bundled", part, inputs, outputs, errors, 0, model="../../../models/emoji")
goldens.finish(diffusers=diffusers.__version__)
