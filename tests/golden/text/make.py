"""Makes the goldens of CLIP's tokenizer: what transformers' CLIPTokenizer makes of texts in many scripts.

    pip install transformers numpy
    python tests/golden/text/make.py

reads the vocabulary in models/clip-tokenizer, writes tokens.json, characters.json and MANIFEST.json beside itself. The
ids are those without start and end; `windows` are hashes of the 77 ids that an encoder is given. `characters.json` has
a hash for each run of 256 code points: of the ids of "a<c>b" for every assigned character c of it, so that case,
letters, digits, marks and whitespace are all looked at.
"""

import hashlib
import json
import pathlib
import platform
import random
import unicodedata

import numpy as np
import tokenizers
import transformers
from transformers import CLIPTokenizer

HERE = pathlib.Path(__file__).parent
VOCABULARY = HERE.parents[2] / "models" / "clip-tokenizer" / "merges.txt"
SEED = 20261126

TEXTS = [
    "",
    " ",
    "a photo of an astronaut riding a horse on mars",
    "A PHOTO of the Eiffel Tower, 8k, hdr, masterpiece!!!",
    "it's the dog's; they're, I'll, we've, I'd, can't, I'M",
    "''s 'S !'s",
    "2024-11-26 3.14159 1,000,000 ½ ² Ⅷ ٣ 四",
    "   many   spaces\tand\ttabs\nand\r\nlines\u3000wide\u00a0hard\u2009thin ",
    "control\u0000 \u0001\u0007\u001b[31m\u007f\u0080\u0085\u200b\u200d\ufeff!\ufeff!\u2028\u2029",
    "赤いりんごの写真、夕焼け。ﾊﾝｶｸ カタカナ",
    "一只可爱的猫，高清，大师作品",
    "귀여운 고양이 한 마리",
    "красная площадь, ЗИМА",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ Σ Ὀδυσσεύς",
    "صورة قطة جميلة",
    "תמונה של חתול",
    "बिल्ली की तस्वीर",
    "รูปแมวน่ารัก",
    "café cafe\u0301 naïve Ångström Å İstanbul ıI ß ẞ ŉ ǰ ﬁ Ǆ",
    "e\u0301\u0302\u0327 a\u0308\u0301 \u0301alone",
    "🍎👩\u200d🚀👨\u200d👩\u200d👧\u200d👦 🇯🇵 1\ufe0f\u20e3 ☃️ ❤️\U0001f525",
    "𝓯𝓪𝓷𝓬𝔂 𝟙𝟚𝟛 ＦＵＬＬｗｉｄｔｈ １２３",
    "&amp; &lt;b&gt; \u00e2\u20ac\u2122 mojibake",
    "<|startoftext|>inside<|endoftext|> <|notatoken|> <cat-toy>",
    "hello! wow!!! a!b ! ¡hola! ！",
    "(masterpiece:1.2), [low quality], \\(literal\\), BREAK",
    "https://example.com/a_b-c?d=e&f=%20#g user@example.com $100 #hashtag",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "x" * 500,
    "the quick brown fox jumps over the lazy dog, " * 12,
    "\U000e0041\U0010ffff\ue000",
]

ALPHABETS = ["abcdefgh ", "THE quick, brown. fox!", "りんご赤い ", "éüñçÅø ", "0123456789-. ", "'s't're've'm'll'd ", "🍎🚀👩\u200d ", "\t\n \u3000"]


def drawn(count):
    """Random texts that change alphabet now and then."""
    source = random.Random(SEED)
    texts = []
    for _ in range(count):
        alphabet = source.choice(ALPHABETS)
        text = ""
        for _ in range(source.randrange(1, 80)):
            if source.random() < 0.1:
                alphabet = source.choice(ALPHABETS)
            text += source.choice(alphabet)
        texts.append(text)
    return texts


def vocabulary():
    """Bytes, bytes that end a word, merges, start and end: the published vocab.json."""
    merges = [tuple(line.split(" ")) for line in VOCABULARY.read_text("utf-8").split("\n")[1:] if line]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = characters + [c + "</w>" for c in characters] + ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: i for i, token in enumerate(tokens)}, merges


def window(tokenizer, text):
    """A hash of what diffusers' pipelines give to the encoder: 77 ids, padded or cut off."""
    ids = tokenizer(text, padding="max_length", max_length=77, truncation=True)["input_ids"]
    return hashlib.sha256(np.array(ids, dtype="<i4").tobytes()).hexdigest()[:16]


def assigned(code):
    return not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) != "Cn"


def sample(code):
    """Of the long runs of alike characters a part is enough."""
    large = 0x3400 <= code < 0x9FF0 or 0xAC00 <= code < 0xD7A0 or 0x20000 <= code < 0x32000
    return not (0xE100 <= code < 0xF900 or code >= 0xF0100) and (not large or code % 16 == 3)


def main():
    ids, merges = vocabulary()
    end = CLIPTokenizer(vocab=ids, merges=merges)
    mark = CLIPTokenizer(vocab=ids, merges=merges, pad_token="!")
    texts = TEXTS + drawn(200)
    read = lambda tokenizer, text: tokenizer(text, add_special_tokens=False)["input_ids"]
    rows = []
    for text in texts:
        windows = [window(tokenizer, text) for tokenizer in (end, mark)]
        rows.append({"text": text, "end": read(end, text), "!": read(mark, text), "windows": windows})
    for row in rows:
        if row["!"] == row["end"]:
            del row["!"]

    characters = {}
    for block in range(0, 0x110000, 256):
        codes = [code for code in range(block, block + 256) if assigned(code) and sample(code)]
        if codes:
            got = [read(end, f"a{chr(code)}b") for code in codes]
            digest = hashlib.sha256(np.concatenate([np.array([len(g), *g], dtype="<i4") for g in got]).tobytes())
            runs = []
            for code in codes:
                if runs and code == runs[-1][1] + 1:
                    runs[-1][1] = code
                else:
                    runs.append([code, code])
            characters[f"{block:x}"] = {"codes": runs, "sha256": digest.hexdigest()[:16]}

    files = {"tokens.json": rows, "characters.json": characters}
    hashes = {}
    for name, value in files.items():
        text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace('},"', '},\n"').replace("},{", "},\n{") + "\n"
        (HERE / name).write_text(text)
        hashes[name] = hashlib.sha256(text.encode()).hexdigest()
    manifest = {
        "script": "make.py",
        "versions": {
            "python": platform.python_version(),
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "unicode": unicodedata.unidata_version,
        },
        "seed": SEED,
        "vocabulary": hashlib.sha256(VOCABULARY.read_bytes()).hexdigest(),
        "tolerance": 0,
        "why": "ids are equal or wrong; characters are those of the Unicode version named above, which every Node.js we run on knows",
        "sha256": hashes,
    }
    (HERE / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


main()
