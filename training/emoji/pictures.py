"""Renders the six emoji styles from their npm packages into a folder of 256x256 RGBA PNG files."""

import argparse
import concurrent.futures
import io
import json
import os

import resvg_py
from PIL import Image

from items import STYLES, read_items

SIDE = 256


class Icons:
    """One iconify package: SVG bodies by name."""

    def __init__(self, folder):
        with open(os.path.join(folder, "icons.json"), encoding="utf-8") as f:
            self.set = json.load(f)

    def render(self, name):
        icons, aliases = self.set["icons"], self.set.get("aliases", {})
        while name not in icons:
            name = aliases[name]["parent"]
        icon = icons[name]
        box = [icon.get(k, self.set.get(k, 16 if k in ("width", "height") else 0)) for k in ("left", "top", "width", "height")]
        svg = (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
               f'viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>')
        size = {"width": SIDE} if box[2] >= box[3] else {"height": SIDE}
        return Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, **size)))


def square(picture):
    """The picture in the middle of a transparent square, at the side all pictures have."""
    picture = picture.convert("RGBA")
    side = max(picture.size)
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return canvas if side == SIDE else canvas.resize((SIDE, SIDE), Image.LANCZOS)


def render_style(style, rows, modules, out):
    """Renders what is missing of one style; returns what could not be rendered."""
    os.makedirs(os.path.join(out, style), exist_ok=True)
    folder = os.path.join(modules, *STYLES[style]["package"].rsplit("@", 1)[0].split("/"))
    icons = None if style == "fluent3d" else Icons(folder)
    failed = []
    for codepoint, value in rows:
        path = os.path.join(out, style, codepoint + ".png")
        if os.path.exists(path):
            continue
        try:
            picture = icons.render(value) if icons else Image.open(os.path.join(folder, "assets", value))
            square(picture).save(path, compress_level=1)
        except (KeyError, ValueError, OSError) as error:
            failed.append((style, codepoint, value, repr(error)))
    return failed


def render(modules, out, processes):
    """Renders every picture of the list; the ones already there stay."""
    items, jobs = read_items(), []
    for style in STYLES:
        rows = [(i["codepoint"], i["pictures"][style]) for i in items if style in i["pictures"]]
        parts = 8 if len(rows) > 1000 else 1
        jobs += [(style, rows[k::parts], modules, out) for k in range(parts)]
    with concurrent.futures.ProcessPoolExecutor(processes) as pool:
        failed = [row for rows in pool.map(render_style, *zip(*jobs)) for row in rows]
    for row in failed:
        print("not rendered:", *row)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", required=True, help="node_modules with the packages that items.py names")
    parser.add_argument("--out", required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    render(args.modules, args.out, args.processes)
    print(sum(len(files) for _, _, files in os.walk(args.out)), "pictures in", args.out)


if __name__ == "__main__":
    main()
