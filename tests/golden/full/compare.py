"""Networks at their full sizes, random weights: PyTorch against `irodori infer`, in f32, bf16 and f16, and a redraw of some tensors.

Run after a build, with the packages of tests/golden/requirements.txt:

    python tests/golden/full/compare.py SCRATCH [--nets dit,clip-l] [--runs 64x64] [--dtypes f32] [--redraw 4] [--threads 2] [--json report.json]

SCRATCH gets the weights (SDXL's UNet alone is 10.3 GB); each network's folder is removed after its turn. PyTorch runs in a
process of its own that has ended before irodori begins, so that a machine needs memory for one of them. Exit status 1 when
a bound is missed: f32 within 1e-5 of PyTorch (relative L2; 2e-5 for the networks of Stable Diffusion, whose sums are
longer), bf16 and f16 at most 1.5 times PyTorch's own error in that type, a redrawn tensor moves the output by at least ten
times the bound. The half types run at smaller sizes: where a processor lacks instructions for f16, PyTorch's convolutions
in it take minutes.
"""

import argparse
import gc
import json
import multiprocessing
import random
import re
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch  # noqa: E402
from diffusers import (  # noqa: E402
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    DiTTransformer2DModel,
    PixArtTransformer2DModel,
    UNet2DConditionModel,
)
from golden import F32_TOLERANCE, LOW, LOW_FACTOR, drawn, error, noise, redraw  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection  # noqa: E402

CLI = Path(__file__).parents[3] / "dist" / "cli" / "main.js"
NO_EFFECT = re.compile(r"(to_k|k_proj)\.bias$")  # softmax does not change when all scores of a query shift
ALL = ("f32", "bf16", "f16")


@dataclass
class Run:
    """One call of one component."""

    component: str
    inputs: Callable
    call: Callable
    dtypes: tuple = ALL
    label: str = ""

    @property
    def key(self):
        return f"{self.component} {self.label}".strip()


@dataclass
class Net:
    """A network with its calls."""

    make: Callable
    folder: str
    runs: list
    bound: float = F32_TOLERANCE


