"""Writes the figures of a run into the model card: what training cost, and the scores that evaluate.py measured."""

import argparse
import json
import os

from captions import HERE, LANGUAGES

NAMES = {"en": "English", "ja": "Japanese"}


def read_lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def cost(rows, processor, items):
    """One sentence from the last line of the run's log."""
    last = rows[-1]
    pictures = last["epoch"] * items
    return (f"{last['seconds'] / 60:.0f} minutes ({processor}), {last['step']:,} steps, {pictures / 1e6:.2f} M pictures "
            f"({last['epoch']:.0f} times the set), loss {last['loss']:.2f}.")


def table(scores):
    """Top-1 and top-5 by kind of caption, steps and language, as Markdown."""
    lines = ["| captions | steps | language | n | top-1 | top-5 |", "|---|---|---|---|---|---|"]
    for row in scores:
        lines.append(f"| {row['kind']}s | {row['steps']} | {NAMES[row['language']]} | {row['n']:,} "
                     f"| {100 * row['top1']:.1f} % | {100 * row['top5']:.1f} % |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=os.path.join(os.path.dirname(HERE), "models", "emoji"))
    parser.add_argument("--run", default=os.path.join(HERE, "runs", "emoji"))
    parser.add_argument("--processor", required=True, help="what the run was made on, for the card")
    args = parser.parse_args()
    scores = read_lines(os.path.join(args.run, "scores.jsonl"))
    assert {row["language"] for row in scores} == set(LANGUAGES), "scores of every language, by evaluate.py"
    with open(os.path.join(args.model, "labels.json"), encoding="utf-8") as f:
        items = len(json.load(f)["items"])
    with open(os.path.join(HERE, "card", "MODEL_CARD.md"), encoding="utf-8") as f:
        card = f.read()
    card = card.replace("@@COST@@", cost(read_lines(os.path.join(args.run, "log.jsonl")), args.processor, items))
    card = card.replace("@@SCORES@@", table(scores))
    assert "@@" not in card
    with open(os.path.join(args.model, "MODEL_CARD.md"), "w", encoding="utf-8") as f:
        f.write(card)


if __name__ == "__main__":
    main()
