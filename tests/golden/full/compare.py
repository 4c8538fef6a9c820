"""Networks at their full sizes, random weights: PyTorch against `irodori infer`, in f32 and bf16, and a redraw of some tensors.

Run after a build, with the packages of tests/golden/requirements.txt:

    python tests/golden/full/compare.py SCRATCH [--nets dit,clip] [--dtypes f32] [--redraw 4] [--threads 2] [--json report.json]

SCRATCH gets the weights (DiT-XL/2 alone is 2.7 GB); each network's folder is removed after its turn. Exit status 1 when
a bound is missed: f32 within 1e-5 of PyTorch (relative L2), bf16 at most 1.5 times PyTorch's own bf16 error, a redrawn
tensor moves the output by at least 1e-4.
"""

import argparse
import copy
import gc
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch  # noqa: E402
from diffusers import AutoencoderTiny, DiTTransformer2DModel, PixArtTransformer2DModel  # noqa: E402
from golden import BF16_FACTOR, F32_TOLERANCE, drawn, error, noise, redraw  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel  # noqa: E402

CLI = Path(__file__).parents[3] / "dist" / "cli" / "main.js"
NO_EFFECT = re.compile(r"(to_k|k_proj)\.bias$")  # softmax does not change when all scores of a query shift


def tokens(seed, rows, length):
    ids = torch.randint(0, 49405, (rows, length), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = 49406
    for row in range(rows):
        ids[row, 5 + 20 * row:] = 49407
    return ids


def prefix(lengths, size):
    return (torch.arange(size)[None] < torch.tensor(lengths)[:, None]).float()


# name: (make the model, sub-folder, {component: (inputs, call)}, tensors of a component)
NETS = {
    "dit": dict(
        make=lambda: DiTTransformer2DModel(out_channels=8), folder="transformer",
        runs={"transformer": (
            lambda: {"hidden_states": noise(1, 1, 4, 32, 32), "timestep": torch.tensor([981.0]), "class_labels": torch.tensor([207])},
            lambda m, i: {"sample": m(i["hidden_states"], timestep=i["timestep"], class_labels=i["class_labels"]).sample})}),
    "pixart": dict(
        make=lambda: PixArtTransformer2DModel(
            num_attention_heads=8, attention_head_dim=32, in_channels=16, out_channels=16, num_layers=8, cross_attention_dim=256,
            sample_size=8, caption_channels=256, interpolation_scale=1, use_additional_conditions=False),
        folder="transformer",
        runs={"transformer": (
            lambda: {"hidden_states": noise(2, 3, 16, 8, 8), "timestep": torch.tensor([999.0, 500.0, 20.0]),
                     "encoder_hidden_states": noise(3, 3, 16, 256), "encoder_attention_mask": prefix([16, 3, 8], 16)},
            lambda m, i: {"sample": m(i["hidden_states"], encoder_hidden_states=i["encoder_hidden_states"], timestep=i["timestep"],
                                      encoder_attention_mask=i["encoder_attention_mask"],
                                      added_cond_kwargs={"resolution": None, "aspect_ratio": None}).sample})}),
    "clip": dict(
        make=lambda: CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)),
        folder="text_encoder",
        runs={"text_encoder": (
            lambda: {"input_ids": tokens(4, 3, 77)},
            lambda m, i: (lambda out: {"last_hidden_state": out.last_hidden_state, "pooler_output": out.pooler_output,
                                       "hidden_states.-2": out.hidden_states[-2]})(m(input_ids=i["input_ids"], output_hidden_states=True)))}),
    "taesd": dict(
        make=lambda: AutoencoderTiny(latent_channels=16), folder="vae",
        runs={
            "vae.encoder": (lambda: {"sample": noise(5, 2, 3, 128, 96).clamp(-1, 1)}, lambda m, i: {"latents": m.encode(i["sample"]).latents}),
            "vae.decoder": (lambda: {"latent": noise(6, 2, 16, 16, 12)}, lambda m, i: {"sample": m.decode(i["latent"]).sample}),
        }),
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


def compare(name, net, options, lines):
    folder = options.scratch / name
    shutil.rmtree(folder, ignore_errors=True)
    model = redraw(net["make"](), 7)
    model.save_pretrained(folder / net["folder"], max_shard_size="40GB")
    weights = WeightFile(next((folder / net["folder"]).glob("*.safetensors")))
    cases = {}
    with torch.no_grad():
        for component, (make, call) in net["runs"].items():
            inputs = make()
            cases[component] = (inputs, {key: value.float().clone() for key, value in call(model, inputs).items()})
        rough = {}
        if "bf16" in options.dtypes:
            low = copy.deepcopy(model).bfloat16() if name != "dit" else model.bfloat16()
            for component, (_, call) in net["runs"].items():
                inputs = {key: value.bfloat16() if value.is_floating_point() and key != "timestep" else value for key, value in cases[component][0].items()}
                rough[component] = {key: error(value.float(), cases[component][1][key]) for key, value in call(low, inputs).items()}
            del low
    del model
    gc.collect()

    def line(component, what, value, bound, passed, **more):
        lines.append({"net": name, "component": component, "what": what, "value": value, "bound": bound, "passed": passed, **more})
        print(f"{'ok  ' if passed else 'FAIL'} {name:7} {component:13} {what:60} {value:.2e}  bound {bound:.1e}", flush=True)

    for component, (inputs, want) in cases.items():
        for dtype in options.dtypes:
            started = time.time()
            got, told = infer(folder, component, inputs, dtype, options)
            for key, value in want.items():
                off = error(got[key], value)
                bound = F32_TOLERANCE if dtype == "f32" else BF16_FACTOR * rough[component][key]
                line(component, f"{dtype} {key}", off, bound, off <= bound, seconds=time.time() - started, device=told["device"], timings=told["timings"])
        part = component.split(".")[1] + "." if "." in component else ""
        names = sorted(key for key in weights.header if key.startswith(part) and not NO_EFFECT.search(key))
        generator = torch.Generator().manual_seed(11)
        for key in random.Random(13).sample(names, min(options.redraw, len(names))):
            old = weights.swap(key, drawn(key, torch.Size(weights.header[key]["shape"]), generator))
            got, _ = infer(folder, component, inputs, "f32", options)
            weights.swap(key, old)
            moved = max(error(got[output], value) for output, value in want.items())
            line(component, f"redrawn {key}", moved, 10 * F32_TOLERANCE, moved >= 10 * F32_TOLERANCE)
    shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--nets", default=",".join(NETS), type=lambda text: text.split(","))
    parser.add_argument("--dtypes", default="f32,bf16", type=lambda text: text.split(","))
    parser.add_argument("--redraw", type=int, default=4, help="tensors to redraw per component")
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
