"""
Whole pipelines of diffusers on small networks of the Stable Diffusion classes, every tensor redrawn: latents after ten
steps with noise of PyTorch's CPU generator. Run: python tests/golden/pipelines/make.py
"""

import hashlib
import json
import platform
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from diffusers import (  # noqa: E402
    AutoencoderKL,
    ControlNetModel,
    LatentConsistencyModelPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from golden import redraw  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer  # noqa: E402

torch.set_num_threads(1)
FOLDER = Path(__file__).parent
TOLERANCE = 1e-3
WHY = (
    "Relative L2 of the latents after ten steps in float32. A step differs by what sums in another order differ by, 1e-6, and "
    "networks of random weights magnify that from step to step; a wrong level, noise or order of steps is off by more than 1e-2."
)
WIDTH, HEIGHT, STEPS, SEED = 48, 32, 10, 11
GUIDANCE = 4.0
PROMPT, NEGATIVE = "a small red boat, at sea", "blurry"

TRAINED = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, steps_offset=1, clip_sample=False)
PNDM = diffusers.PNDMScheduler(**{k: v for k, v in TRAINED.items() if k != "clip_sample"}, set_alpha_to_one=False, skip_prk_steps=True)
DDIM_V = diffusers.DDIMScheduler(**TRAINED, set_alpha_to_one=False, prediction_type="v_prediction")
EULER = diffusers.EulerDiscreteScheduler(**{k: v for k, v in TRAINED.items() if k != "clip_sample"}, timestep_spacing="leading")
LCM = diffusers.LCMScheduler(**TRAINED, set_alpha_to_one=True)


def vocabulary(folder, pad):
    """CLIP's tokenizer with bytes for words: 256 of them inside a word, 256 at its end."""
    folder.mkdir(parents=True)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
    tokens = characters + [c + "</w>" for c in characters] + ["at</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\na t</w>\n")
    return CLIPTokenizer.from_pretrained(folder, pad_token=pad, model_max_length=77)


def text_encoder(cls, seed, tokenizer, **changes):
    config = dict(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_attention_heads=2, num_hidden_layers=3,
                  max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=24, bos_token_id=tokenizer.bos_token_id,
                  eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return rounded(redraw(cls(CLIPTextConfig(**{**config, **changes})), seed))


def unet(seed, **changes):
    config = dict(sample_size=16, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
                  down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                  cross_attention_dim=32, attention_head_dim=2)
    return rounded(redraw(UNet2DConditionModel(**{**config, **changes}), seed))


def controlnet(seed):
    config = dict(block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, cross_attention_dim=32, attention_head_dim=2,
                  down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), conditioning_embedding_out_channels=(8, 12))
    return rounded(redraw(ControlNetModel(**config), seed))


def vae(seed, **changes):
    config = dict(block_out_channels=(16, 16), layers_per_block=1, norm_num_groups=8, latent_channels=4, scaling_factor=0.18215,
                  down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, sample_size=32)
    return rounded(redraw(AutoencoderKL(**{**config, **changes}), seed))


def rounded(model):
    """Weights that float16 holds exactly, so that small files hold them."""
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(tensor.half().float())
    return model


def save(pipeline, name):
    """Networks as float16; the rest as the pipeline has it. The schedule is read back: then no value of it is a default."""
    pipeline.save_pretrained(FOLDER / name, safe_serialization=True)
    file = FOLDER / name / "scheduler" / "scheduler_config.json"
    # As in the published folders: PNDM itself knows no such field, but what it is turned into does.
    file.write_text(json.dumps({**json.loads(file.read_text()), "clip_sample": False}, indent=2) + "\n")
    pipeline.scheduler = type(pipeline.scheduler).from_pretrained(FOLDER / name, subfolder="scheduler")
    for key, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            shutil.rmtree(FOLDER / name / key)
            part.half().save_pretrained(FOLDER / name / key)
            part.float()
    return pipeline


