"""The frozen descriptor: tells a picture from all others, however it is distorted; `evaluate.py` tells copies by it.

A small residual network gives a unit vector, learnt as in copy detection (SSCD, Pizzi et al. 2022): two distorted views of a
picture are to be near, other pictures far, among them those of the same item in other styles, and every vector far from its
nearest neighbour. Trained once on real pictures but the held-out ones; it never trains the model.
"""

from collections import defaultdict

import torch
import torch.nn.functional as F

from files import read_json, read_lines
from judges import Features, begin, distorted, fit, freeze, frozen, pictures_at

WIDTHS = (32, 64, 96, 128)
FEATURES = 128
TEMPERATURE = 0.1
SPREAD = 0.3  # weight of the entropy of vectors
TOGETHER = 4  # pictures of one item in a batch, at most


def descriptor():
    return Features(WIDTHS, 4, FEATURES)


def load_descriptor(folder):
    model = descriptor()
    model.load_state_dict(frozen(folder, "descriptor")[1])
    return model.eval()


def crowding(a, b):
    """Minus the mean logarithm of the distance to the nearest vector that is no view of the same picture (Kozachenko and
    Leonenko's estimator of entropy). `a` and `b` are two views, [n, features] each."""
    z = torch.cat([a, b])
    own = torch.arange(len(a)).repeat(2)
    distances = torch.cdist(z, z).masked_fill(own[:, None] == own[None], 2.0)
    return -(distances.amin(1) + 1e-4).log().mean()


def main():
    args, pixels = begin(__doc__, "descriptor", pictures=256_000, batch=256)
    rows = read_lines(args.data, "rows.jsonl")
    groups = defaultdict(list)
    for k in read_json(args.data, "split.json")["train"]:
        groups[rows[k]["item"]].append(k)
    together = min(args.batch, sum(len(group) for group in groups.values()))
    groups = list(groups.values())
    model = descriptor()

    def lesson(rng):
        chosen = set()
        while len(chosen) < together:
            chosen.update(rng.permutation(groups[rng.integers(len(groups))])[:TOGETHER].tolist())
        x = pictures_at(pixels, sorted(chosen))
        a, b = (model.vectors(distorted(x, rng)) for _ in range(2))
        logits, target = a @ b.T / TEMPERATURE, torch.arange(len(x))
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2 + SPREAD * crowding(a, b)
        return loss, (logits.argmax(1) == target).float().mean()

    fit(model, args, lesson)
    freeze(model, args.out, "descriptor", pictures=args.pictures)


if __name__ == "__main__":
    main()
