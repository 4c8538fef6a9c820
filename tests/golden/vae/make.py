"""Small KL autoencoders of diffusers with every tensor redrawn. Run: python tests/golden/vae/make.py"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
from diffusers import AutoencoderKL  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def blocks(levels):
    return dict(down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels)


CASES = {
    # The arrangement of Stable Diffusion, narrow; a picture whose sides no power of two divides.
    "four-levels": (dict(**blocks(4), block_out_channels=(8, 12, 16, 16), layers_per_block=2, norm_num_groups=4, scaling_factor=0.18215),
                    (2, 3, 27, 36), (2, 4, 3, 5), 1),
    # The kind of SD3 and FLUX: 16 channels, no convolutions around the latent.
    "sixteen-channels": (dict(**blocks(2), block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, latent_channels=16,
                              use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0609, scaling_factor=1.5305),
                         (3, 3, 10, 7), (3, 16, 5, 3), 2),
    # No attention in the middle, two channels of pictures.
    "no-attention": (dict(**blocks(2), block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, in_channels=2, out_channels=2,
                          mid_block_add_attention=False), (2, 2, 6, 8), (2, 4, 3, 4), 3),
    # Names of the attention's projections as old files have them.
    "old-names": (dict(**blocks(2), block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4), (2, 3, 8, 6), (2, 4, 4, 3), 4),
}
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def encode(model, inputs):
    return {"moments": model.encode(inputs["sample"]).latent_dist.parameters}


def decode(model, inputs):
    return {"sample": model.decode(inputs["latent"]).sample}


def rename(file):
    old = {re.sub(r"(to_[qkv]|to_out\.0)(?=\.)", lambda match: OLD[match[0]], name): tensor for name, tensor in load_file(file).items()}
    save_file(old, str(file), metadata={"format": "pt"})


goldens = Goldens(__file__)
for case, (config, picture, latent, seed) in CASES.items():
    model = redraw(AutoencoderKL(**config), seed)
    model.save_pretrained(goldens.path(case) / "vae")
    if case == "old-names":
        rename(goldens.path(case) / "vae" / "diffusion_pytorch_model.safetensors")
    for part, call, inputs in (
        ("vae.encoder", encode, {"sample": noise(seed + 100, *picture).clamp(-1, 1)}),
        ("vae.decoder", decode, {"latent": noise(seed + 200, *latent)}),
    ):
        outputs, errors = run(model, call, inputs)
        goldens.add(case, part, inputs, outputs, errors, seed)
goldens.finish(diffusers=diffusers.__version__)
