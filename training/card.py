"""Writes the model card in both languages from what prepare.py, train.py and evaluate.py measured."""

import argparse
import math
import os
import re

from files import read_json, read_lines, write_json
from paths import HERE, MODEL, RUNS

NAMES = {"seen": ("seen pairs of item and style", "見た品物とスタイルの組"), "pairs": ("held-out pairs", "見ていない組"),
         "colours": ("held-out colours", "見ていない色"), "words": ("held-out wordings", "見ていない言い回し"),
         "real seen": ("real pictures, seen", "実物（学習に使用）"), "real held out": ("real pictures, held out: the ceiling", "実物（未使用）：上限")}
TWINLESS = ("held-out pairs whose real picture is no copy", "見ていない組のうち実物が写しに当たらないもの")
LANGUAGES = {"en": ("English", "英語"), "ja": ("Japanese", "日本語"), None: ("", "")}
PARTS = {"transformer": ("denoiser", "デノイザー"), "text_encoder": ("text encoder", "テキストエンコーダー"),
         "vae": ("picture encoder and decoder", "画像エンコーダーとデコーダー"), "upscaler": ("upscaler", "拡大器")}
TITLES = {"en": 0, "ja": 1}
CARDS = {"en": "MODEL_CARD.md", "ja": "MODEL_CARD.ja.md"}
LEARNT_FROM = [{"kind": "words", "name": "Unicode CLDR", "licence": "Unicode-3.0"},
               {"kind": "words", "name": "emojibase", "licence": "MIT"},
               {"kind": "words", "name": "WordNet", "licence": "WordNet Release 3.0"},
               {"kind": "teacher", "name": "all-MiniLM-L6-v2", "licence": "Apache-2.0"}]
TAKEN_OVER = [{"kind": "weights", "name": "TAESD for SD3 latents; its decoder went on learning", "licence": "MIT"},
              {"kind": "weights", "name": "realesr-animevideov3", "licence": "BSD-3-Clause"}]


def percent(value):
    return f"{math.floor(1000 * value + 0.5) / 10:.1f} %"  # halves up, as JavaScript rounds


def sources(report):
    """For `provenance` of irodori.json: pictures by licence, and the networks that were not trained here."""
    pictures = []
    for licence, n in sorted(report["byLicence"].items()):
        named = re.fullmatch(r"(.+?) \((.+)\)", licence)  # "MIT (Microsoft Fluent Emoji)"
        pictures.append({"kind": "pictures", **({"name": named[2]} if named else {}),
                         "licence": named[1] if named else licence, "count": n})
    return pictures + TAKEN_OVER


def bare(name):
    """A name without the remark behind it."""
    return re.split("[:：]", name)[0]


def scores_as_data(scores):
    """For `provenance` of irodori.json: one row a figure."""
    out = []
    for row in scores:
        about = {k: row[k] for k in ("language", "steps") if row.get(k) is not None}
        if row["group"] in NAMES:
            about |= {"of": NAMES[row["group"]][0], "count": row["n"]}
            out += [{"measure": "top-1", "value": row["top1"], **about}, {"measure": "top-5", "value": row["top5"], **about}]
        if row["group"] == "copies":
            out.append({"measure": "copies", "value": row["share"], "of": bare(NAMES[row["of"]][0]), **about, "count": row["n"]})
            if "apart" in row:
                out.append({"measure": "copies", "value": row["apart"], "of": TWINLESS[0], **about, "count": row["nApart"]})
        if row["group"] == "diversity":
            out += [{"measure": "mean distance", "value": row[k], "of": of, **about}
                    for k, of in (("seeds", "16 seeds of one prompt"), ("prompts", "different prompts"))]
    return out


def limits_of(card):
    """The section of a card that tells what the model cannot do, as one line."""
    section = re.search(r"^## (?:Limits|限界)\n(.+?)(?=^## )", card, re.S | re.M)[1].strip()
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n|\n(?=[\u3000-\u9fff])", "", section).replace("\n", " ")


def data_table(report, at):
    head = ("| pictures | licence |", "| 絵の数 | ライセンス |")[at]
    lines = [head, "|---|---|"] + [f"| {n:,} | {licence} |" for licence, n in sorted(report["byLicence"].items())]
    counts = ", ".join(f"{g}: {n:,}" for g, n in report["captions"].items())
    return "\n".join(lines) + "\n\n" + (f"Captions: {counts}.", f"説明文：{counts}。")[at]