def tokens(seed, rows, length):
    ids = torch.randint(0, 49405, (rows, length), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = 49406
    for row in range(rows):
        ids[row, 5 + 20 * row:] = 49407
    return ids


def prefix(lengths, size):
    return (torch.arange(size)[None] < torch.tensor(lengths)[:, None]).float()


def clip(folder, width, hidden, heads, layers, act, projected=None):
    """A text encoder; OpenCLIP's have gelu."""
    config = dict(hidden_size=width, intermediate_size=hidden, num_attention_heads=heads, num_hidden_layers=layers, hidden_act=act,
                  projection_dim=projected or 512)
    cls = CLIPTextModel if projected is None else CLIPTextModelWithProjection

    def call(m, i):
        out = m(input_ids=i["input_ids"], output_hidden_states=True)
        pooled = {"pooler_output": out.pooler_output} if projected is None else {"text_embeds": out.text_embeds}
        return {"last_hidden_state": out.last_hidden_state, "hidden_states.-2": out.hidden_states[-2], **pooled}

    return Net(lambda: cls(CLIPTextConfig(**config)), folder, [Run(folder, lambda: {"input_ids": tokens(4, 3, 77)}, call)],
               bound=F32_TOLERANCE if width == 768 else SD_TOLERANCE)


SD_TOLERANCE = 2e-5
X, PLAIN, UP_X, UP_PLAIN = "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"
SD1 = dict(cross_attention_dim=768, attention_head_dim=8)
SD2 = dict(cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True)
XL = dict(cross_attention_dim=2048, attention_head_dim=(5, 10, 20), use_linear_projection=True, block_out_channels=(320, 640, 1280),
          transformer_layers_per_block=(1, 2, 10), addition_embed_type="text_time", addition_time_embed_dim=256,
          projection_class_embeddings_input_dim=2816, down_block_types=(PLAIN, X, X))
XL_UP = dict(up_block_types=(UP_X, UP_X, UP_PLAIN))


def latents(config, h, w, channels=4, hint=False):
    """Inputs of a UNet, or of a ControlNet with `hint`."""
    def make():
        made = {"sample": noise(1, 1, channels, h, w), "timestep": torch.tensor([981.0]),
                "encoder_hidden_states": noise(2, 1, 77, config["cross_attention_dim"])}
        if "addition_embed_type" in config:
            made |= {"text_embeds": noise(3, 1, 1280), "time_ids": torch.tensor([[8.0 * h, 8.0 * w, 0.0, 0.0, 8.0 * h, 8.0 * w]])}
        if hint:
            made |= {"controlnet_cond": torch.rand((1, 3, 8 * h, 8 * w), generator=torch.Generator().manual_seed(5)),
                     "conditioning_scale": torch.tensor([0.8])}
        return made
    return make


def added(i):
    return {name: i[name] for name in ("text_embeds", "time_ids") if name in i} or None


def unet_call(m, i):
    return {"sample": m(i["sample"], i["timestep"], i["encoder_hidden_states"], added_cond_kwargs=added(i)).sample}


def control_call(m, i):
    out = m(i["sample"], i["timestep"], i["encoder_hidden_states"], i["controlnet_cond"], conditioning_scale=0.8, added_cond_kwargs=added(i))
    return {**{f"down_block_res_samples.{n}": value for n, value in enumerate(out.down_block_res_samples)},
            "mid_block_res_sample": out.mid_block_res_sample}


def unet(config, sizes, channels=4, low=((32, 32), (8, 8))):
    """A UNet at some sizes in f32, and at smaller ones in bf16 and f16."""
    runs = [Run("unet", latents(config, h, w, channels), unet_call, ("f32",), f"{h}x{w}") for h, w in sizes]
    for dtype, (h, w) in zip(LOW, low):
        runs.append(Run("unet", latents(config, h, w, channels), unet_call, (dtype,), f"{h}x{w}"))
    up = XL_UP if config is XL else {}
    return Net(lambda: UNet2DConditionModel(**config, **up, in_channels=channels), "unet", runs, SD_TOLERANCE)


def controlnet(config, size, low=((16, 16), (8, 8))):
    runs = [Run("controlnet", latents(config, *size, hint=True), control_call, ("f32",), f"{size[0]}x{size[1]}")]
    for dtype, (h, w) in zip(LOW, low):
        runs.append(Run("controlnet", latents(config, h, w, hint=True), control_call, (dtype,), f"{h}x{w}"))
    return Net(lambda: ControlNetModel(**config), "controlnet", runs, SD_TOLERANCE)


def vae(channels, sizes, **config):
    """The KL autoencoder at some sizes of the latent, the first for bf16 too; f16 at a smaller one."""
    def encode(m, i):
        return {"moments": m.encode(i["sample"]).latent_dist.parameters}

    def decode(m, i):
        return {"sample": m.decode(i["latent"]).sample}

    runs = []
    for index, side in enumerate((*sizes, 4)):
        dtypes = ("f16",) if side == 4 else ("f32", "bf16") if index == 0 else ("f32",)
        runs.append(Run("vae.encoder", lambda side=side: {"sample": noise(5, 1, 3, 8 * side, 8 * side).clamp(-1, 1)}, encode, dtypes, f"{8 * side}"))
        runs.append(Run("vae.decoder", lambda side=side: {"latent": noise(6, 1, channels, side, side)}, decode, dtypes, f"{side}"))
    return Net(lambda: AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=channels,
                                     down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, **config),
               "vae", runs, SD_TOLERANCE)


