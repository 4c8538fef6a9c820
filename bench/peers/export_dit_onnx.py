"""DiT-XL/2 with random weights, as a diffusers folder for irodori and as an ONNX file for onnxruntime, with one input and output.

    python bench/peers/export_dit_onnx.py FOLDER

Needs tests/golden/requirements.txt, and onnx and onnxscript. Writes 5.4 GB.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))

import torch  # noqa: E402
from diffusers import DiTTransformer2DModel  # noqa: E402
from golden import noise, redraw  # noqa: E402
from safetensors.torch import save_file  # noqa: E402


class Sample(torch.nn.Module):
    """The network with tensors in and one tensor out."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, hidden_states, timestep, class_labels):
        return self.network(hidden_states, timestep=timestep, class_labels=class_labels, return_dict=False)[0]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    model = redraw(DiTTransformer2DModel(out_channels=8), 7)
    model.save_pretrained(folder / "transformer", max_shard_size="40GB")
    inputs = {"hidden_states": noise(1, 1, 4, 32, 32), "timestep": torch.tensor([981.0]), "class_labels": torch.tensor([207])}
    with torch.no_grad():
        want = model(inputs["hidden_states"], timestep=inputs["timestep"], class_labels=inputs["class_labels"]).sample
    save_file({**{f"in.{name}": value for name, value in inputs.items()}, "out.sample": want.contiguous()}, str(folder / "case.safetensors"))
    torch.onnx.export(
        Sample(model), tuple(inputs.values()), str(folder / "dit.onnx"), input_names=list(inputs), output_names=["sample"],
        dynamo=True, external_data=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
