"""The picture autoencoder: TAESD for SD3 latents as diffusers' AutoencoderTiny."""

import os

from diffusers import AutoencoderTiny
from safetensors.torch import load_file

from paths import MODEL

SCALING_FACTOR = 1.3  # one number for all 16 channels: 1 / root mean variance of the latents of emoji
SHIPPED = os.path.join(MODEL, "vae")
CONFIG = dict(latent_channels=16, encoder_block_out_channels=(64, 64, 64, 64), decoder_block_out_channels=(64, 64, 64, 64),
              num_encoder_blocks=(1, 3, 3, 3), num_decoder_blocks=(3, 3, 3, 1))


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


def load_taesd(folder=SHIPPED, scaling_factor=1.0):
    vae = AutoencoderTiny(**CONFIG, scaling_factor=scaling_factor)
    vae.load_state_dict({k: v.float() for k, v in read_state(folder).items()})
    return vae.eval()