def parts_table(model, at):
    """Classes and sizes of the networks, from the files themselves."""
    from safetensors import safe_open

    lines = [("| part | class | parameters | MB |", "| 部分 | クラス | パラメーター | MB |")[at], "|---|---|---|---|"]
    for folder, names in PARTS.items():
        config = read_json(model, folder, "config.json")
        files = [f for f in os.listdir(os.path.join(model, folder)) if f.endswith(".safetensors")]
        count, size = 0, 0
        for file in files:
            path = os.path.join(model, folder, file)
            size += os.path.getsize(path)
            with safe_open(path, "np") as f:
                for key in f.keys():
                    n = 1
                    for side in f.get_slice(key).get_shape():
                        n *= side
                    count += n
        kind = config.get("_class_name") or config["architectures"][0]
        lines.append(f"| {names[at]} | `{kind}` | {count / 1e6:.2f} M | {size / 1e6:.1f} |")
    return "\n".join(lines)


def stage(run, processor, price):
    """What a run took, by the last line of its log."""
    last = read_lines(run, "log.jsonl")[-1]
    hours = last["seconds"] / 3600
    return {"processor": processor, "price": price, "hours": hours, "money": hours * price, "steps": last["step"], "loss": last["loss"],
            **{k: last.get(k) for k in ("size", "part", "psnr", "opacity")},
            **{k: last.get(k, 0) for k in ("pictures", "texts", "flops")}}


def time_text(hours, at):
    if hours < 1.5:
        return (f"{60 * hours:.1f} minutes", f"{60 * hours:.1f} 分")[at]
    return (f"{hours:.1f} hours", f"{hours:.1f} 時間")[at]


def stage_text(c, at):
    """A run as an item of a list: of decoder.py, of near.py, which shows no pictures, or of train.py."""
    time = time_text(c["hours"], at)
    cost = (f"${c['money']:.2f} at ${c['price']:g} an hour", f"1 時間 ${c['price']:g} として ${c['money']:.2f}")[at]
    if not c["pictures"]:
        return (f"* Other nouns for the text encoder, {time} on {c['processor']}: {c['steps']:,} steps, {c['texts'] / 1e6:.2f} M texts; {cost}.",
                f"* テキストエンコーダーへの他の名詞。{c['processor']} で {time}、{c['steps']:,} ステップ、{c['texts'] / 1e6:.2f} M 文。{cost}。")[at]
    size = f"{c['size']}×{c['size']}"
    if c["part"] == "decoder":
        return (f"* Decoder, {size}, {time} on {c['processor']}: {c['steps']:,} steps, {c['pictures']:,} pictures; then {c['psnr']:.1f} dB "
                f"on held-out pictures, opacity {c['opacity']:.1f} dB; {cost}.",
                f"* デコーダー（{size}）。{c['processor']} で {time}、{c['steps']:,} ステップ、{c['pictures']:,} 枚。未使用の絵で {c['psnr']:.1f} dB、"
                f"不透明度 {c['opacity']:.1f} dB。{cost}。")[at]
    return (f"* Flow matching, {size}, {time} on {c['processor']}: {c['steps']:,} steps, {c['pictures'] / 1e6:.2f} M pictures, "
            f"{c['flops'] / 1e15:.2f} PFLOP, loss {c['loss']:.2f}; {cost}.",
            f"* フローマッチング（{size}）。{c['processor']} で {time}、{c['steps']:,} ステップ、{c['pictures'] / 1e6:.2f} M 枚、"
            f"{c['flops'] / 1e15:.2f} PFLOP、損失 {c['loss']:.2f}。{cost}。")[at]


