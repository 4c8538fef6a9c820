"""The picture autoencoder: TAESD for SD3 latents as diffusers' AutoencoderTiny, whose decoder may give opacity as well."""

import os

import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file

from paths import MODEL

SCALING_FACTOR = 1.3  # one number for all 16 channels: 1 / root mean variance of the latents of emoji
SHIPPED = os.path.join(MODEL, "vae")
CONFIG = dict(latent_channels=16, encoder_block_out_channels=(64, 64, 64, 64), decoder_block_out_channels=(64, 64, 64, 64),
              num_encoder_blocks=(1, 3, 3, 3), num_decoder_blocks=(3, 3, 3, 1))
LAST = "decoder.layers.18"  # the convolution to colours


def read_state(folder):
    """The exported weights, or the published pair whose keys are bare Sequential indices."""
    exported = os.path.join(folder, "diffusion_pytorch_model.safetensors")
    if os.path.exists(exported):
        return load_file(exported)
    state = {}
    for key, value in load_file(os.path.join(folder, "taesd3_encoder.bf16.safetensors")).items():
        state["encoder.layers." + key] = value
    for key, value in load_file(os.path.join(folder, "taesd3_decoder.bf16.safetensors")).items():
        index, rest = key.split(".", 1)  # diffusers has the first layer, which only limits, outside the list
        state[f"decoder.layers.{int(index) - 1}.{rest}"] = value
    return state


def build(state, scaling_factor):
    outputs = state[f"{LAST}.weight"].shape[0]
    vae = AutoencoderTiny(**CONFIG, out_channels=outputs, scaling_factor=scaling_factor)
    vae.load_state_dict({k: v.float() for k, v in state.items()})
    return vae.eval()


def load_taesd(folder=SHIPPED, scaling_factor=1.0):
    return build(read_state(folder), scaling_factor)


def with_opacity(vae):
    """The same with a fourth output, half opaque everywhere; itself if it has one."""
    if vae.config.out_channels == 4:
        return vae
    state = vae.state_dict()
    weight, bias = state[f"{LAST}.weight"], state[f"{LAST}.bias"]
    state[f"{LAST}.weight"] = torch.cat([weight, torch.zeros_like(weight[:1])])
    state[f"{LAST}.bias"] = torch.cat([bias, torch.full_like(bias[:1], 0.5)])
    return build(state, vae.config.scaling_factor)