def picture(seed, channels):
    """Smooth noise as bytes."""
    noise = torch.rand((1, channels, 6, 8), generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, size=(HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)[0]
    return (smooth.permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous()


def models():
    parts = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    scratch = FOLDER / "scratch"
    end, bang = vocabulary(scratch / "end", "<|endoftext|>"), vocabulary(scratch / "bang", "!")
    shutil.rmtree(scratch)
    clip = text_encoder(CLIPTextModel, 1, end)
    sd1 = StableDiffusionPipeline(vae(2), clip, end, unet(3), PNDM, **parts)
    inpaint = StableDiffusionInpaintPipeline(sd1.vae, clip, end, unet(4, in_channels=9), PNDM, **parts)
    sd2 = StableDiffusionPipeline(vae(2), text_encoder(CLIPTextModel, 5, bang, hidden_act="gelu"), bang,
                                  unet(6, use_linear_projection=True, attention_head_dim=(2, 4)), DDIM_V, **parts)
    xl = StableDiffusionXLPipeline(
        vae(7, scaling_factor=0.13025), clip, text_encoder(CLIPTextModelWithProjection, 8, bang, hidden_act="gelu"), end, bang,
        unet(9, use_linear_projection=True, attention_head_dim=(2, 4), cross_attention_dim=64, addition_embed_type="text_time",
             addition_time_embed_dim=8, projection_class_embeddings_input_dim=72, transformer_layers_per_block=(1, 2)), EULER)
    lcm = LatentConsistencyModelPipeline(sd1.vae, clip, end, unet(10, time_cond_proj_dim=16), LCM, **parts)
    for name, pipeline in dict(sd1=sd1, inpaint=inpaint, sd2=sd2, sdxl=xl, lcm=lcm).items():
        save(pipeline, name).set_progress_bar_config(disable=True)
    nets = [controlnet(seed) for seed in (12, 13)]
    for net, name in zip(nets, ("controlnet-a", "controlnet-b")):
        net.half().save_pretrained(FOLDER / name)
        net.float()
    return dict(sd1=sd1, inpaint=inpaint, sd2=sd2, sdxl=xl, lcm=lcm), nets


# What diffusers calls a solver, and what it is called here; options beyond a class go to both sides.
SOLVERS = {
    "ddim": ("DDIMScheduler", {}, {"sampler": "ddim"}),
    "euler": ("EulerDiscreteScheduler", {}, {"sampler": "euler"}),
    "euler karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, {"sampler": "euler", "schedule": "karras"}),
    "euler exponential": ("EulerDiscreteScheduler", {"use_exponential_sigmas": True}, {"sampler": "euler", "schedule": "exponential"}),
    "euler trailing": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}, {"sampler": "euler", "schedule": "trailing"}),
    "heun": ("HeunDiscreteScheduler", {}, {"sampler": "heun"}),
    "dpm++ 2m": ("DPMSolverMultistepScheduler", {}, {"sampler": "dpmpp2m"}),
    "dpm++ 2m karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, {"sampler": "DPM++ 2M Karras"}),
    "dpm++ 2s": ("DPMSolverSinglestepScheduler", {}, {"sampler": "dpmpp2s"}),
    "dpm2": ("KDPM2DiscreteScheduler", {}, {"sampler": "dpm2"}),
    "lms": ("LMSDiscreteScheduler", {}, {"sampler": "lms"}),
    "pndm": (None, {}, {}),
    "unipc": ("UniPCMultistepScheduler", {}, {"sampler": "unipc"}),
    "deis": ("DEISMultistepScheduler", {}, {"sampler": "deis"}),
    # Their noise is drawn step by step from the same generator.
    "euler a": ("EulerAncestralDiscreteScheduler", {}, {"sampler": "euler_a"}),
    "ddpm": ("DDPMScheduler", {}, {"sampler": "ddpm"}),
}


