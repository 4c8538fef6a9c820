"""Small UNets of Stable Diffusion's kinds with every tensor redrawn. Run: python tests/golden/unet/make.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import UNet2DConditionModel  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402

X, PLAIN, UP_X, UP_PLAIN = "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"
TINY = dict(norm_num_groups=4, cross_attention_dim=12, sample_size=8)
CONFIGS = {
    # Stable Diffusion 1: one number of heads, 1 x 1 convolutions around transformers.
    "sd1": dict(**TINY, block_out_channels=(8, 12, 16, 16), layers_per_block=1, attention_head_dim=2,
                down_block_types=(X, X, X, PLAIN), up_block_types=(UP_PLAIN, UP_X, UP_X, UP_X)),
    # Stable Diffusion 2: heads by level, linear projections.
    "sd2": dict(**TINY, block_out_channels=(8, 16), layers_per_block=2, attention_head_dim=(2, 4), use_linear_projection=True, upcast_attention=True,
                down_block_types=(X, PLAIN), up_block_types=(UP_PLAIN, UP_X)),
    # XL: no attention at the top, deeper transformers below, pooled text and sizes.
    "sdxl": dict(**TINY, block_out_channels=(8, 8, 16), layers_per_block=1, attention_head_dim=(1, 2, 4), use_linear_projection=True,
                 transformer_layers_per_block=(1, 1, 2), addition_embed_type="text_time", addition_time_embed_dim=6,
                 projection_class_embeddings_input_dim=46, down_block_types=(PLAIN, X, X), up_block_types=(UP_X, UP_X, UP_PLAIN)),
    # Inpainting's nine channels and LCM's guidance; other embedding options; transformers of different depths behind each layer.
    "variants": dict(**TINY, in_channels=9, block_out_channels=(8, 8), layers_per_block=(1, 2), attention_head_dim=2, time_cond_proj_dim=10,
                     flip_sin_to_cos=False, freq_shift=1, time_embedding_dim=24, norm_eps=1e-4, out_channels=3,
                     transformer_layers_per_block=((2,), (1, 2)), reverse_transformer_layers_per_block=((1, 2, 1), (2, 1)),
                     down_block_types=(X, X), up_block_types=(UP_X, UP_X)),
}
# Cases: config, shape of the latent. Odd sizes: the way up follows the sizes of the way down.
CASES = {
    "sd1": ("sd1", (2, 4, 9, 13), 1), "sd2": ("sd2", (2, 4, 6, 5), 2), "sdxl": ("sdxl", (2, 4, 5, 8), 3), "variants": ("variants", (2, 9, 6, 4), 4),
    "controlled": ("sd1", (2, 4, 8, 5), 1),
}


def call(model, inputs):
    residuals = [value for name, value in inputs.items() if name.startswith("down_block_additional_residuals")]
    added = {name: inputs[name] for name in ("text_embeds", "time_ids") if name in inputs}
    cond = inputs.get("timestep_cond")
    return {"sample": model(
        inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], encoder_attention_mask=inputs.get("encoder_attention_mask"),
        timestep_cond=None if cond is None else cond.to(model.dtype), added_cond_kwargs=added or None,
        down_block_additional_residuals=residuals or None, mid_block_additional_residual=inputs.get("mid_block_additional_residual")).sample}


def residuals(model, shape, seed):
    """Random residuals of the shapes the network leaves on its way down."""
    rows, _, h, w = shape
    channels = model.config.block_out_channels
    shapes, size = [(channels[0], h, w)], (h, w)
    for level, width in enumerate(channels):
        shapes += [(width, *size)] * model.config.layers_per_block
        if level < len(channels) - 1:
            size = tuple((side + 1) // 2 for side in size)
            shapes += [(width, *size)]
    named = {f"down_block_additional_residuals.{i}": noise(seed + i, rows, *shape) for i, shape in enumerate(shapes)}
    return named | {"mid_block_additional_residual": noise(seed + 99, rows, channels[-1], *size)}


goldens = Goldens(__file__)
for case, (name, shape, seed) in CASES.items():
    model = redraw(UNet2DConditionModel(**CONFIGS[name]), seed)
    inputs = {"sample": noise(seed + 100, *shape), "timestep": torch.tensor([981.0, 17.0]), "encoder_hidden_states": noise(seed + 200, shape[0], 7, 12)}
    if name == "sdxl":
        inputs["text_embeds"] = noise(seed + 300, shape[0], 10)
        inputs["time_ids"] = torch.tensor([[96.0, 64.0, 0.0, 8.0, 128.0, 64.0], [32.0, 40.0, 4.0, 0.0, 40.0, 64.0]])
    if name == "variants":
        inputs["timestep_cond"] = noise(seed + 300, shape[0], 10)
        inputs["encoder_attention_mask"] = (torch.arange(7)[None] < torch.tensor([7, 3])[:, None]).float()
    if case == "controlled":
        inputs |= residuals(model, shape, seed + 400)
    else:
        model.save_pretrained(goldens.path(case) / "unet")
    outputs, errors = run(model, call, inputs)
    goldens.add(case, "unet", inputs, outputs, errors, seed, model=name if case == "controlled" else None)
goldens.finish(diffusers=diffusers.__version__)
