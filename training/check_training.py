"""Checks the whole path on a handful of pictures: prepare, 50 steps, a few of the decoder, export, evaluate, and irodori cuts
out a picture.

Without a folder it draws six simple pictures itself. The result is noise; that every step takes what the last one gave is
what is checked.
"""

import argparse
import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw

from files import append_line, read_json, read_lines
from paths import HERE

SHAPES = {"red circle": ("赤い丸", "ellipse", "#d03030"), "blue circle": ("青い丸", "ellipse", "#3050d0"),
          "green square": ("緑の四角", "rectangle", "#30a040"), "yellow square": ("黄色い四角", "rectangle", "#e0c020"),
          "purple circle": ("紫の丸", "ellipse", "#8030a0"), "black square": ("黒い四角", "rectangle", "#202020")}


def draw_shapes(folder):
    os.makedirs(folder)
    captions = os.path.join(folder, "captions.jsonl")
    for k, (english, (japanese, shape, colour)) in enumerate(SHAPES.items()):
        picture = Image.new("RGBA", (160, 160))
        getattr(ImageDraw.Draw(picture), shape)((16, 16, 144, 144), fill=colour)
        picture.save(os.path.join(folder, f"{k}.png"))
        append_line(captions, {"file": f"{k}.png", "captions": {"en": [english], "ja": [japanese]}, "licence": "CC0-1.0",
                               "source": "drawn by check_training.py"})
    append_line(captions, {"file": "0.png", "captions": {"en": ["twin"]}, "licence": "CC0-1.0", "source": "a duplicate"})
    append_line(captions, {"file": "1.png", "captions": {}, "licence": "CC0-1.0", "source": "without caption"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="pictures with captions.jsonl or manifest.json")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--keep", help="folder for the data, the run and the model; a temporary one otherwise")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = args.keep or temporary
        sub = lambda name: os.path.join(base, name)
        folder = args.folder or sub("pictures")
        if not args.folder:
            draw_shapes(folder)
        run = lambda *command: subprocess.run([str(c) for c in command], check=True, cwd=HERE)
        run(sys.executable, "prepare.py", folder, "--out", sub("data"), "--processes", 1)
        report = read_json(sub("data"), "report.json")
        if not args.folder:
            assert report["pictures"] == 6 and report["leftOut"] == {"no caption": 1, "near-duplicate": 1}, report
        run(sys.executable, "train.py", "--data", sub("data"), "--run", sub("run"), "--steps", args.steps // 2, "--batch", 32)
        run(sys.executable, "train.py", "--data", sub("data"), "--run", sub("run"), "--steps", args.steps, "--batch", 32)
        run(sys.executable, "decoder.py", "--data", sub("data"), "--run", sub("decoder"), "--steps", 4, "--batch", 4)
        run(sys.executable, "export.py", "--data", sub("data"), "--run", sub("run"), "--vae", sub("decoder/vae"), "--out", sub("model"))
        run(sys.executable, "check_export.py", "--model", sub("model"))
        for judge in ("scorer", "descriptor"):
            run(sys.executable, f"{judge}.py", "--data", sub("data"), "--run", sub(judge), "--out", sub("judges"), "--pictures", 32, "--batch", 8)
        run(sys.executable, "evaluate.py", "--model", sub("model"), "--data", sub("data"), "--judges", sub("judges"), "--steps", 2,
            "--groups", "real", "seen", "copies", "--append", sub("scores.jsonl"))
        groups = {row["group"] for row in read_lines(base, "scores.jsonl")}
        assert groups == {"real seen", "seen", "copies"}, groups
        prompt = read_json(sub("model"), "labels.json")["items"][0]["en"][0]
        cli = os.path.join(os.path.dirname(HERE), "dist", "cli", "main.js")
        run("node", cli, "generate", prompt, "--model", sub("model"), "--transparent", "-o", sub("drawn.png"))
        with Image.open(sub("drawn.png")) as drawn:
            assert min(drawn.size) >= 64 and drawn.mode == "RGBA", (drawn.size, drawn.mode)
        print("irodori drew", prompt)


if __name__ == "__main__":
    main()
