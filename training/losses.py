"""What training minimises: the error of the velocity, and lessons of a sentence encoder."""

import os

import numpy as np
import torch
import torch.nn.functional as F

from networks import PATCH, denoise, encode_text, last_states, target_tokens
from taesd import SCALING_FACTOR

TEACHING = 0.5  # weight of the lessons' loss


class Losses:
    """What is minimised, of batches drawn by number: the latents and the teacher's vectors are held here."""

    def __init__(self, args, shape, modules, device="cpu"):
        self.transformer, self.text_encoder, self.pupil = (modules[k] for k in ("transformer", "text_encoder", "pupil"))
        self.mixing, self.cells = args.mixing, (shape.latent // PATCH) ** 2
        self.kept = round(self.cells * (1 - args.mask))
        self.mask, self.shift, self.device = args.mask, args.shift, device
        self.latents = torch.from_numpy(np.load(os.path.join(args.data, f"latents-{args.size}.npy"))).to(device)
        self.vectors = torch.load(os.path.join(args.data, "teacher.pt"))["vectors"].to(device) if args.lessons else None

    def lesson(self, states, ends, vectors):
        """1 - cosine between the last token's state, projected, and the teacher's vector."""
        said = self.pupil(last_states(states, ends))
        return (1 - F.cosine_similarity(said, vectors)).mean()

    def words(self, ids, ends, targets):
        """The lesson alone, then the parts: of pictures, of lessons."""
        loss = self.lesson(encode_text(self.text_encoder, ids), ends, self.vectors[targets].float())
        return loss, torch.zeros_like(loss), loss.detach()

    def pictures(self, rows, copies, ids, mask, taught_ids, taught_ends, targets):
        """Both losses, then the parts: of pictures, of lessons."""
        x0 = self.latents[rows, copies].float() * SCALING_FACTOR
        noise = torch.randn_like(x0)
        s = torch.rand(len(rows), device=self.device)
        s = self.shift * s / (1 + (self.shift - 1) * s)
        states = encode_text(self.text_encoder, torch.cat([ids, taught_ids]))
        w = s[:, None, None, None]
        x, context = (1 - w) * x0 + w * noise, states[: len(ids)]
        if self.mask:
            keep = torch.rand(len(rows), self.cells, device=self.device).argsort(1)[:, : self.kept]
            got = denoise(self.transformer, x, s, context, mask, keep, self.mixing)
            loss = (got - target_tokens(noise - x0, keep)).square().mean()
        else:
            loss = (denoise(self.transformer, x, s, context, mask) - (noise - x0)).square().mean()
        if not len(targets):
            return loss, loss.detach(), loss.detach() * 0
        taught = self.lesson(states[len(ids) :], taught_ends, self.vectors[targets].float())
        return loss + TEACHING * taught, loss.detach(), taught.detach()
