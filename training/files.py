"""JSON and JSON lines, in UTF-8."""

import json
import os


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def read_styles(data):
    """The styles of prepared pictures (`styles.json`), None where they have none."""
    path = os.path.join(data, "styles.json")
    return read_json(path) if os.path.exists(path) else None


def read_lines(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def write_json(path, value, compact=False):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, **({"separators": (",", ":")} if compact else {"indent": 2}))
        f.write("\n")


def write_lines(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def append_line(path, row):
    with open(path, "a", encoding="utf-8") as f:
        f.write(json.dumps(row, ensure_ascii=False) + "\n")
