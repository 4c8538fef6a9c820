"""The workloads of `irodori bench` as PyTorch modules with tensors in and one tensor out."""

import json
import subprocess
from pathlib import Path

import diffusers
import torch

ROOT = Path(__file__).parents[2]


def workloads():
    """What src/bench/workloads.ts says, by name: one list for both sides. Needs a build of the package."""
    script = "console.log(JSON.stringify(require('./dist/bench/workloads').WORKLOADS))"
    done = subprocess.run(["node", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return {workload["name"]: workload for workload in json.loads(done.stdout)}


def class_of(workload):
    if "bundled" in workload["source"]:
        folder = ROOT / "models" / workload["source"]["bundled"] / workload["component"]
        return json.loads((folder / "config.json").read_text())["_class_name"]
    return workload["source"]["config"]["_class_name"]


def make(workload):
    """The network, with random weights or those of the bundled model."""
    cls = getattr(diffusers, class_of(workload))
    if "bundled" in workload["source"]:
        return cls.from_pretrained(ROOT / "models" / workload["source"]["bundled"] / workload["component"])
    config = {name: value for name, value in workload["source"]["config"].items() if name != "_class_name"}
    return cls(**config)


def folder_of(workload):
    """Sub-folder of a component: an autoencoder's halves are in one."""
    return workload["component"].split(".")[0]


class UNet(torch.nn.Module):
    inputs = ("sample", "timestep", "encoder_hidden_states")

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.network(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class DiT(torch.nn.Module):
    inputs = ("hidden_states", "timestep", "class_labels")

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, hidden_states, timestep, class_labels):
        return self.network(hidden_states, timestep=timestep, class_labels=class_labels, return_dict=False)[0]


class PixArt(torch.nn.Module):
    inputs = ("hidden_states", "timestep", "encoder_hidden_states")

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        # One timestep for all rows: the class wants one for each.
        timestep = timestep.expand(hidden_states.shape[0])
        return self.network(hidden_states, encoder_hidden_states=encoder_hidden_states, timestep=timestep,
                            added_cond_kwargs={"resolution": None, "aspect_ratio": None}, return_dict=False)[0]


class Decoder(torch.nn.Module):
    inputs = ("latent",)

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, latent):
        return self.network.decode(latent, return_dict=False)[0]


WRAPPERS = {
    "UNet2DConditionModel": UNet,
    "DiTTransformer2DModel": DiT,
    "PixArtTransformer2DModel": PixArt,
    "AutoencoderKL": Decoder,
    "AutoencoderTiny": Decoder,
}


def wrapped(network):
    return WRAPPERS[type(network).__name__](network).eval()
