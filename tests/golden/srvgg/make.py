"""Small SRVGGNetCompacts with every tensor redrawn. The class is written here after its description (marked self).

Run: python tests/golden/srvgg/make.py
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch  # noqa: E402
from golden import Goldens, noise, redraw, run  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

CASES = {
    "prelu-x4": (dict(num_feat=12, num_conv=3, upscale=4, act_type="prelu"), (3, 3, 9, 7), 1),
    "leakyrelu-x2": (dict(num_feat=8, num_conv=1, upscale=2, act_type="leakyrelu"), (2, 3, 5, 6), 2),
    "relu-x3-grey": (dict(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=3, act_type="relu"), (1, 1, 4, 11), 3),
}


class Compact(nn.Module):
    """Convolutions with activations between, pixel shuffle, and the nearest enlargement of the input added."""

    def __init__(self, num_in_ch=3, num_out_ch=3, num_feat=64, num_conv=16, upscale=4, act_type="prelu"):
        super().__init__()
        make = {"prelu": lambda: nn.PReLU(num_feat), "relu": nn.ReLU, "leakyrelu": lambda: nn.LeakyReLU(0.1)}[act_type]
        layers, channels = [], num_in_ch
        for _ in range(num_conv + 1):
            layers += [nn.Conv2d(channels, num_feat, 3, padding=1), make()]
            channels = num_feat
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, num_out_ch * upscale**2, 3, padding=1))
        self.upscale = upscale

    def forward(self, x):
        base = nn.functional.interpolate(x, scale_factor=self.upscale, mode="nearest")
        return nn.functional.pixel_shuffle(self.body(x), self.upscale) + base


goldens = Goldens(__file__)
for case, (config, shape, seed) in CASES.items():
    model = redraw(Compact(**config), seed)
    inputs = {"sample": noise(seed + 100, *shape).sigmoid()}
    outputs, errors = run(model, lambda m, i: {"sample": m(i["sample"])}, inputs)
    folder = goldens.path(case) / "upscaler"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"_class_name": "SRVGGNetCompact", **config}, indent=2) + "\n")
    save_file(model.state_dict(), str(folder / "diffusion_pytorch_model.safetensors"))
    goldens.add(case, "upscaler", inputs, outputs, errors, seed, self_made=True)
# The network that the package carries, with its own weights, on a tiny picture.
bundled = Path(__file__).parents[3] / "models" / "emoji"
config = json.loads((bundled / "upscaler" / "config.json").read_text())
model = Compact(**{name: value for name, value in config.items() if name != "_class_name"}).eval()
stored = next((bundled / "upscaler").glob("*.safetensors"))
model.load_state_dict({name: tensor.float() for name, tensor in load_file(str(stored)).items()})
inputs = {"sample": noise(301, 1, 3, 8, 10).sigmoid()}
outputs, errors = run(model, lambda m, i: {"sample": m(i["sample"])}, inputs)
goldens.add("bundled", "upscaler", inputs, outputs, errors, 0, model="../../../models/emoji", self_made=True)
goldens.finish()