def score_table(scores, at):
    lines = [("| asked for | steps | language | n | top-1 | top-5 |", "| 頼んだもの | ステップ | 言語 | n | top-1 | top-5 |")[at],
             "|---|---|---|---|---|---|"]
    for row in scores:
        if row["group"] in NAMES:
            language = LANGUAGES[row.get("language")][at]
            lines.append(f"| {NAMES[row['group']][at]} | {row.get('steps', '')} | {language} | {row['n']:,} "
                         f"| {percent(row['top1'])} | {percent(row['top5'])} |")
    copies = [row for row in scores if row["group"] == "copies"]
    if copies:
        lines += ["", ("| copies among | steps | n | share |", "| 写しの割合 | ステップ | n | 割合 |")[at], "|---|---|---|---|"]
    for row in copies:
        lines.append(f"| {bare(NAMES[row['of']][at])} | {row.get('steps', '')} | {row['n']:,} | {percent(row['share'])} |")
        if "apart" in row:
            lines.append(f"| {TWINLESS[at]} | {row['steps']} | {row['nApart']:,} | {percent(row['apart'])} |")
    for row in scores:
        if row["group"] == "diversity":
            lines.append((f"\nMean distance (1 - cosine of the scorer's vectors) of 16 seeds of one prompt: {row['seeds']:.3f}; of different "
                          f"prompts: {row['prompts']:.3f}.",
                          f"\n同じ言葉・16 シードの絵の平均距離（1 - コサイン）：{row['seeds']:.3f}、違う言葉：{row['prompts']:.3f}。")[at])
    return "\n".join(lines)


def shapes_text(rows, at):
    """The comparison of widths and depths at equal time."""
    lines = [("Widths and depths at equal time, of 64×64 and on two CPU cores:", "幅と深さの比較（64×64、CPU 2 コア、同じ時間）：")[at], "",
             ("| width × blocks | parameters | minutes | pictures | loss |", "| 幅 × 層 | パラメーター | 分 | 絵の数 | 損失 |")[at],
             "|---|---|---|---|---|"]
    lines += [f"| {r['width']} × {r['layers']} | {r['parameters'] / 1e6:.1f} M | {r['minutes']} | {r['pictures']:,} | {r['loss']} |"
              for r in rows]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--stage", nargs=3, metavar=("RUN", "PROCESSOR", "PRICE"), action="append", required=True,
                        help="a run, what it was made on, and dollars an hour of that machine; the last has the scores")
    args = parser.parse_args()
    last = args.stage[-1][0]
    report, scores = read_json(args.data, "report.json"), read_lines(last, "scores.jsonl")
    stages = [stage(run, processor, float(price)) for run, processor, price in args.stage]
    total = {k: sum(s[k] for s in stages) for k in ("hours", "money", "steps", "pictures", "flops")}
    left = report["leftOut"]
    settings = read_json(args.model, "irodori.json")
    values = {"SIDE": settings["width"], "GUIDANCE": settings["guidance"], "MONEY": f"${total['money']:.2f}",
              "ITEMS": f"{len(read_json(HERE, 'data', 'scorer.json')['items']):,}"}
    limits = {}
    for language, at in TITLES.items():
        values[f"DATA.{language}"] = data_table(report, at)
        values[f"FILTER.{language}"] = ", ".join(f"{v} {k}" for k, v in left.items()) or ("nothing else", "ほかになし")[at]
        values[f"PARTS.{language}"] = parts_table(args.model, at)
        values[f"COST.{language}"] = "\n".join(stage_text(s, at) for s in stages)
        values[f"SHAPES.{language}"] = shapes_text(read_json(HERE, "data", "shapes.json"), at)
        values[f"SCORES.{language}"] = score_table(scores, at)
        name = CARDS[language]
        with open(os.path.join(HERE, "card", name), encoding="utf-8") as f:
            card = f.read()
        for key, value in values.items():
            card = card.replace(f"@@{key}@@", str(value))
        assert "@@" not in card
        limits[language] = limits_of(card)
        with open(os.path.join(args.model, name), "w", encoding="utf-8") as f:
            f.write(card)
    settings["provenance"] = {
        "sources": sources(report) + LEARNT_FROM,
        "training": {"hours": round(total["hours"], 2), "processor": ", ".join(dict.fromkeys(s["processor"] for s in stages)),
                     "dollars": round(total["money"], 2), **{k: total[k] for k in ("steps", "pictures", "flops")}},
        "scores": scores_as_data(scores), "limits": limits, "cards": CARDS}
    write_json(os.path.join(args.model, "irodori.json"), settings)


if __name__ == "__main__":
    main()
