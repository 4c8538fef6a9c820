"""Checks the quick forward pass against the classes of diffusers and transformers."""

import torch

from networks import LATENT_CHANNELS, MAX_TOKENS, Shape, denoise, encode_text, make_text_encoder, make_transformer, target_tokens
from tokens import EOS


def compare(transformer, text_encoder):
    """Largest differences of the text states and of the predicted velocity."""
    torch.manual_seed(0)
    vocabulary = text_encoder.config.vocab_size
    ids = torch.randint(4, vocabulary, (3, MAX_TOKENS))
    mask = torch.ones(3, MAX_TOKENS)
    for row, n in enumerate((3, 6, 16)):
        ids[row, n - 1] = EOS
        ids[row, n:] = 0
        mask[row, n:] = 0
    side = transformer.config.sample_size
    x, s = torch.randn(3, LATENT_CHANNELS, side, side), torch.tensor([0.1, 0.5, 0.97])
    with torch.no_grad():
        want = text_encoder(ids, attention_mask=mask.long())[0]
        got = encode_text(text_encoder, ids)
        text = ((want - got) * mask[..., None]).abs().max().item()
        want = transformer(x, want, timestep=1000 * s, encoder_attention_mask=mask).sample
        every = torch.arange((side // 2) ** 2).expand(3, -1)
        tokens = denoise(transformer, x, s, got, mask, every, 1)
        image = max((denoise(transformer, x, s, got, mask) - want).norm() / want.norm(),
                    (tokens - target_tokens(want, every)).norm() / want.norm())
        return text, image.item()


if __name__ == "__main__":
    for latent in (8, 16):
        torch.manual_seed(1)
        shape = Shape(500, latent=latent)
        transformer, text_encoder = make_transformer(shape), make_text_encoder(shape)
        for p in (*transformer.parameters(), *text_encoder.parameters()):
            torch.nn.init.normal_(p, std=0.05)
        text, image = compare(transformer, text_encoder)
        print(latent, "text", text, "denoiser", image)
        assert text < 1e-5 and image < 1e-5