def skipped(pipeline, text, layers):
    """A prompt without the last layers, behind the final norm. diffusers itself leaves them out for the prompt alone; the web UI,
    which is followed here, for the negative prompt too."""
    encoder = pipeline.text_encoder
    ids = pipeline.tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        states = encoder(ids, output_hidden_states=True).hidden_states
        return getattr(encoder, "text_model", encoder).final_layer_norm(states[-(layers + 1)])


class Cases:
    def __init__(self):
        self.cases = []

    def add(self, name, model, pipeline, options, solver=(None, {}, {}), inputs=None, **call):
        """One run of diffusers, and the options of `generate` that stand for it."""
        class_name, changes, ours = solver
        scheduler = pipeline.scheduler
        if class_name is not None:
            pipeline.scheduler = getattr(diffusers, class_name).from_config(scheduler.config, **changes)
        seeds = options.get("seed", SEED)
        generator = [torch.Generator().manual_seed(s) for s in seeds] if isinstance(seeds, list) else torch.Generator().manual_seed(seeds)
        given = {"guidance": GUIDANCE, "steps": STEPS, "seed": seeds, "prompt": PROMPT, **options, **ours}
        texts = {"prompt": given["prompt"], **({"negative_prompt": given["negativePrompt"]} if "negativePrompt" in given else {})}
        if "clipSkip" in given:
            texts = {
                "prompt_embeds": skipped(pipeline, given["prompt"], given["clipSkip"]),
                "negative_prompt_embeds": skipped(pipeline, given["negativePrompt"], given["clipSkip"]),
            }
        with torch.no_grad():
            latents = pipeline(
                **texts, num_inference_steps=given["steps"], guidance_scale=given["guidance"], generator=generator,
                output_type="latent", **call,
            ).images
        pipeline.scheduler = scheduler
        assert torch.isfinite(latents).all(), name
        file = f"{name.replace(' ', '-').replace('+', 'p').replace(',', '')}.safetensors"
        save_file({"latents": latents.float().contiguous(), **(inputs or {})}, str(FOLDER / file))
        self.cases.append({"case": name, "model": model, "file": file, "options": given})


