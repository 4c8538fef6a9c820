"""Endless batches of pictures with captions: balanced, in every language, with and without the style's name."""

import os
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer

from files import read_json, read_lines, read_styles
from networks import MAX_TOKENS
from tokens import BOS, EOS, PAD, UNK

SHORT = 8
DROP = 0.1  # share of captions left out, for guidance
PLAIN = 0.6  # share of pictures shown as they are; the others are the shrunk and shifted copies
BROKEN = 0.15  # share of captions read with merges left out, so that unknown spellings are not unknown tokens
STRANGE = 0.04  # share of captions with an unknown token put somewhere, so that it means nothing
STYLED = {True: 0.35, False: 0.95}  # share of captions that name the style, of the style that is meant without a name
NEAR = 0.3  # share of labels for which a noun stands that the teacher puts beside them
END_ONLY = 0.3  # share of captions of which only the last token is read, so that it comes to say everything


def drawn(rng, sums):
    """An index, as often as its share of the running sums says."""
    return min(int(np.searchsorted(sums, rng.random() * sums[-1])), len(sums) - 1)


class Captioner:
    """Draws one way of saying what a picture shows."""

    def __init__(self, folder, rows, rng, neighbours):
        """`neighbours`: by label, other words for it."""
        self.rng, self.neighbours = rng, neighbours
        self.choices = []
        for row in rows:
            own = {g: ([c for c, _, _ in captions], np.cumsum([p for _, p, _ in captions]), [k for _, _, k in captions])
                   for g, captions in row["captions"].items()}
            self.choices.append((row.get("style"), list(own.values()), list(own)))
        self.styles = read_styles(folder)

    def draw(self, index):
        style, languages, names = self.choices[index]
        k = int(self.rng.integers(len(languages)))
        texts, sums, kinds = languages[k]
        at = drawn(self.rng, sums)
        near = self.neighbours.get(texts[at]) if kinds[at] == "label" and self.rng.random() < NEAR else None
        text = near[int(self.rng.integers(len(near)))] if near else texts[at]
        return self.styled(text, kinds[at], style, names[k])

    def styled(self, text, kind, style, language):
        if self.styles is None or style not in self.styles["styles"] or kind == "emoji":
            return text
        if self.rng.random() >= STYLED[style == self.styles["default"]]:
            return text
        words = self.styles["styles"][style].get(language)
        forms = self.styles["forms"].get(language)
        if not words or not forms:
            return text
        word = words[int(self.rng.integers(len(words)))]
        return forms[int(self.rng.integers(len(forms)))].format(style=word, caption=text)


class Tokens:
    """Texts to ids; of `rough` ones some have merges left out, some a word that means nothing."""

    def __init__(self, folder, rng):
        path = os.path.join(folder, "tokenizer.json")
        self.rng, self.plain, self.broken = rng, Tokenizer.from_file(path), Tokenizer.from_file(path)
        self.broken.model.dropout = 0.3

    def rough(self, text):
        ids = (self.broken if self.rng.random() < BROKEN else self.plain).encode(text).ids
        if self.rng.random() < STRANGE:
            place = int(self.rng.integers(1, len(ids)))
            ids = [*ids[:place], UNK, *ids[place:]]
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], EOS]


def padded(rows, length):
    """Ids [n, length] and where each row ends."""
    ids = torch.tensor([tokens + [PAD] * (length - len(tokens)) for tokens in rows], dtype=torch.long).view(len(rows), length)
    return ids, torch.tensor([len(t) - 1 for t in rows], dtype=torch.long)


class Drawn(NamedTuple):
    """A batch, by number: `latents[rows, copies]` are its pictures, `vectors[targets]` what its texts are to say."""

    rows: torch.Tensor  # [B]
    copies: torch.Tensor  # [B]
    ids: torch.Tensor  # [B, n] of the captions
    mask: torch.Tensor  # [B, n], 1 where the denoiser reads a token
    taught_ids: torch.Tensor  # [lessons, n]
    taught_ends: torch.Tensor  # [lessons]
    targets: torch.Tensor  # [lessons]


class Batches:
    """Pictures of one padded caption length, and texts that the teacher has vectors of."""

    def __init__(self, folder, copies, size, seed, lessons=0, short=SHORT):
        """`size` pictures, of `copies` views each, and `lessons` texts a batch; captions of at most `short` tokens apart."""
        self.rng = np.random.default_rng(seed)
        self.copies, self.size, self.lessons, self.short = copies, size, lessons, short
        rows = read_lines(folder, "rows.jsonl")
        self.train = np.array(read_json(folder, "split.json")["train"])
        weights = np.array([rows[k].get("weight", 1.0) for k in self.train])
        self.expected = weights / weights.sum() * len(weights)  # pictures of each row in a pass
        self.tokens = Tokens(folder, self.rng)
        self.waiting = {short: [], MAX_TOKENS: []}
        self.taught = {short: [], MAX_TOKENS: []}
        self.order = []
        neighbours = {}
        if lessons:
            teacher = torch.load(os.path.join(folder, "teacher.pt"))
            neighbours = teacher["neighbours"]
            self.texts, self.targets = teacher["texts"], teacher["targets"]
            self.sums = np.cumsum(teacher["weights"])
        self.captioner = Captioner(folder, rows, self.rng, neighbours)

    def picture(self):
        """The next picture of a pass in which every row comes as often as its weight says."""
        if not self.order:
            times = np.floor(self.expected + self.rng.random(len(self.expected))).astype(int)
            self.order = self.rng.permutation(np.repeat(self.train, times)).tolist()
        return self.order.pop()

    def length(self, ids):
        return self.short if len(ids) <= self.short else MAX_TOKENS

    def lesson(self, length):
        """Texts of at most this length: their ids, where they end, the rows of their vectors."""
        rows = self.taught[length]
        while len(rows) < self.lessons:
            k = drawn(self.rng, self.sums)
            ids = self.tokens.rough(self.texts[k])
            short = self.taught[self.short]
            self.taught[self.length(ids)].append((ids, k))
            if length > self.short and len(short) >= self.lessons and len(rows) < self.lessons:
                rows += short[: self.lessons - len(rows)]  # the long ones are few: short ones fill up
        part, self.taught[length] = rows[: self.lessons], rows[self.lessons :]
        ids, ends = padded([ids for ids, _ in part], length)
        return ids, ends, self.targets[torch.tensor([k for _, k in part], dtype=torch.long)] if part else ends

    def next(self):
        while True:
            k = self.picture()
            ids = [BOS, EOS] if self.rng.random() < DROP else self.tokens.rough(self.captioner.draw(k))
            length = self.length(ids)
            self.waiting[length].append((k, ids))
            if len(self.waiting[length]) == self.size:
                break
        rows, self.waiting[length] = self.waiting[length], []
        copies = self.rng.integers(1, self.copies, size=self.size) if self.copies > 1 else np.zeros(self.size, int)
        copies[self.rng.random(self.size) < PLAIN] = 0
        ids, ends = padded([tokens for _, tokens in rows], length)
        mask = (torch.arange(length)[None] <= ends[:, None]).float()
        only = torch.from_numpy(self.rng.random(self.size) < END_ONLY)
        mask[only] = torch.nn.functional.one_hot(ends[only], length).float()
        return Drawn(torch.tensor([k for k, _ in rows]), torch.from_numpy(copies), ids, mask, *self.lesson(length))
