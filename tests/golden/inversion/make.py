"""
Textual inversion in diffusers' pipelines of ../pipelines: latents after ten steps of prompts that name an embedding, from
files in every layout. Run after ../pipelines/make.py: python tests/golden/inversion/make.py
"""

import hashlib
import json
import platform
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file

torch.set_num_threads(1)
FOLDER = Path(__file__).parent
MODELS = FOLDER.parent / "pipelines"
TOLERANCE = 1e-3
WHY = "Relative L2 of the latents after ten steps in float32, as in ../pipelines: a vector in another place is off by more than 1e-2."
WIDTH, HEIGHT, STEPS, SEED, GUIDANCE, D = 48, 32, 10, 11, 4.0, 32


def vectors(seed, count):
    """Far larger than the rows of the token table: a vector that is lost shows."""
    return torch.randn((count, D), generator=torch.Generator().manual_seed(seed)) * 2


# By name: the tensors of the file, what stands for it in prompts, and the vectors of each encoder.
EMBEDDINGS = {
    "cat-toy": ({"<cat-toy>": vectors(1, 2)}, "<cat-toy>", [vectors(1, 2)]),
    "bad-hands": ({"emb_params": vectors(2, 3)}, "bad-hands", [vectors(2, 3)]),
    "both": ({"clip_g": vectors(4, 2), "clip_l": vectors(3, 2)}, "both", [vectors(3, 2), vectors(4, 2)]),
}


def pipeline(model, embeddings):
    cls = StableDiffusionXLPipeline if model == "sdxl" else StableDiffusionPipeline
    pipe = cls.from_pretrained(MODELS / model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    encoders = [(pipe.text_encoder, pipe.tokenizer)] + ([(pipe.text_encoder_2, pipe.tokenizer_2)] if model == "sdxl" else [])
    for name in embeddings:
        _, word, parts = EMBEDDINGS[name]
        for (encoder, tokenizer), part in zip(encoders, parts, strict=True):
            pipe.load_textual_inversion({word: part}, token=word, text_encoder=encoder, tokenizer=tokenizer)
    return pipe


CASES = [
    ("two vectors", "sd1", ["cat-toy"], "a <cat-toy>, at sea", "blurry"),
    ("two embeddings", "sd1", ["cat-toy", "bad-hands"], "<cat-toy> at <cat-toy>", "a bad-hands"),
    ("not in the prompt", "sd1", ["cat-toy"], "a small red boat, at sea", "blurry"),
    ("sdxl", "sdxl", ["both"], "a both, at sea", "blurry"),
]


def main():
    for old in FOLDER.glob("*.safetensors"):
        old.unlink()
    for name, (tensors, _, _) in EMBEDDINGS.items():
        save_file(tensors, str(FOLDER / f"{name}.safetensors"))
    cases = []
    for name, model, embeddings, prompt, negative in CASES:
        with torch.no_grad():
            latents = pipeline(model, embeddings)(
                prompt=prompt, negative_prompt=negative, num_inference_steps=STEPS, guidance_scale=GUIDANCE, width=WIDTH, height=HEIGHT,
                generator=torch.Generator().manual_seed(SEED), output_type="latent",
            ).images
        assert torch.isfinite(latents).all(), name
        file = f"latents-{name.replace(' ', '-')}.safetensors"
        save_file({"latents": latents.contiguous()}, str(FOLDER / file))
        options = dict(prompt=prompt, negativePrompt=negative, steps=STEPS, guidance=GUIDANCE, seed=SEED, size=dict(width=WIDTH, height=HEIGHT))
        cases.append({"case": name, "model": model, "embeddings": [f"{e}.safetensors" for e in embeddings], "file": file, "options": options})
    files = sorted(FOLDER.glob("*.safetensors"))
    for file in files:
        file.chmod(0o644)
    manifest = {
        "script": "make.py", "python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__,
        "transformers": transformers.__version__, "why": WHY, "tolerance": TOLERANCE, "cases": cases,
        "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
    }
    (FOLDER / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"inversion: {len(cases)} cases, {sum(file.stat().st_size for file in files) / 1e3:.0f} kB")


main()
