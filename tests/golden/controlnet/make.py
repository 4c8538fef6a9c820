"""Small ControlNets with every tensor redrawn, the zero convolutions too. Run: python tests/golden/controlnet/make.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
import torch  # noqa: E402
from diffusers import ControlNetModel  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402

X, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
TINY = dict(norm_num_groups=4, cross_attention_dim=12)
CONFIGS = {
    "sd1": dict(**TINY, block_out_channels=(8, 16, 16), layers_per_block=1, attention_head_dim=2, down_block_types=(X, X, PLAIN),
                conditioning_embedding_out_channels=(4, 6, 8, 10)),
    # XL, and the other name of the number of heads; a hint of one channel at four pixels per cell.
    "sdxl": dict(**TINY, block_out_channels=(8, 16), layers_per_block=2, num_attention_heads=(2, 4), attention_head_dim=3, use_linear_projection=True,
                 transformer_layers_per_block=(1, 2), addition_embed_type="text_time", addition_time_embed_dim=6,
                 projection_class_embeddings_input_dim=46, down_block_types=(PLAIN, X), conditioning_channels=1,
                 conditioning_embedding_out_channels=(4, 6, 8)),
}
# Cases: config, cells of the latent, pixels per cell, channels of the hint.
CASES = {"sd1": ("sd1", (5, 4), 8, 3, 1), "sdxl": ("sdxl", (3, 4), 4, 1, 2), "guess-mode": ("sd1", (2, 3), 8, 3, 1), "added": ("sd1", (3, 2), 8, 3, 1)}
GUESS_SCALE = 0.75


def call(model, inputs, guess=False):
    added = {name: inputs[name] for name in ("text_embeds", "time_ids") if name in inputs}
    scale = GUESS_SCALE if guess else inputs["conditioning_scale"][:, None, None, None]
    out = model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], inputs["controlnet_cond"], conditioning_scale=scale,
                added_cond_kwargs=added or None, guess_mode=guess)
    made = {f"down_block_res_samples.{i}": value for i, value in enumerate(out.down_block_res_samples)}
    made["mid_block_res_sample"] = out.mid_block_res_sample
    for name, value in made.items():
        given = inputs.get(name.replace("res_samples", "additional_residuals").replace("res_sample", "additional_residual"))
        made[name] = value if given is None else value + given
    return made


goldens = Goldens(__file__)
for case, (name, (h, w), pixels, hint, seed) in CASES.items():
    model = redraw(ControlNetModel(**CONFIGS[name]), seed)
    inputs = {"sample": noise(seed + 100, 2, 4, h, w), "timestep": torch.tensor([881.0, 3.0]), "encoder_hidden_states": noise(seed + 200, 2, 7, 12),
              "controlnet_cond": torch.rand((2, hint, pixels * h, pixels * w), generator=torch.Generator().manual_seed(seed + 300)),
              "conditioning_scale": torch.tensor([0.5, 1.25])}
    if name == "sdxl":
        inputs["text_embeds"] = noise(seed + 400, 2, 10)
        inputs["time_ids"] = torch.tensor([[96.0, 64.0, 0.0, 8.0, 128.0, 64.0], [32.0, 40.0, 4.0, 0.0, 40.0, 64.0]])
    guess = case == "guess-mode"
    if guess:  # each residual has its own factor
        with torch.no_grad():
            count = len(call(model, inputs))
        inputs["conditioning_scale"] = (GUESS_SCALE * torch.logspace(-1, 0, count)).expand(2, -1)
    if case == "added":
        with torch.no_grad():
            shapes = {key: value.shape for key, value in call(model, inputs).items()}
        for index, (key, shape) in enumerate(shapes.items()):
            inputs[key.replace("res_samples", "additional_residuals").replace("res_sample", "additional_residual")] = noise(seed + 500 + index, *shape)
    own = name == case
    if own:
        model.save_pretrained(goldens.path(case) / "controlnet")
    outputs, errors = run(model, lambda m, i: call(m, i, guess), inputs)
    goldens.add(case, "controlnet", inputs, outputs, errors, seed, model=None if own else name)
goldens.finish(diffusers=diffusers.__version__)