def main():
    for old in FOLDER.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.suffix == ".safetensors":
            old.unlink()
    pipelines, nets = models()
    cases = Cases()
    sd1 = pipelines["sd1"]
    size = dict(width=WIDTH, height=HEIGHT)
    asked = {"size": size, "negativePrompt": NEGATIVE}
    for solver, settings in SOLVERS.items():
        cases.add(f"text {solver}", "sd1", sd1, asked, settings, **size)
    cases.add("text sd2", "sd2", pipelines["sd2"], asked, **size)
    cases.add("text sd2 rescaled", "sd2", pipelines["sd2"], {**asked, "guidanceRescale": 0.7}, guidance_rescale=0.7, **size)
    cases.add("text sdxl", "sdxl", pipelines["sdxl"], asked, **size)
    cases.add("text sdxl without negative", "sdxl", pipelines["sdxl"], {"size": size}, **size)
    cases.add("text without guidance", "sd1", sd1, {"size": size, "guidance": 1}, SOLVERS["ddim"], **size)
    cases.add("text clip skip", "sd1", sd1, {**asked, "clipSkip": 1}, SOLVERS["ddim"], **size)
    cases.add("text two prompts", "sd1", sd1, {**asked, "prompt": [PROMPT, "a"], "seed": [3, 4], "negativePrompt": [NEGATIVE, "b"]},
              SOLVERS["euler"], **size)
    cases.add("text lcm", "lcm", pipelines["lcm"], {"size": size, "steps": 4, "guidance": 8.5}, **size)

    image, mask, hints = picture(1, 3), (picture(2, 1) > 127).to(torch.uint8) * 255, [picture(3, 3), picture(4, 3)]
    pil = lambda bytes: Image.fromarray(bytes.squeeze(-1).numpy())  # noqa: E731
    parts = {k: v for k, v in sd1.components.items() if k != "image_encoder"}
    from_picture = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
    blending = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    for pipeline in (from_picture, blending):
        pipeline.set_progress_bar_config(disable=True)
    start = {"size": size, "negativePrompt": NEGATIVE, "init": "image"}
    # Not PNDM and LMS, which diffusers starts wrongly in the middle of a schedule: the one repeats its second timestep, which is
    # no longer there, and so takes one step less than it tells the network; the other weighs slopes it does not have yet.
    for solver in ("ddim", "euler", "heun", "dpm++ 2m", "unipc", "deis", "dpm2", "dpm++ 2s", "euler a"):
        cases.add(f"picture {solver}", "sd1", from_picture, {**start, "strength": 0.6}, SOLVERS[solver], {"image": image},
                  image=pil(image), strength=0.6)
    cases.add("picture full strength", "sd1", from_picture, {**start, "strength": 1.0}, SOLVERS["ddim"], {"image": image},
              image=pil(image), strength=1.0)
    painted = {"image": image, "mask": mask.squeeze(-1).contiguous()}
    for solver, strengths in {**dict.fromkeys(("ddim", "euler", "heun", "dpm++ 2m", "unipc"), (1.0, 0.7)), "pndm": (1.0,)}.items():
        for strength in strengths:
            cases.add(f"mask {solver} {strength}", "sd1", blending, {**start, "mask": "mask", "strength": strength}, SOLVERS[solver], painted,
                      image=pil(image), mask_image=pil(mask), strength=strength, **size)
    for strength in (1.0, 0.7):
        cases.add(f"mask read {strength}", "inpaint", pipelines["inpaint"], {**start, "mask": "mask", "strength": strength}, SOLVERS["ddim"],
                  painted, image=pil(image), mask_image=pil(mask), strength=strength, **size)

    hinted = {f"hint{i}": hint for i, hint in enumerate(hints)}
    for name, used, scales, intervals in [
        ("one", nets[:1], [0.8], [(0.0, 1.0)]),
        ("two", nets, [0.8, 1.3], [(0.0, 1.0), (0.0, 1.0)]),
        ("intervals", nets, [0.8, 1.0], [(0.0, 0.5), (0.3, 0.8)]),
    ]:
        many = len(used) > 1
        steered = StableDiffusionControlNetPipeline(**parts, controlnet=used if many else used[0], requires_safety_checker=False)
        steered.set_progress_bar_config(disable=True)
        control = [{"image": f"hint{i}", "scale": s, "interval": list(v)} for i, (s, v) in enumerate(zip(scales, intervals))]
        of = lambda values: values if many else values[0]  # noqa: E731
        for solver in ("ddim", "heun", "dpm++ 2m"):
            cases.add(f"control {name} {solver}", "sd1", steered, {**asked, "control": control}, SOLVERS[solver], hinted,
                      image=of([pil(hint) for hint in hints[: len(used)]]), controlnet_conditioning_scale=of(scales),
                      control_guidance_start=of([a for a, _ in intervals]), control_guidance_end=of([b for _, b in intervals]), **size)

    files = sorted(p for p in FOLDER.rglob("*") if p.is_file() and p.name not in ("make.py", "MANIFEST.json") and not p.suffix == ".ts")
    for file in files:
        file.chmod(0o644)
        assert file.stat().st_size < 1 << 20, f"{file} is too large to be kept"
    manifest = {
        "script": "make.py", "python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__,
        "transformers": transformers.__version__, "why": WHY, "tolerance": TOLERANCE, "cases": cases.cases,
        "sha256": {str(file.relative_to(FOLDER)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
    }
    (FOLDER / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"pipelines: {len(cases.cases)} cases, {sum(file.stat().st_size for file in files) / 1e6:.2f} MB")


main()
