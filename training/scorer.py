"""The frozen scorer: picture to label, trained once on real pictures; it judges drawings and never trains the model.

A small residual network gives a unit vector; every item has a unit vector too, and the label is the nearest item. Trained
with strong augmentation on all styles but the held-out pairs, so that its score on those real pictures is a ceiling.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from files import read_lines
from judges import Features, begin, distorted, fit, freeze, frozen, pictures_at

WIDTHS = (32, 64, 128, 192)
FEATURES = 128
SHARPNESS = 20.0  # cosines times this are the logits


class Scorer(Features):
    def __init__(self, items):
        super().__init__(WIDTHS, 2, FEATURES)
        self.items = nn.Parameter(torch.randn(items, FEATURES))

    def forward(self, x):
        """Cosine with every item. Shape [B, items]."""
        return self.vectors(x) @ F.normalize(self.items, dim=1).T


def training_rows(folder):
    """Indices of single pictures that may be seen, and the item of each; items are base items in the order of the list."""
    rows = read_lines(folder, "rows.jsonl")
    items = sorted({r["item"] for r in rows if "item" in r and "+" not in r["item"]})
    place = {item: k for k, item in enumerate(items)}
    fit = [k for k, r in enumerate(rows) if not r.get("heldOut") and r.get("item") in place]
    return items, np.array(fit), torch.tensor([place[rows[k]["item"]] for k in fit]), np.array(
        [rows[k].get("weight", 1.0) ** 0.5 for k in fit])


def load_scorer(folder):
    about, weights = frozen(folder, "scorer")
    model = Scorer(len(about["items"]))
    model.load_state_dict(weights)
    return model.eval(), about["items"]


def main():
    args, pixels = begin(__doc__, "scorer", pictures=250_000, batch=128)
    items, rows, labels, weights = training_rows(args.data)
    model = Scorer(len(items))

    def lesson(rng):
        chosen = rng.choice(len(rows), args.batch, p=weights / weights.sum())
        chosen = chosen[np.argsort(rows[chosen])]
        target = labels[torch.from_numpy(chosen)]
        logits = SHARPNESS * model(distorted(pictures_at(pixels, rows[chosen]), rng))
        return F.cross_entropy(logits, target, label_smoothing=0.05), (logits.argmax(1) == target).float().mean()

    fit(model, args, lesson)
    freeze(model, args.out, "scorer", pictures=args.pictures, items=items)


if __name__ == "__main__":
    main()
