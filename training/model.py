"""The networks: diffusers' and transformers' own classes hold the weights; a plain forward pass trains them faster."""

import math

import torch
import torch.nn.functional as F
from diffusers import PixArtTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel

WIDTH, HEADS, LAYERS, TEXT_LAYERS, MAX_TOKENS = 256, 8, 8, 2, 16
SCALING_FACTOR = 1.3  # one number for all 16 channels: 1 / root mean variance of the latents
PAD, BOS, EOS, UNK = 0, 1, 2, 3


def make_transformer():
    model = PixArtTransformer2DModel(
        num_attention_heads=HEADS, attention_head_dim=WIDTH // HEADS, in_channels=16, out_channels=16,
        num_layers=LAYERS, cross_attention_dim=WIDTH, sample_size=8, patch_size=2, caption_channels=WIDTH,
        interpolation_scale=1, use_additional_conditions=False, norm_type="ada_norm_single")
    # Every residual branch starts closed: its last projection is zero, its gate one.
    zero = torch.nn.init.zeros_
    with torch.no_grad():
        for block in model.transformer_blocks:
            for last in (block.attn1.to_out[0], block.attn2.to_out[0], block.ff.net[2]):
                zero(last.weight)
                zero(last.bias)
            zero(block.scale_shift_table)
            block.scale_shift_table[2] = 1
            block.scale_shift_table[5] = 1
        for layer in (model.proj_out, model.adaln_single.linear):
            zero(layer.weight)
            zero(layer.bias)
        zero(model.scale_shift_table)
    return model


def make_text_encoder(vocabulary):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH,
        num_hidden_layers=TEXT_LAYERS, num_attention_heads=HEADS, max_position_embeddings=MAX_TOKENS,
        hidden_act="quick_gelu", pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS))


def attend(q, k, v, bias):
    """Attention of few tokens: two batched products, the softmax between them."""
    b, n, c = q.shape
    q, k, v = (x.view(b, -1, HEADS, c // HEADS).transpose(1, 2) for x in (q, k, v))
    weights = q @ k.transpose(-1, -2) * (c // HEADS) ** -0.5
    if bias is not None:
        weights = weights + bias
    return (weights.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c)


def encode_text(model, ids):
    """The last hidden state; causal, so that padding on the right is never seen."""
    text = model.text_model if hasattr(model, "text_model") else model
    x = text.embeddings.token_embedding.weight[ids] + text.embeddings.position_embedding.weight[: ids.shape[1]]
    causal = torch.full((ids.shape[1],) * 2, -1e4).triu(1)
    for layer in text.encoder.layers:
        y = layer.layer_norm1(x)
        a = layer.self_attn
        x = x + a.out_proj(attend(a.q_proj(y), a.k_proj(y), a.v_proj(y), causal))
        y = layer.mlp.fc1(layer.layer_norm2(x))
        x = x + layer.mlp.fc2(y * torch.sigmoid(1.702 * y))
    return text.final_layer_norm(x)


def time_embedding(s):
    """Sinusoids of 1000 s as diffusers' Timesteps(256, flip_sin_to_cos=True, downscale_freq_shift=0) makes them."""
    rates = torch.exp(-math.log(10000) * torch.arange(128) / 128)
    angles = 1000 * s[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def denoise(model, x, s, context, mask):
    """PixArtTransformer2DModel.forward for 8x8 latents; mask is 1 where the text has a token."""
    b = x.shape[0]
    bias = (1 - mask)[:, None, None] * -1e4
    patches = x.view(b, 16, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, 16, 64)
    proj = model.pos_embed.proj
    h = F.linear(patches, proj.weight.flatten(1), proj.bias) + model.pos_embed.pos_embed
    time = model.adaln_single.emb.timestep_embedder
    embedded = time.linear_2(F.silu(time.linear_1(time_embedding(s))))
    modulation = model.adaln_single.linear(F.silu(embedded)).view(b, 6, WIDTH)
    text = model.caption_projection
    context = text.linear_2(F.gelu(text.linear_1(context), approximate="tanh"))
    for block in model.transformer_blocks:
        m = (block.scale_shift_table[None] + modulation).unbind(1)
        y = F.layer_norm(h, (WIDTH,), eps=1e-6) * (1 + m[1][:, None]) + m[0][:, None]
        a = block.attn1
        y = attend(a.to_q(y), a.to_k(y), a.to_v(y), None)
        h = h + m[2][:, None] * a.to_out[0](y)
        a = block.attn2
        y = attend(a.to_q(h), a.to_k(context), a.to_v(context), bias)
        h = h + a.to_out[0](y)
        y = F.layer_norm(h, (WIDTH,), eps=1e-6) * (1 + m[4][:, None]) + m[3][:, None]
        y = block.ff.net[2](F.gelu(block.ff.net[0].proj(y), approximate="tanh"))
        h = h + m[5][:, None] * y
    shift, scale = (model.scale_shift_table[None] + embedded[:, None]).chunk(2, 1)
    h = model.proj_out(F.layer_norm(h, (WIDTH,), eps=1e-6) * (1 + scale) + shift)
    return h.view(b, 4, 4, 2, 2, 16).permute(0, 5, 1, 3, 2, 4).reshape(b, 16, 8, 8)
