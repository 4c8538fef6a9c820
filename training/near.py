"""Teaches a trained text encoder to say of other nouns what it says of the label that they are nearest to.

The denoiser has met few words beside captions, and draws others badly even where the text encoder has put them next to a
label. So the text encoder alone goes on, with the weights that training kept: the last token of a noun near a label, by the
sentence encoder (teacher.py), is to be that of the label in its place, whatever stands around them; every token of a caption
is to stay what it was. Wordings held out for evaluation are not among the nouns. The denoiser stays as it is.
"""

import argparse
import copy
import os
import time

import numpy as np
import torch

from batches import Captioner, Tokens, drawn, padded
from files import append_line, read_json, read_lines, read_styles
from keeper import rate
from networks import MAX_TOKENS, Shape, encode_text, last_states, make_text_encoder
from paths import RUNS

BATCH = 160  # nouns, and as many captions
STAYING = 2.0  # weight of the captions' loss
FORMS = ("{}", "{}", "{}", "a {}", "the {}", "my {}", "cute {}", "red {}", "blue {}", "{} emoji", "two {}")
STYLED = 0.3  # share of nouns in whose place a style is named


def wrapped(rng, styles):
    """A way of putting a noun into words, the same for the label."""
    form = FORMS[int(rng.integers(len(FORMS)))]
    if not styles or rng.random() >= STYLED:
        return form.format
    names = list(styles["styles"].values())
    words = names[int(rng.integers(len(names)))]["en"]
    outer = styles["forms"]["en"][int(rng.integers(len(styles["forms"]["en"])))]
    word = words[int(rng.integers(len(words)))]
    return lambda noun: outer.format(style=word, caption=form.format(noun))


class Lessons:
    """Batches of nouns with their labels, and of captions as training draws them."""

    def __init__(self, data, seed):
        self.rng = np.random.default_rng(seed)
        self.tokens, self.styles = Tokens(data, self.rng), read_styles(data)
        rows = read_lines(data, "rows.jsonl")
        self.train = read_json(data, "split.json")["train"]
        self.often = np.cumsum([rows[k].get("weight", 1.0) for k in self.train])
        self.captioner = Captioner(data, rows, self.rng, {})
        self.pairs = torch.load(os.path.join(data, "teacher.pt"))["near"]
        self.sums = np.cumsum([weight for _, _, weight in self.pairs])

    def noun(self):
        """Ids of a noun, and of its label in its place."""
        noun, label, _ = self.pairs[drawn(self.rng, self.sums)]
        wrap = wrapped(self.rng, self.styles)
        return self.tokens.rough(wrap(noun)), self.tokens.plain.encode(wrap(label)).ids[:MAX_TOKENS]

    def caption(self):
        return self.tokens.rough(self.captioner.draw(self.train[drawn(self.rng, self.often)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"), help="prepared, with teacher.pt")
    parser.add_argument("--run", default=os.path.join(RUNS, "emoji"), help="the run whose text encoder goes on")
    parser.add_argument("--out", default=os.path.join(RUNS, "near"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--lr", type=float, default=5e-4, help="of AdamW")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    checkpoint = torch.load(os.path.join(args.run, "checkpoint.pt"), map_location="cpu")
    before = make_text_encoder(Shape(**checkpoint["shape"]))
    names = [name for name, _ in before.named_parameters()]
    with torch.no_grad():
        for name, p in before.named_parameters():
            p.copy_(checkpoint["ema"]["text_encoder." + name])
    after = copy.deepcopy(before)
    lessons = Lessons(args.data, args.seed)
    print(len(lessons.pairs), "nouns", flush=True)
    adamw = torch.optim.AdamW(after.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0)
    os.makedirs(args.out, exist_ok=True)
    start, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        for group in adamw.param_groups:
            group["lr"] = args.lr * rate(step, done, 0)
        nouns, labels = zip(*(lessons.noun() for _ in range(BATCH)))
        captions = [lessons.caption() for _ in range(BATCH)]
        (ids, ends), (label_ids, label_ends), (caption_ids, caption_ends) = (
            padded(rows, MAX_TOKENS) for rows in (nouns, labels, captions))
        with torch.no_grad():
            meant, kept = last_states(encode_text(before, label_ids), label_ends), encode_text(before, caption_ids)
        states = encode_text(after, torch.cat([ids, caption_ids]))
        inside = (torch.arange(MAX_TOKENS)[None] <= caption_ends[:, None]).float()
        near = (last_states(states[:BATCH], ends) - meant).square().mean()
        moved = ((states[BATCH:] - kept).square().mean(2) * inside).sum() / inside.sum()
        adamw.zero_grad()
        (near + STAYING * moved).backward()
        torch.nn.utils.clip_grad_norm_(after.parameters(), 1.0)
        adamw.step()
        step += 1
        seconds = time.monotonic() - start
        done = seconds / (60 * args.minutes)
        if step % 20 == 0 or done >= 1:
            append_line(os.path.join(args.out, "log.jsonl"),
                        {"step": step, "seconds": round(seconds, 1), "texts": 2 * BATCH * step, "loss": round(near.item(), 4),
                         "moved": round(moved.item(), 4), "size": round(meant.square().mean().item(), 4)})
    for name, p in zip(names, after.parameters()):
        checkpoint["ema"]["text_encoder." + name] = p.detach().clone()
    torch.save(checkpoint, os.path.join(args.out, "checkpoint.pt"))


if __name__ == "__main__":
    main()
