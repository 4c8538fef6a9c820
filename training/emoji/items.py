"""The list of emoji in six styles, `data/emoji.jsonl`: labels, tags and where each picture comes from."""

import argparse
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), "data")
LANGUAGES = ("en", "ja")
# Pictures of writing, not of things: letters, keys and flags are left to fonts.
LEFT_OUT = {"alphanumeric symbols", "keypad characters", "other flags", None}
STYLES = {
    "fluent3d": {"package": "@lobehub/fluent-emoji-3d@1.1.0", "licence": "MIT (Microsoft Fluent Emoji)"},
    "fluent_color": {"package": "@iconify-json/fluent-emoji@1.2.7", "licence": "MIT (Microsoft Fluent Emoji)"},
    "fluent_flat": {"package": "@iconify-json/fluent-emoji-flat@1.2.6", "licence": "MIT (Microsoft Fluent Emoji)"},
    "noto": {"package": "@iconify-json/noto@1.2.9", "licence": "Apache-2.0 (Google Noto Emoji)"},
    "noto_v1": {"package": "@iconify-json/noto-v1@1.2.5", "licence": "Apache-2.0 (Google Noto Emoji)"},
    "fxemoji": {"package": "@iconify-json/fxemoji@1.2.2", "licence": "Apache-2.0 (Mozilla FxEmojis)"},
}


def write_items(manifest, path):
    """Keeps what training needs of a joined manifest; a skin tone has its base's tags and is listed without."""
    with open(manifest, encoding="utf-8") as f:
        source = json.load(f)
    left_out = {i["codepoint"] for i in source["items"] if i["subgroup"] in LEFT_OUT}
    count = 0
    with open(path, "w", encoding="utf-8") as f:
        for item in source["items"]:
            base = item["skinVariantOf"]
            if (base or item["codepoint"]) in left_out:
                continue
            row = {"codepoint": item["codepoint"], "emoji": item["emoji"]}
            row |= {"base": base} if base else {"group": item["group"], "subgroup": item["subgroup"]}
            for g in LANGUAGES:
                row[g] = {"label": item[g]["label"]} if base else {"label": item[g]["label"], "tags": item[g]["tags"]}
            row["pictures"] = {s: v for s, v in item["images"].items() if s in STYLES}
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count


def read_items():
    with open(os.path.join(DATA, "emoji.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def read_data(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as f:
        return json.load(f)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", help="emoji joined by code point with labels, tags and pictures per style")
    args = parser.parse_args()
    print(write_items(args.manifest, os.path.join(DATA, "emoji.jsonl")), "items")


if __name__ == "__main__":
    main()
