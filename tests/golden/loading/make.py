"""Where diffusers puts every tensor of single-file checkpoints. Run: python tests/golden/loading/make.py

For each family the tensors of its full-size networks are listed under the names of the original code, and given to the
conversions of diffusers' `from_single_file`. No memory is needed: a stored tensor is one number, its index, seen in the
whole shape; where a conversion cuts or transposes, the number says which part it was (`marked`).

Each <case>.json.gz holds the stored tensors {name: shape}, and per component diffusers' class and config and {name: stored},
or {name: [stored, shape, first row, transposed]} for what is not the stored tensor as it is.
"""

import gzip
import hashlib
import json
import platform
import re
import warnings
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders import single_file_utils as oracle
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

warnings.filterwarnings("ignore")
FOLDER = Path(__file__).parent

# Configs as the models were published, fields that only repeat a default left out.
UNETS = {
    "sd15": dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
    "sd15-inpainting": dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8, in_channels=9),
    "sd21": dict(sample_size=96, cross_attention_dim=1024, attention_head_dim=[5, 10, 20, 20], use_linear_projection=True),
    "sdxl": dict(
        sample_size=128, cross_attention_dim=2048, attention_head_dim=[5, 10, 20], use_linear_projection=True,
        block_out_channels=[320, 640, 1280], transformer_layers_per_block=[1, 2, 10], addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    ),
    "sdxl-refiner": dict(
        sample_size=128, cross_attention_dim=1280, attention_head_dim=[6, 12, 24, 24], use_linear_projection=True,
        block_out_channels=[384, 768, 1536, 1536], transformer_layers_per_block=4, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2560,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    ),
}
VAE = dict(
    block_out_channels=[128, 256, 512, 512], layers_per_block=2, down_block_types=["DownEncoderBlock2D"] * 4,
    up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=4,
)
CLIP_L = dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12, hidden_act="quick_gelu", projection_dim=768)
CLIP_H = dict(hidden_size=1024, intermediate_size=4096, num_attention_heads=16, num_hidden_layers=23, hidden_act="gelu", projection_dim=512)
CLIP_G = dict(hidden_size=1280, intermediate_size=5120, num_attention_heads=20, num_hidden_layers=32, hidden_act="gelu", projection_dim=1280)
CLIP = dict(vocab_size=49408, max_position_embeddings=77, eos_token_id=49407, layer_norm_eps=1e-5)

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3",
          "conv_shortcut": "skip_connection"}


