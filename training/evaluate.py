"""Scores an exported model with the frozen scorer, on what it has seen and on what was held out of training.

A drawing is right (top-1) when the scorer's nearest item is the one asked for, of all items; top-5 when among five.
Groups: `seen` pairs of item and style; `pairs` never shown together; `colours` of items never shown; `words` that were never
a caption (English and Japanese, no style named). `real` is the scorer on the held-out pictures themselves: the ceiling.
`copies` is the share of drawings that are nearer to a training picture, by the frozen descriptor, than that picture's own
distorted views are: of drawings of held-out pairs, of seen ones (which have a picture to be like) and of the real pictures held
out, whose copies are twins that the sets themselves have; `apart` leaves out held-out pairs with such a twin.
"""

import argparse
import json
import os
import time

import numpy as np
import torch

from descriptor import load_descriptor
from draw import Irodori, Model, sheet
from files import append_line, read_json, read_lines, read_styles
from judges import FROZEN, distorted, pictures_at, to_input, vectors_of
from paths import MODEL, RUNS
from scorer import load_scorer


def labelled(row):
    """Whether a picture is of an item as it is: its first caption is the item's label."""
    return all(rows[0][2] == "label" for rows in row["captions"].values())


def reduced(pictures):
    """Square pictures of a multiple of 64 as the scorer sees them. Shape [n, 64, 64, 3] bytes."""
    n, times = len(pictures), pictures.shape[1] // 64
    return pictures.reshape(n, 64, times, 64, times, 3).mean((2, 4)).round().astype(np.uint8)


class Data:
    def __init__(self, folder):
        self.folder = folder
        self.rows = read_lines(folder, "rows.jsonl")
        self.pixels = np.load(os.path.join(folder, "pixels.npy"), mmap_mode="r")
        self.train = read_json(folder, "split.json")["train"]
        self.styles = read_styles(folder)
        self.labels = {}  # item -> language -> label, of base pictures
        for row in self.rows:
            if labelled(row):
                self.labels.setdefault(row["item"], {g: c[0][0] for g, c in row["captions"].items()})

    def base(self, held_out):
        """Indices of pictures of base items as they are."""
        return [k for k, r in enumerate(self.rows) if r.get("heldOut", False) == held_out and labelled(r)]

    def styled(self, text, style, language):
        if self.styles is None or style not in self.styles["styles"]:
            return text
        word = self.styles["styles"][style][language][0]
        return self.styles["forms"][language][0].format(style=word, caption=text)

    def small(self, indices):
        """Pictures at 64x64, colours on white. Shape [n, 64, 64, 3] bytes."""
        return reduced(np.stack([self.pixels[k] for k in indices])[..., :3])


class Judge:
    def __init__(self, folder):
        self.model, items = load_scorer(folder)
        self.place = {item: k for k, item in enumerate(items)}

    @torch.inference_mode()
    def score(self, pictures, wanted):
        """Top-1 and top-5 of pictures, of which each may show any of the wanted items."""
        ranks = []
        for start in range(0, len(pictures), 256):
            cosines = self.model(to_input(pictures[start : start + 256]))
            for row, items in zip(cosines, wanted[start : start + 256]):
                best = max(row[self.place[i]].item() for i in items)
                others = row.clone()
                others[[self.place[i] for i in items]] = -2
                ranks.append(int((others > best).sum()))
        ranks = np.array(ranks)
        return {"n": len(ranks), "top1": round(float((ranks == 0).mean()), 4), "top5": round(float((ranks < 5).mean()), 4)}


class Copies:
    """Tells copies: drawings nearer to some training picture than the mean of that picture's distorted views is."""

    VIEWS = 8

    def __init__(self, data, folder):
        self.data, self.model = data, load_descriptor(folder)
        parts = [data.train[k : k + 1024] for k in range(0, len(data.train), 1024)]
        self.known = torch.cat([vectors_of(self.model, data.small(part)) for part in parts])

    @torch.inference_mode()
    def limits(self, places):
        """How far the distorted views of training pictures are from them, 1 - cosine. Shape [n]."""
        rng = np.random.default_rng(0)
        torch.manual_seed(0)
        x = pictures_at(self.data.pixels, [self.data.train[k] for k in places])
        views = [self.model.vectors(distorted(x, rng)) for _ in range(self.VIEWS)]
        return torch.stack([1 - (v * self.known[places]).sum(1) for v in views]).mean(0)

    def among(self, drawn):
        """Which of pictures are copies. Shape [n]."""
        nearest = (1 - vectors_of(self.model, drawn) @ self.known.T).min(1)
        places, back = nearest.indices.unique(return_inverse=True)
        limits = torch.cat([self.limits(part) for part in places.split(256)])
        return nearest.values < limits[back]


