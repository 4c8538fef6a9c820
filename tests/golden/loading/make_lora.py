"""What diffusers makes of LoRA files in every naming. Run: python tests/golden/loading/make_lora.py

A small UNet and text encoder with random weights; each case is one or two LoRA files on some of their layers, loaded with
diffusers' `load_lora_weights` and fused. Kept are the layers' weights before (base.safetensors, shared) and after, and the
files themselves. Needs peft beside the other requirements.
"""

import hashlib
import json
import platform
import warnings
from pathlib import Path

import diffusers
import peft
import torch
import transformers
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

warnings.filterwarnings("ignore")
FOLDER = Path(__file__).parent / "lora"
TEXT = dict(vocab_size=99, hidden_size=32, intermediate_size=48, num_attention_heads=2, num_hidden_layers=2, max_position_embeddings=13,
            eos_token_id=98, bos_token_id=97, pad_token_id=0, projection_dim=32)


def unet(xl):
    extra = dict(addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=80, use_linear_projection=True,
                 down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"]) if xl else dict(
                 down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"])
    return UNet2DConditionModel(sample_size=8, block_out_channels=[32, 32], layers_per_block=2, cross_attention_dim=64 if xl else 32,
                                attention_head_dim=4, norm_num_groups=8, **extra)


def pipeline(xl):
    torch.manual_seed(7)
    common = dict(vae=None, scheduler=EulerDiscreteScheduler(), tokenizer=None, unet=unet(xl), text_encoder=CLIPTextModel(CLIPTextConfig(**TEXT)))
    if xl:
        return StableDiffusionXLPipeline(**common, tokenizer_2=None, text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**TEXT)))
    return StableDiffusionPipeline(**common, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


# Layers by diffusers' names; `up_blocks.1` of the first UNet and `up_blocks.0` of the second have attention.
BLOCK = {False: "down_blocks.0.attentions.1", True: "up_blocks.0.attentions.2"}


def unet_layers(xl, convolutions=True):
    at = BLOCK[xl]
    linear = [f"{at}.transformer_blocks.0.{name}" for name in ("attn1.to_q", "attn1.to_k", "attn2.to_v", "attn2.to_out.0")]
    linear += [f"{at}.transformer_blocks.0.ff.net.0.proj", f"{at}.transformer_blocks.0.ff.net.2", f"{at}.proj_in"]
    more = ["mid_block.resnets.1.conv1", "mid_block.resnets.0.time_emb_proj", "down_blocks.0.downsamplers.0.conv", "up_blocks.0.resnets.0.conv_shortcut"]
    return linear + (more if convolutions else [])


TEXT_LAYERS = ["encoder.layers.1.self_attn.q_proj", "encoder.layers.0.self_attn.out_proj", "encoder.layers.1.mlp.fc1"]


def factors(weight, rank, generator):
    """up · down of a layer's shape; a kernel's down keeps its size."""
    out, channels, *kernel = weight.shape
    down = torch.randn(rank, channels, *kernel, generator=generator) / channels ** 0.5
    up = torch.randn(out, rank, *[1] * len(kernel), generator=generator)
    return up.to(torch.float16), down.to(torch.float16)


def original_xl(layer):
    """kohya's key of a layer of an XL UNet: the original code's blocks."""
    table = {
        "up_blocks.0.attentions.2": "output_blocks.2.1", "mid_block.resnets.1.conv1": "middle_block.2.in_layers.2",
        "mid_block.resnets.0.time_emb_proj": "middle_block.0.emb_layers.1", "down_blocks.0.downsamplers.0.conv": "input_blocks.3.0.op",
        "up_blocks.0.resnets.0.conv_shortcut": "output_blocks.0.0.skip_connection",
    }
    for new, old in table.items():
        layer = layer.replace(new, old)
    return layer


def kohya(layers, prefix, alpha, rank, generator, rename=lambda name: name):
    tensors = {}
    for name, weight in layers.items():
        key = f"{prefix}_{rename(name).replace('.', '_')}"
        tensors[f"{key}.lora_up.weight"], tensors[f"{key}.lora_down.weight"] = factors(weight, rank, generator)
        tensors[f"{key}.alpha"] = torch.tensor(float(alpha))
    return tensors


def dotted(layers, prefix, rank, generator, ends=("lora_B.weight", "lora_A.weight"), rename=lambda name: name):
    tensors = {}
    for name, weight in layers.items():
        up, down = factors(weight, rank, generator)
        tensors[f"{prefix}.{rename(name)}{ends[0]}"], tensors[f"{prefix}.{rename(name)}{ends[1]}"] = up, down
    return tensors


def processor(name):
    """The names of diffusers' first LoRA training script."""
    module, _, projection = name.removesuffix(".0").rpartition(".")
    return f"{module}.processor.{projection}_lora"


def cases(pipes):
    def layers(xl, convolutions=True):
        modules = dict(pipes[xl].unet.named_modules())
        return {name: modules[name].weight for name in unet_layers(xl, convolutions)}

    def text(xl, which="text_encoder"):
        modules = dict(getattr(pipes[xl], which).named_modules())
        return {f"text_model.{name}": modules.get(name, modules.get(f"text_model.{name}")).weight for name in TEXT_LAYERS}

    g = torch.Generator().manual_seed(11)
    sd = kohya(layers(False), "lora_unet", 2, 4, g) | kohya(text(False), "lora_te", 1, 3, g)
    xl = kohya(layers(True), "lora_unet", 3, 4, g, original_xl) | kohya(text(True), "lora_te1", 4, 2, g) | kohya(text(True, "text_encoder_2"), "lora_te2", 1, 2, g)
    plain = lambda name: name.removeprefix("text_model.") + "."  # noqa: E731
    dot = lambda name: f"{name}."  # noqa: E731
    new = dotted(layers(False), "unet", 4, g, rename=dot) | dotted(text(False), "text_encoder", 4, g, rename=dot)
    attention = {name: weight for name, weight in layers(False, False).items() if ".attn" in name}
    old = dotted(attention, "unet", 4, g, (".up.weight", ".down.weight"), processor)
    yield "kohya", False, [(sd, None, 1.0)]
    yield "kohya-xl", True, [(xl, None, 0.75)]
    yield "peft", False, [(new, None, 1.0)]
    yield "diffusers-old", False, [(old, None, 0.5)]
    yield "two", False, [(sd, None, 0.7), (new, None, -0.3)]
    # Alphas that only the metadata says, as diffusers saves an adapter of PEFT.
    alphas = {"unet.lora_alpha": 6, "unet.r": 4, "unet.alpha_pattern": {}, "unet.rank_pattern": {}, "unet.lora_bias": False, "unet.use_dora": False,
              "unet.target_modules": sorted({name.rpartition(".")[2] for name in attention} | {"to_out.0"}), "unet.use_rslora": False}
    yield "metadata", False, [(dotted(attention, "unet", 4, g, rename=dot), {"format": "pt", "lora_adapter_metadata": json.dumps(alphas)}, 1.0)]


def weights(pipe, xl):
    """The adapted layers' weights under the names that checkpoints have."""
    found = {}
    for component, names in (("unet", unet_layers(xl)), ("text_encoder", TEXT_LAYERS), *([("text_encoder_2", TEXT_LAYERS)] if xl else [])):
        state = getattr(pipe, component).state_dict()
        for name in names:
            options = [f"{name}.weight", f"text_model.{name}.weight", f"{name}.base_layer.weight", f"text_model.{name}.base_layer.weight"]
            value = next(state[key] for key in options if key in state)
            shown = f"text_model.{name}.weight" if component != "unet" else f"{name}.weight"
            found[f"{component}/{shown}"] = value.detach().clone().contiguous()
    return found


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    pipes = {xl: pipeline(xl) for xl in (False, True)}
    base = {xl: weights(pipes[xl], xl) for xl in pipes}
    # Enough of the other names and shapes to tell the models' structure.
    structure = {}
    for xl, pipe in pipes.items():
        for component in ("unet", "text_encoder", *(["text_encoder_2"] if xl else [])):
            for name, value in getattr(pipe, component).state_dict().items():
                shown = name if component == "unet" or name.startswith("text_") else f"text_model.{name}"
                structure[f"{'xl' if xl else 'sd'}/{component}/{shown}"] = list(value.shape)
    (FOLDER / "structure.json").write_text(json.dumps(structure, separators=(",", ":")) + "\n")
    save_file({f"{'xl' if xl else 'sd'}/{name}": value for xl in base for name, value in base[xl].items()}, FOLDER / "base.safetensors")
    listed = []
    for case, xl, files in cases(pipes):
        pipe = pipeline(xl)
        names = []
        for index, (tensors, metadata, scale) in enumerate(files):
            file = FOLDER / f"{case}.{index}.safetensors"
            save_file({name: value.contiguous() for name, value in tensors.items()}, file, metadata)
            pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=f"a{index}")
            names.append(f"a{index}")
        pipe.set_adapters(names, [scale for _, _, scale in files])
        pipe.fuse_lora(components=["unet", "text_encoder", *(["text_encoder_2"] if xl else [])], adapter_names=names)
        fused = {name: value for name, value in weights(pipe, xl).items() if not torch.equal(value, base[xl][name])}
        save_file(fused, FOLDER / f"{case}.fused.safetensors")
        listed.append({"case": case, "model": "xl" if xl else "sd", "scales": [scale for _, _, scale in files], "changed": len(fused)})
        print(case, len(fused))
    files = sorted(path for path in FOLDER.iterdir() if path.name != "MANIFEST.json")
    assert all(file.stat().st_size < 1 << 20 for file in files)
    for file in files:
        file.chmod(0o644)
    manifest = {
        "script": "../make_lora.py", "python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__,
        "transformers": transformers.__version__, "peft": peft.__version__, "seed": 11, "tolerance": 2e-6,
        "why": "both sides sum products of at most eight terms in float32, in another order", "loras": listed,
        "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
    }
    (FOLDER / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n")


main()