def shapes_of(build):
    """Names and shapes of a network that takes no memory."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build().state_dict().items()}


def unet_original(shapes, layers):
    """The tensors of a UNet or ControlNet under the names of the code that trained it."""
    ups = sum(name.startswith("up_blocks.") and name.endswith("resnets.0.conv1.weight") for name in shapes)

    def name_of(name):
        fixed = {
            "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2", "time_embedding.linear_1": "time_embed.0",
            "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
            "controlnet_cond_embedding.conv_in": "input_hint_block.0", "controlnet_cond_embedding.conv_out": "input_hint_block.14",
            "controlnet_mid_block": "middle_block_out.0",
        }
        module, end = name.rsplit(".", 1)
        if module in fixed:
            return f"{fixed[module]}.{end}"
        if match := re.fullmatch(r"controlnet_cond_embedding\.blocks\.(\d+)", module):
            return f"input_hint_block.{2 * int(match[1]) + 2}.{end}"
        if match := re.fullmatch(r"controlnet_down_blocks\.(\d+)", module):
            return f"zero_convs.{match[1]}.0.{end}"
        if match := re.fullmatch(r"mid_block\.resnets\.(\d)\.(\w+)", module):
            return f"middle_block.{2 * int(match[1])}.{RESNET[match[2]]}.{end}"
        if name.startswith("mid_block.attentions.0."):
            return name.replace("mid_block.attentions.0", "middle_block.1")
        if match := re.fullmatch(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", module):
            return f"input_blocks.{(int(match[1]) + 1) * (layers + 1)}.0.op.{end}"
        if match := re.fullmatch(r"up_blocks\.(\d+)\.upsamplers\.0\.conv", module):
            level = int(match[1])
            attention = f"up_blocks.{level}.attentions.0.norm.weight" in shapes
            return f"output_blocks.{level * (layers + 1) + layers}.{2 if attention else 1}.conv.{end}"
        side, level, kind, layer, rest = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)", name).groups()
        block = int(level) * (layers + 1) + int(layer)
        at = f"input_blocks.{block + 1}" if side == "down" else f"output_blocks.{block}"
        if kind == "attentions":
            return f"{at}.1.{rest}"
        inner, end = rest.rsplit(".", 1)
        return f"{at}.0.{RESNET[inner]}.{end}"

    assert ups == 0 or layers > 0
    return {name_of(name): shape for name, shape in shapes.items()}


def vae_original(shapes):
    resnet = {"conv_shortcut": "nin_shortcut"}
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}

    def entry(name, shape):
        name = name.replace("conv_norm_out", "norm_out").replace("mid_block.attentions.0", "mid.attn_1")
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda match: f"up.{3 - int(match[1])}.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda match: f"up.{3 - int(match[1])}.upsample", name)
        for new, old in (attention if "attn_1" in name else resnet).items():
            name = name.replace(f".{new}.", f".{old}.")
        return name, (*shape, 1, 1) if "attn_1" in name and len(shape) == 2 else shape

    return dict(entry(name, shape) for name, shape in shapes.items())


def openclip_original(width, hidden, layers):
    """An OpenCLIP text encoder as open_clip saves it."""
    tensors = {"positional_embedding": (77, width), "text_projection": (width, width), "logit_scale": (), "token_embedding.weight": (49408, width),
               "ln_final.weight": (width,), "ln_final.bias": (width,)}
    for layer in range(layers):
        for name, shape in {
            "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,), "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,), "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,), "mlp.c_fc.weight": (hidden, width),
            "mlp.c_fc.bias": (hidden,), "mlp.c_proj.weight": (width, hidden), "mlp.c_proj.bias": (width,),
        }.items():
            tensors[f"transformer.resblocks.{layer}.{name}"] = shape
    return tensors


def clip_original(config):
    """CLIP-L as transformers had it when the checkpoints were made: with a prefix, and position ids as a tensor."""
    shapes = shapes_of(lambda: CLIPTextModel(CLIPTextConfig(**CLIP, **config)))
    named = {name if name.startswith("text_model.") else f"text_model.{name}": shape for name, shape in shapes.items()}
    return {**named, "text_model.embeddings.position_ids": (1, 77)}


def marked(index, name, shape):
    """A tensor of one number; joined projections say in quarters which third a row is of, others by a corner that they are transposed."""
    if "in_proj_" in name:
        third = shape[0] // 3
        return torch.cat([torch.full((third, *shape[1:]), index + part / 4) for part in range(3)])
    value = torch.tensor(float(index)).expand(shape)
    if name.endswith("text_projection"):
        value = value.clone()
        value[0, 1] += 0.5
    return value


def place(tensors, stored):
    """What each tensor of a converted state dict is, in terms of the stored ones."""
    names = list(stored)
    placed = {}
    for name, value in tensors.items():
        first = value.flatten()[0].item()
        source = names[int(first)]
        part = round((first - int(first)) * 4)
        turned = value.ndim == 2 and min(value.shape) > 1 and value[1, 0].item() == first + 0.5
        assert turned or part or source.endswith("in_proj_weight") or source.endswith("in_proj_bias") or (value == first).all()
        shape = tuple(value.shape)
        same = shape == tuple(stored[source]) and not turned
        placed[name] = source if same else [source, list(shape), part * shape[0], turned]
    return placed


def converted(stored, unet=None, controlnet=None, vae=None, text=()):
    """Every component of a file, converted by diffusers, with the class and the config that it was converted for."""
    checkpoint = {name: marked(index, name, shape) for index, (name, shape) in enumerate(stored.items())}
    components = {}

    def check(name, tensors, cls, config, build):
        wanted = shapes_of(build)
        got = {key.removeprefix("text_model.") if cls is CLIPTextModel else key: tuple(value.shape) for key, value in tensors.items()}
        wanted = {key.removeprefix("text_model.") if cls is CLIPTextModel else key: shape for key, shape in wanted.items()}
        got = {key: shape for key, shape in got.items() if not key.endswith("position_ids")}
        assert got == wanted, f"{name}: {set(got) ^ set(wanted)}"
        placed = place({key: value for key, value in tensors.items() if not key.endswith("position_ids")}, stored)
        components[name] = {"class": cls.__name__, "config": config, "tensors": placed}

    if unet is not None:
        full = dict(shapes_config(UNet2DConditionModel, unet))
        check("unet", oracle.convert_ldm_unet_checkpoint(dict(checkpoint), full), UNet2DConditionModel, full, lambda: UNet2DConditionModel(**unet))
    if controlnet is not None:
        full = dict(shapes_config(ControlNetModel, controlnet))
        check("controlnet", oracle.convert_controlnet_checkpoint(dict(checkpoint), full), ControlNetModel, full, lambda: ControlNetModel(**controlnet))
    if vae is not None:
        full = dict(shapes_config(AutoencoderKL, vae))
        check("vae", oracle.convert_ldm_vae_checkpoint(dict(checkpoint), full), AutoencoderKL, full, lambda: AutoencoderKL(**vae))
    for name, kind, prefix, cls, config in text:
        config = CLIPTextConfig(**CLIP, **config)
        if kind == "clip":
            tensors = oracle.convert_ldm_clip_checkpoint(checkpoint)
        else:
            shell = type("Shell", (), {"config": config})
            tensors = oracle.convert_open_clip_checkpoint(shell, checkpoint, prefix=prefix)
        fields = {key: getattr(config, key) for key in (*CLIP, *CLIP_L)}
        check(name, tensors, cls, fields, lambda: cls(config))
    return components


def shapes_config(cls, config):
    """The config with its defaults, as `config.json` would have it."""
    with torch.device("meta"):
        full = dict(cls(**config).config)
    return {key: value for key, value in full.items() if not key.startswith("_")}


def prefixed(prefix, tensors):
    return {prefix + name: shape for name, shape in tensors.items()}


def whole(family, text, tensors, extra, scaling):
    """All networks of a model in one file."""
    unet = UNETS[family]
    stored = prefixed("model.diffusion_model.", unet_original(shapes_of(lambda: UNet2DConditionModel(**unet)), 2))
    vae = {**VAE, "scaling_factor": scaling}
    stored |= prefixed("first_stage_model.", vae_original(shapes_of(lambda: AutoencoderKL(**vae))))
    stored |= tensors | extra
    return stored, converted(stored, unet=unet, vae=vae, text=text)


OLD = {"betas": (1000,), "alphas_cumprod": (1000,), "model_ema.decay": (), "model_ema.num_updates": (), "model_ema.diffusion_modelinput_blocks00bias": (320,)}
L = ("text_encoder", "clip", "", CLIPTextModel, CLIP_L)


def control(family):
    unet = {key: value for key, value in UNETS[family].items() if key not in ("sample_size", "up_block_types", "in_channels")}
    shapes = shapes_of(lambda: ControlNetModel(**unet))
    return unet, shapes


def cases():
    clip = prefixed("cond_stage_model.transformer.", clip_original(CLIP_L))
    yield "sd15", *whole("sd15", [L], clip, OLD, 0.18215)
    yield "sd15-inpainting", *whole("sd15-inpainting", [L], clip, {}, 0.18215)
    open_clip = prefixed("cond_stage_model.model.", openclip_original(1024, 4096, 24))
    yield "sd21", *whole("sd21", [("text_encoder", "open", "cond_stage_model.model.", CLIPTextModel, CLIP_H)], open_clip, OLD, 0.18215)
    both = prefixed("conditioner.embedders.0.transformer.", clip_original(CLIP_L))
    both |= prefixed("conditioner.embedders.1.model.", openclip_original(1280, 5120, 32))
    big = ("text_encoder_2", "open", "conditioner.embedders.1.model.", CLIPTextModelWithProjection, CLIP_G)
    yield "sdxl", *whole("sdxl", [L, big], both, {"denoiser.sigmas": (1000,)}, 0.13025)
    refiner = prefixed("conditioner.embedders.0.model.", openclip_original(1280, 5120, 32))
    alone = ("text_encoder_2", "open", "conditioner.embedders.0.model.", CLIPTextModelWithProjection, CLIP_G)
    yield "sdxl-refiner", *whole("sdxl-refiner", [alone], refiner, {}, 0.13025)
    for family in ("sd15", "sd21"):
        unet, shapes = control(family)
        for prefix, suffix in (("control_model.", ""), ("", "-bare")):
            stored = prefixed(prefix, unet_original(shapes, 2))
            yield f"controlnet-{family}{suffix}", stored, converted(stored, controlnet=unet)
    # XL's are published in diffusers' naming alone.
    unet, shapes = control("sdxl")
    yield "controlnet-sdxl", shapes, converted(shapes, controlnet=unet)
    stored = vae_original(shapes_of(lambda: AutoencoderKL(**VAE)))
    yield "vae", stored, converted(stored, vae=VAE)


def main():
    torch.set_num_threads(1)
    sha256 = {}
    for name, stored, components in cases():
        text = json.dumps({"stored": stored, "components": components}, separators=(",", ":"))
        file = FOLDER / f"{name}.json.gz"
        file.write_bytes(gzip.compress(text.encode(), mtime=0))
        sha256[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        print(name, len(stored), {key: len(value["tensors"]) for key, value in components.items()}, file.stat().st_size)
    manifest = {
        "script": "make.py", "python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__,
        "transformers": transformers.__version__, "tolerance": 0, "why": "names, shapes and places: nothing is rounded", "sha256": sha256,
    }
    (FOLDER / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n")


main()
