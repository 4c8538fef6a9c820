"""The networks: diffusers' and transformers' own classes hold the weights; a plain forward pass trains them faster."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import PixArtTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel

from tokens import BOS, EOS, PAD


@dataclass(frozen=True)
class Shape:
    """Sizes of the networks. A picture has (latent / PATCH)^2 tokens of width `width`."""

    vocabulary: int
    width: int = 256
    heads: int = 8
    layers: int = 8
    text_layers: int = 3
    latent: int = 8


PATCH = 2
LATENT_CHANNELS = 16
MAX_TOKENS = 16


def make_transformer(shape):
    model = PixArtTransformer2DModel(
        num_attention_heads=shape.heads, attention_head_dim=shape.width // shape.heads, in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS, num_layers=shape.layers, cross_attention_dim=shape.width, sample_size=shape.latent,
        patch_size=PATCH, caption_channels=shape.width, interpolation_scale=shape.latent / 8,
        use_additional_conditions=False, norm_type="ada_norm_single")
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


def make_text_encoder(shape):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=4 * shape.width,
        projection_dim=shape.width, num_hidden_layers=shape.text_layers, num_attention_heads=shape.heads,
        max_position_embeddings=MAX_TOKENS, hidden_act="quick_gelu", pad_token_id=PAD, bos_token_id=BOS,
        eos_token_id=EOS))


def attend(q, k, v, heads, bias):
    """Attention of few tokens: two batched products, the softmax between them."""
    b, n, c = q.shape
    q, k, v = (x.view(b, -1, heads, c // heads).transpose(1, 2) for x in (q, k, v))
    weights = q @ k.transpose(-1, -2) * (c // heads) ** -0.5
    if bias is not None:
        weights = weights + bias
    return (weights.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c)


def text_layer(layer, x, causal):
    """One layer of CLIPTextModel."""
    y = layer.layer_norm1(x)
    a = layer.self_attn
    x = x + a.out_proj(attend(a.q_proj(y), a.k_proj(y), a.v_proj(y), a.num_heads, causal))
    y = layer.mlp.fc1(layer.layer_norm2(x))
    return x + layer.mlp.fc2(y * torch.sigmoid(1.702 * y))


def image_block(block, h, modulation, context, bias):
    """One block of PixArtTransformer2DModel."""
    width = h.shape[-1]
    m = (block.scale_shift_table[None] + modulation).unbind(1)
    y = F.layer_norm(h, (width,), eps=1e-6) * (1 + m[1][:, None]) + m[0][:, None]
    a = block.attn1
    y = attend(a.to_q(y), a.to_k(y), a.to_v(y), a.heads, None)
    h = h + m[2][:, None] * a.to_out[0](y)
    a = block.attn2
    y = attend(a.to_q(h), a.to_k(context), a.to_v(context), a.heads, bias)
    h = h + a.to_out[0](y)
    y = F.layer_norm(h, (width,), eps=1e-6) * (1 + m[4][:, None]) + m[3][:, None]
    y = block.ff.net[2](F.gelu(block.ff.net[0].proj(y), approximate="tanh"))
    return h + m[5][:, None] * y


KERNELS = {"text": text_layer, "image": image_block}


def compile_blocks():
    """Compiles one block of each kind for all of them: whole networks take minutes to compile and gain nothing more."""
    KERNELS.update(text=torch.compile(text_layer, dynamic=False), image=torch.compile(image_block, dynamic=False))


def encode_text(model, ids):
    """The last hidden state; causal, so that padding on the right is never seen."""
    text = model.text_model if hasattr(model, "text_model") else model
    x = text.embeddings.token_embedding.weight[ids] + text.embeddings.position_embedding.weight[: ids.shape[1]]
    causal = torch.full((ids.shape[1],) * 2, -1e4, device=ids.device).triu(1)
    for layer in text.encoder.layers:
        x = KERNELS["text"](layer, x, causal)
    return text.final_layer_norm(x)


def last_states(states, ends):
    """Of each text the state at its end. Shape [B, width]."""
    return states[torch.arange(len(ends), device=ends.device), ends]


def time_embedding(s):
    """Sinusoids of 1000 s as diffusers' Timesteps(256, flip_sin_to_cos=True, downscale_freq_shift=0) makes them."""
    rates = torch.exp(-math.log(10000) * torch.arange(128, device=s.device) / 128)
    angles = 1000 * s[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def patches_of(x):
    """`B C (h 2) (w 2) -> B (h w) (C 2 2)`, the order of a convolution's weights."""
    b, c, h, w = x.shape
    return x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, 4 * c)


def picture_of(tokens, latent):
    """`B (h w) (2 2 C) -> B C (h 2) (w 2)`, the order of the last layer's channels."""
    b, n, c = tokens.shape
    side = latent // 2
    return tokens.view(b, side, side, 2, 2, c // 4).permute(0, 5, 1, 3, 2, 4).reshape(b, c // 4, latent, latent)


def denoise(model, x, s, context, mask, keep=None, mixing=0):
    """PixArtTransformer2DModel.forward for square latents; mask is 1 where the text has a token.

    Deferred masking (Sehwag et al. 2024, "Stretching each dollar", arXiv:2407.15811): the first `mixing` blocks see all
    patches, the others only those at `keep`, shape [B, kept]. What differs: the mixing blocks are the network's own, so
    that nothing is left over when masking ends.

    @returns [B, C, h, w], or with `keep` the tokens of the kept patches [B, kept, 4 C].
    """
    b, latent, width = x.shape[0], x.shape[-1], model.inner_dim
    bias = (1 - mask)[:, None, None] * -1e4
    proj = model.pos_embed.proj
    h = F.linear(patches_of(x), proj.weight.flatten(1), proj.bias) + model.pos_embed.pos_embed
    time = model.adaln_single.emb.timestep_embedder
    embedded = time.linear_2(F.silu(time.linear_1(time_embedding(s))))
    modulation = model.adaln_single.linear(F.silu(embedded)).view(b, 6, width)
    text = model.caption_projection
    context = text.linear_2(F.gelu(text.linear_1(context), approximate="tanh"))
    for index, block in enumerate(model.transformer_blocks):
        if keep is not None and index == mixing:
            h = h.gather(1, keep[:, :, None].expand(-1, -1, width))
        h = KERNELS["image"](block, h, modulation, context, bias)
    shift, scale = (model.scale_shift_table[None] + embedded[:, None]).chunk(2, 1)
    h = model.proj_out(F.layer_norm(h, (width,), eps=1e-6) * (1 + scale) + shift)
    return h if keep is not None else picture_of(h, latent)


def target_tokens(velocity, keep):
    """What `denoise` is to give at the kept patches. Shape [B, kept, 4 C], in its order `(2 2 C)`."""
    b, c, h, w = velocity.shape
    tokens = velocity.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(b, h * w // 4, 4 * c)
    return tokens.gather(1, keep[:, :, None].expand(-1, -1, 4 * c))
