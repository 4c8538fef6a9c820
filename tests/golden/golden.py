"""What all make.py share: drawing every tensor of a network anew, running it, and writing the case with its manifest."""

import copy
import hashlib
import json
import platform
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

F32_TOLERANCE = 1e-5
LOW_FACTOR = 1.5
LOW = {"bf16": torch.bfloat16, "f16": torch.float16}
WHY = (
    "float32: both sides sum in float32 in another order, and the sums of these networks stay below 1e5 terms; "
    "bf16 and f16: at most 1.5 times the error that PyTorch's own half type has against its float32."
)


def redraw(model, seed):
    """Gives every parameter new values, those that start as zeros or ones included, at scales that keep the output near one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.named_parameters()):
            tensor.copy_(drawn(name, tensor.shape, generator))
    return model.eval()


def drawn(name, shape, generator):
    """New values for one tensor: matrices by their fan-in, factors of norms about one, slopes about a quarter."""
    values = torch.randn(shape, generator=generator)
    if len(shape) == 1 and name.endswith("weight"):
        return 1 + 0.2 * values if "norm" in name else 0.25 + 0.1 * values
    if "embedding" in name and name.endswith("weight") and len(shape) == 2 and "linear" not in name:
        return 0.7 * values
    if "table" in name:
        return 0.5 * values
    if len(shape) == 1:
        return 0.2 * values
    return values * shape[1:].numel() ** -0.5


def error(got, want):
    """Relative L2 distance."""
    return ((got.double() - want.double()).norm() / want.double().norm()).item()


def run(model, call, inputs):
    """Outputs in float32, and how far PyTorch's half types are from them."""
    with torch.no_grad():
        want = {name: value.float().contiguous() for name, value in call(model, inputs).items()}
        errors = {}
        for dtype, torch_dtype in LOW.items():
            low = {name: value.to(torch_dtype) if value.is_floating_point() and "timestep" not in name else value for name, value in inputs.items()}
            lowered = copy.deepcopy(model)
            rough = call(lowered.half() if dtype == "f16" else lowered.bfloat16(), low)
            errors[dtype] = {name: error(rough[name].float(), value) for name, value in want.items()}
    return want, errors


class Goldens:
    """The cases of one network; `finish` writes MANIFEST.json."""

    def __init__(self, script):
        self.folder = Path(script).parent
        self.script = Path(script).name
        self.cases = []
        for old in self.folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)

    def path(self, case):
        folder = self.folder / case
        folder.mkdir(exist_ok=True)
        return folder

    def add(self, case, component, inputs, outputs, errors, seed, model=None, self_made=False):
        """Writes `<case>/<component>.safetensors` with `in.` and `out.` tensors."""
        tensors = {f"in.{name}": value.contiguous() for name, value in inputs.items()}
        tensors |= {f"out.{name}": value for name, value in outputs.items()}
        file = self.path(case) / f"{component}.safetensors"
        save_file(tensors, str(file))
        assert all(torch.isfinite(value).all() for value in outputs.values()), case
        self.cases.append({
            "case": case, "component": component, "file": f"{case}/{component}.safetensors", "seed": seed, **({"model": model} if model else {}),
            "tolerance": {"f32": F32_TOLERANCE, **{dtype: {name: LOW_FACTOR * value for name, value in of.items()} for dtype, of in errors.items()}},
            "torchError": errors, **({"self": True} if self_made else {}),
        })

    def finish(self, **versions):
        files = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.parent != self.folder)
        for file in files:
            file.chmod(0o644)
            assert file.stat().st_size < 1 << 20, f"{file} is too large to be kept"
        manifest = {
            "script": self.script, "python": platform.python_version(), "torch": torch.__version__, **versions, "why": WHY,
            "cases": self.cases,
            "sha256": {str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        }
        (self.folder / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n")
        print(f"{self.folder.name}: {len(self.cases)} cases, {sum(file.stat().st_size for file in files) / 1e6:.2f} MB")


def noise(seed, *shape):
    """Normal numbers by a seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
