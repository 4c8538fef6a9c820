"""Weights that irodori and its peers share: per workload a diffusers folder, and an ONNX file for onnxruntime.

    python bench/peers/export.py FOLDER [WORKLOAD ...] [--int8]

Needs a build of the package, tests/golden/requirements.txt, onnx and onnxscript; --int8 needs onnxruntime as well, and adds
its dynamic quantisation. Writes FOLDER/<workload>/<component>/ and FOLDER/<workload>/model.onnx; all workloads take 14 GB.
"""

import argparse
import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))

import onnx  # noqa: E402
import torch  # noqa: E402
from golden import noise, redraw  # noqa: E402
from networks import folder_of, make, workloads, wrapped  # noqa: E402

ROWS = 2  # of the example: a batch of one would be taken for a constant

EXAMPLES = {
    "sd15-unet": lambda: (noise(1, ROWS, 4, 64, 64), torch.tensor([981.0]), noise(2, ROWS, 77, 768)),
    "dit-xl": lambda: (noise(1, ROWS, 4, 32, 32), torch.tensor([981.0]), torch.tensor([207, 3])),
    "dit-small": lambda: (noise(1, ROWS, 4, 16, 16), torch.tensor([981.0]), torch.tensor([7, 3])),
    "emoji-denoiser": lambda: (noise(1, ROWS, 16, 16, 16), torch.tensor([981.0]), noise(2, ROWS, 16, 256)),
    "vae-decoder": lambda: (noise(1, ROWS, 4, 64, 64),),
    "taesd-decoder": lambda: (noise(1, ROWS, 4, 64, 64),),
}
NO_BATCH = "timestep"


def export(name, workload, folder, int8):
    folder.mkdir(parents=True, exist_ok=True)
    network = make(workload).eval()
    if "bundled" not in workload["source"]:
        redraw(network, 7)
        network.save_pretrained(folder / folder_of(workload), max_shard_size="40GB")
    module = wrapped(network)
    if max(workload["rows"]) > 1:
        rows = torch.export.Dim("rows", min=1, max=16)
        shapes = {"dynamic_shapes": {name: None if name == NO_BATCH else {0: rows} for name in module.inputs}}
        example = EXAMPLES[name]()
    else:
        shapes = {}
        example = tuple(value[:1] for value in EXAMPLES[name]())
    torch.onnx.export(module, example, str(folder / "model.onnx"), input_names=list(module.inputs), output_names=["result"],
                      dynamo=True, external_data=True, **shapes)
    drop_idle_squeezes(folder / "model.onnx")
    del network, module
    gc.collect()
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(folder / "model.onnx", folder / "model.int8.onnx", weight_type=QuantType.QInt8,
                         op_types_to_quantize=["MatMul", "Gemm"], use_external_data_format=True)
    print(f"{name}: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e9:.2f} GB", flush=True)


def drop_idle_squeezes(file):
    """PixArt squeezes an axis that is not one long, which does nothing in PyTorch and which onnxruntime refuses."""
    model = onnx.load(file, load_external_data=False)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
    inside = [constant for constant in model.graph.initializer if constant.data_location != onnx.TensorProto.EXTERNAL]
    constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in inside}
    changed = False
    for node in model.graph.node:
        if node.op_type != "Squeeze" or node.input[0] not in shapes or node.input[1] not in constants:
            continue
        axes = constants[node.input[1]].flatten()
        if all(shapes[node.input[0]][axis].dim_value > 1 for axis in axes):
            node.op_type, changed = "Identity", True
            del node.input[1]
    if changed:
        onnx.save(model, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--int8", action="store_true", help="also onnxruntime's dynamically quantised form")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    known = workloads()
    for name in options.workloads or known:
        if name not in known:
            raise SystemExit(f"expected workloads among {', '.join(known)}, got {name}")
        export(name, known[name], options.folder / name, options.int8)


if __name__ == "__main__":
    main()
