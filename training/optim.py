"""Muon for the matrices and kernels inside: momentum, made orthogonal by Newton-Schulz over stacks of one shape."""

from collections import defaultdict

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(m, rounds=4):
    """Brings the singular values of each matrix of the stack near one."""
    tall = m.shape[1] > m.shape[2]
    x = m.transpose(1, 2) if tall else m
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(rounds):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


class Muon:
    """One of several processes that share weights and momentum: each takes every n-th matrix of a shape."""

    def __init__(self, parameters, lr, rank=0, ranks=1, momentum=0.95, decay=0.01):
        self.lr, self.momentum, self.decay = lr, momentum, decay
        groups = defaultdict(list)
        for p in parameters:
            groups[tuple(p.shape)].append(p)
        self.groups = list(groups.values())
        self.own = slice(rank, None, ranks)
        self.buffers = [torch.zeros(len(g), *g[0].shape, device=g[0].device).share_memory_() for g in self.groups]

    @torch.no_grad()
    def step(self, factor, gradient_of):
        """Takes a step at that share of the learning rate, a number or a tensor of one."""
        lr = self.lr * factor
        for group, buffer in zip(self.groups, self.buffers):
            group, buffer = group[self.own], buffer[self.own]
            grads = torch.stack([gradient_of(p) for p in group])
            buffer.lerp_(grads, 1 - self.momentum)
            update = orthogonal(torch.lerp(grads, buffer, self.momentum))
            update *= lr * max(1.0, buffer.shape[1] / buffer.shape[2]) ** 0.5
            torch._foreach_mul_(group, 1 - lr * self.decay)
            torch._foreach_sub_(group, list(update.unbind(0)))

    def state_dict(self):
        return {"buffers": self.buffers}

    def load_state_dict(self, state):
        for buffer, saved in zip(self.buffers, state["buffers"]):
            buffer.copy_(saved)


class MuonWithAdamW:
    """Muon for some kernels of a module, read as matrices; AdamW for all its other parameters."""

    def __init__(self, model, kernels, muon_lr, lr, muon_decay=0.01, decay=0.0):
        rest = [p for p in model.parameters() if not any(p is k for k in kernels)]
        self.model, self.kernels, self.lr = model, kernels, lr
        self.muon = Muon([p.data.flatten(1) for p in kernels], lr=muon_lr, decay=muon_decay)
        self.adamw = torch.optim.AdamW([{"params": [p for p in rest if p.ndim > 1], "weight_decay": decay},
                                        {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0}],
                                       lr=lr, betas=(0.9, 0.98))

    def step(self, loss, factor):
        """Goes down the loss, at that share of both learning rates."""
        self.model.zero_grad()
        loss.backward()
        for group in self.adamw.param_groups:
            group["lr"] = self.lr * factor
        self.adamw.step()
        gradients = {p.data_ptr(): p.grad.flatten(1) for p in self.kernels}
        self.muon.step(factor, lambda p: gradients[p.data_ptr()])

    def state_dict(self):
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state):
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])