NETS = {
    "dit": Net(
        lambda: DiTTransformer2DModel(out_channels=8), "transformer",
        [Run("transformer",
             lambda: {"hidden_states": noise(1, 1, 4, 32, 32), "timestep": torch.tensor([981.0]), "class_labels": torch.tensor([207])},
             lambda m, i: {"sample": m(i["hidden_states"], timestep=i["timestep"], class_labels=i["class_labels"]).sample}, ("f32", "bf16"))]),
    "pixart": Net(
        lambda: PixArtTransformer2DModel(
            num_attention_heads=8, attention_head_dim=32, in_channels=16, out_channels=16, num_layers=8, cross_attention_dim=256,
            sample_size=8, caption_channels=256, interpolation_scale=1, use_additional_conditions=False),
        "transformer",
        [Run("transformer",
             lambda: {"hidden_states": noise(2, 3, 16, 8, 8), "timestep": torch.tensor([999.0, 500.0, 20.0]),
                      "encoder_hidden_states": noise(3, 3, 16, 256), "encoder_attention_mask": prefix([16, 3, 8], 16)},
             lambda m, i: {"sample": m(i["hidden_states"], encoder_hidden_states=i["encoder_hidden_states"], timestep=i["timestep"],
                                       encoder_attention_mask=i["encoder_attention_mask"],
                                       added_cond_kwargs={"resolution": None, "aspect_ratio": None}).sample})]),
    "taesd": Net(
        lambda: AutoencoderTiny(latent_channels=16), "vae",
        [Run("vae.encoder", lambda: {"sample": noise(5, 2, 3, 128, 96).clamp(-1, 1)}, lambda m, i: {"latents": m.encode(i["sample"]).latents}),
         Run("vae.decoder", lambda: {"latent": noise(6, 2, 16, 16, 12)}, lambda m, i: {"sample": m.decode(i["latent"]).sample})]),
    "clip-l": clip("text_encoder", 768, 3072, 12, 12, "quick_gelu"),
    "clip-h": clip("text_encoder", 1024, 4096, 16, 23, "gelu"),
    "clip-bigg": clip("text_encoder_2", 1280, 5120, 20, 32, "gelu", projected=1280),
    "vae": vae(4, (16, 64)),
    "vae-16": vae(16, (16, 32), use_quant_conv=False, use_post_quant_conv=False),
    "unet-sd1": unet(SD1, ((64, 64), (64, 96))),
    "unet-sd1-inpaint": unet(SD1, ((32, 40),), channels=9, low=()),
    "unet-sd2": unet(SD2, ((64, 64),)),
    "unet-sdxl": unet(XL, ((32, 32), (128, 128)), low=((16, 16), (8, 8))),
    "controlnet-sd1": controlnet(SD1, (64, 64)),
    "controlnet-sd2": controlnet(SD2, (64, 64)),
    "controlnet-sdxl": controlnet(XL, (32, 32)),
}


def infer(folder, component, inputs, dtype, options):
    """Outputs of `irodori infer`, and what it reports."""
    given, made = folder / "inputs.safetensors", folder / "outputs.safetensors"
    save_file({name: value.contiguous() for name, value in inputs.items()}, str(given))
    command = ["node", str(options.cli), "infer", str(folder), component, "--inputs", str(given), "-o", str(made), "--dtype", dtype, "--json"]
    for name in ("device", "instructions", "threads"):
        if getattr(options, name):
            command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return load_file(str(made)), json.loads(done.stdout)


class WeightFile:
    """A safetensors file whose tensors are replaced in place, so that 3 GB need not be written for each."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            self.header = json.loads(file.read(size))
        self.header.pop("__metadata__", None)
        self.start = 8 + size

    def swap(self, name, values):
        """Writes other values; gives the bytes that were there."""
        begin, end = self.header[name]["data_offsets"]
        data = values if isinstance(values, bytes) else values.contiguous().numpy().tobytes()
        assert len(data) == end - begin, name
        with open(self.path, "r+b") as file:
            file.seek(self.start + begin)
            old = file.read(end - begin)
            file.seek(self.start + begin)
            file.write(data)
        return old


def lower(inputs, dtype):
    """Inputs in a half type; what PyTorch keeps in float32, timesteps, stays."""
    return {key: value.to(dtype) if value.is_floating_point() and key != "timestep" else value for key, value in inputs.items()}


def chosen(net, dtypes, runs):
    """Indices of the runs that were asked for, with their types among those asked for."""
    found = [(index, run, [dtype for dtype in dtypes if dtype in run.dtypes]) for index, run in enumerate(net.runs) if runs.search(run.key)]
    return [entry for entry in found if entry[2]]


def pytorch_side(name, folder, dtypes, threads, runs):
    """Draws and saves the weights and PyTorch's outputs: in float32, and for each half type how far it is from them."""
    if threads:
        torch.set_num_threads(threads)
    net = NETS[name]
    model = redraw(net.make(), 7)
    model.save_pretrained(folder / net.folder, max_shard_size="40GB")
    want = {}
    with torch.no_grad():
        for index, run, _ in chosen(net, dtypes, runs):
            started = time.time()
            want[index] = {key: value.float().clone() for key, value in run.call(model, run.inputs()).items()}
            print(f"     {name:16} {run.key:26} PyTorch float32 {time.time() - started:.1f} s", flush=True)
            save_file(want[index], str(folder / f"want.{index}.safetensors"))
        cls = type(model)
        del model
        gc.collect()
        rough = {}
        for dtype in (dtype for dtype in LOW if dtype in dtypes):
            of_dtype = [(index, run) for index, run, types in chosen(net, dtypes, runs) if dtype in types]
            if not of_dtype:
                continue
            low = cls.from_pretrained(folder / net.folder)
            low = low.half() if dtype == "f16" else low.bfloat16()
            for index, run in of_dtype:
                started = time.time()
                made = run.call(low, lower(run.inputs(), LOW[dtype]))
                rough[f"{index} {dtype}"] = {key: error(value.float(), want[index][key]) for key, value in made.items()}
                print(f"     {name:16} {run.key:26} PyTorch {dtype} {time.time() - started:.1f} s", flush=True)
            del low
            gc.collect()
    (folder / "rough.json").write_text(json.dumps(rough))