def share_of(copied, twins=None):
    """How many are copies; `apart`: among those that are no `twins`."""
    out = {"share": round(copied.float().mean().item(), 4), "n": len(copied)}
    if twins is not None:
        out |= {"apart": round(copied[~twins].float().mean().item(), 4), "nApart": int((~twins).sum())}
    return out


def questions(data, every):
    """By group: language, prompt and the items it may show."""
    groups = {"seen": [], "pairs": []}
    rng = np.random.default_rng(3)
    seen = rng.permutation(data.base(False))[: 1200 // every]
    for name, indices in (("seen", seen), ("pairs", data.base(True)[::every])):
        for k in indices:
            row = data.rows[k]
            for g in row["captions"]:
                groups[name].append((g, data.styled(data.labels[row["item"]][g], row.get("style"), g), [row["item"]]))
    path = os.path.join(data.folder, "questions.json")  # further groups: rows of language, prompt, items
    if os.path.exists(path):
        for name, rows in read_json(path).items():
            groups[name] = [tuple(rows[k]) for k in sorted(rng.permutation(len(rows))[: len(rows) // every])]
    return groups


def diversity(model, judge, data, steps):
    """Mean distance (1 - cosine) of the scorer's vectors of 16 drawings of one prompt, and of those of different prompts."""
    labels = [next(iter(names.values())) for names in list(data.labels.values())[:: max(1, len(data.labels) // 24)]]
    drawn = reduced(model.draw([label for label in labels for _ in range(16)], steps))
    vectors = vectors_of(judge.model, drawn).view(len(labels), 16, -1)
    same = 1 - (vectors @ vectors.transpose(1, 2)).sum((1, 2)).sub(16).div(16 * 15).mean()
    heads = vectors[:, 0]
    n = len(labels)
    return {"seeds": round(same.item(), 4), "prompts": round((1 - ((heads @ heads.T).sum() - n) / (n * (n - 1))).item(), 4),
            "n": n}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--judges", default=FROZEN, help="where scorer.py and descriptor.py put theirs")
    parser.add_argument("--steps", type=int, nargs="*", default=[4, 8, 20])
    parser.add_argument("--guidance", type=float, help="the model's own unless given")
    parser.add_argument("--irodori", metavar="QUANTIZE", help="irodori draws (a build is needed), quantised so: none, int8, int8-weights")
    parser.add_argument("--every", type=int, default=1, help="ask every n-th question only")
    parser.add_argument("--groups", nargs="*", help="these only: real, seen, pairs, copies (with seen, pairs), diversity, and those of questions.json")
    parser.add_argument("--sheet", help="draw prompts into this PNG instead of scoring")
    parser.add_argument("--prompts", nargs="*", default=[], help="prompts of the sheet")
    parser.add_argument("--append", help="also append every score to this file, which card.py reads")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = Irodori(args.model, args.irodori, args.threads) if args.irodori else Model(args.model)
    guidance = model.guidance if args.guidance is None else args.guidance
    if args.sheet:
        sheet(args.prompts, model.draw(args.prompts, args.steps[0], guidance, args.seed), args.sheet)
        return

    def tell(row):
        print(json.dumps(row, ensure_ascii=False), flush=True)
        if args.append:
            append_line(args.append, row)

    wanted = lambda group: not args.groups or group in args.groups
    data, judge = Data(args.data), Judge(args.judges)
    for name, held_out in (("real seen", False), ("real held out", True)) if wanted("real") else ():
        indices = data.base(held_out)[:: args.every]
        if indices:
            tell({"group": name, **judge.score(data.small(indices), [[data.rows[k]["item"]] for k in indices])})
    known = Copies(data, args.judges) if wanted("copies") else None
    twins = known.among(data.small(data.base(True))) if known and data.base(True) else None
    if twins is not None:
        tell({"group": "copies", "of": "real held out", **share_of(twins)})
    for name, asked in questions(data, args.every).items():
        if not wanted(name):
            continue
        for steps in args.steps:
            started = time.monotonic()
            drawn = reduced(model.draw([text for _, text, _ in asked], steps, guidance, args.seed))
            spent = round(time.monotonic() - started, 1)
            for g in sorted({g for g, _, _ in asked}):
                own = [k for k, (lang, _, _) in enumerate(asked) if lang == g]
                tell({"group": name, "language": g, "steps": steps, "guidance": guidance, "seed": args.seed,
                      **judge.score(drawn[own], [asked[k][2] for k in own]), "seconds": spent})
            if known and asked and name in ("seen", "pairs"):
                each = len({g for g, _, _ in asked})  # languages that a pair is asked for in
                own = twins[:: args.every].repeat_interleave(each) if name == "pairs" else None
                tell({"group": "copies", "of": name, "steps": steps, **share_of(known.among(drawn), own)})
    if wanted("diversity"):
        tell({"group": "diversity", "steps": args.steps[-1], **diversity(model, judge, data, args.steps[-1])})


if __name__ == "__main__":
    main()
