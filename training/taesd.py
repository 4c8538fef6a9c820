"""TAESD weights with bare Sequential indices, read into diffusers' AutoencoderTiny."""

import os

from diffusers import AutoencoderTiny
from safetensors.torch import load_file

CONFIG = dict(latent_channels=16, encoder_block_out_channels=(64, 64, 64, 64), decoder_block_out_channels=(64, 64, 64, 64),
              num_encoder_blocks=(1, 3, 3, 3), num_decoder_blocks=(3, 3, 3, 1))


def load_taesd(folder, scaling_factor=1.0):
    vae = AutoencoderTiny(**CONFIG, scaling_factor=scaling_factor)
    state = {}
    for key, value in load_file(os.path.join(folder, "taesd3_encoder.bf16.safetensors")).items():
        state["encoder.layers." + key] = value.float()
    for key, value in load_file(os.path.join(folder, "taesd3_decoder.bf16.safetensors")).items():
        index, rest = key.split(".", 1)
        state[f"decoder.layers.{int(index) - 1}.{rest}"] = value.float()
    vae.load_state_dict(state)
    return vae.eval()