def compare(name, net, options, lines):
    folder = options.scratch / name
    shutil.rmtree(folder, ignore_errors=True)
    child = multiprocessing.get_context("spawn").Process(target=pytorch_side, args=(name, folder, options.dtypes, options.threads, options.runs))
    child.start()
    child.join()
    if child.exitcode != 0:
        raise SystemExit(f"{name}: PyTorch's side ended with {child.exitcode}")
    weights = WeightFile(next((folder / net.folder).glob("*.safetensors")))
    rough = json.loads((folder / "rough.json").read_text())

    def line(run, what, value, bound, passed, **more):
        lines.append({"net": name, "run": run.key, "what": what, "value": value, "bound": bound, "passed": passed, **more})
        print(f"{'ok  ' if passed else 'FAIL'} {name:16} {run.key:26} {what:60} {value:.2e}  bound {bound:.1e}", flush=True)

    redrawn = set()
    for index, run, dtypes in chosen(net, options.dtypes, options.runs):
        inputs, want = run.inputs(), load_file(str(folder / f"want.{index}.safetensors"))
        for dtype in dtypes:
            got, told = infer(folder, run.component, inputs, dtype, options)
            for key, value in want.items():
                off = error(got[key], value)
                bound = net.bound if dtype == "f32" else LOW_FACTOR * rough[f"{index} {dtype}"][key]
                line(run, f"{dtype} {key}", off, bound, off <= bound, device=told["device"], timings=told["timings"], memory=told["memory"])
            print(f"     {name:16} {run.key:26} irodori {dtype} loaded in {told['timings']['loadMs'] / 1000:.1f} s, ran in "
                  f"{told['timings']['runMs'] / 1000:.1f} s, at most {told['memory']['peakBytes'] / 1e9:.2f} GB", flush=True)
        if run.component in redrawn or "f32" not in dtypes:
            continue
        redrawn.add(run.component)
        part = run.component.split(".")[1] + "." if "." in run.component else ""
        names = sorted(key for key in weights.header if key.startswith(part) and not NO_EFFECT.search(key))
        generator = torch.Generator().manual_seed(11)
        for key in random.Random(13).sample(names, min(options.redraw, len(names))):
            old = weights.swap(key, drawn(key, torch.Size(weights.header[key]["shape"]), generator))
            got, _ = infer(folder, run.component, inputs, "f32", options)
            weights.swap(key, old)
            moved = max(error(got[output], value) for output, value in want.items())
            line(run, f"redrawn {key}", moved, 10 * net.bound, moved >= 10 * net.bound)
    shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--nets", default=",".join(NETS), type=lambda text: text.split(","))
    parser.add_argument("--runs", default="", type=re.compile, help="runs whose name has this in it, a regular expression: 'decoder|64x64'")
    parser.add_argument("--dtypes", default=",".join(ALL), type=lambda text: text.split(","))
    parser.add_argument("--redraw", type=int, default=4, help="tensors to redraw per component, each a run")
    parser.add_argument("--cli", type=Path, default=CLI, help="the built command line")
    parser.add_argument("--device")
    parser.add_argument("--instructions")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the lines there")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    lines = []
    for name in options.nets:
        compare(name, NETS[name], options, lines)
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1) + "\n")
    failed = sum(not line["passed"] for line in lines)
    print(f"{len(lines)} comparisons, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
