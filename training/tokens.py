"""The tokenizer: a small BPE for English and Japanese."""

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PAD, BOS, EOS, UNK = 0, 1, 2, 3


def train_tokenizer(texts, path, vocabulary):
    """Learns pieces from texts; words, runs of kana and runs of kanji are never joined with each other."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=False))
    kana = [normalizers.Replace(chr(c), chr(c - 0x60)) for c in range(ord("ァ"), ord("ヶ") + 1)]
    marks = Regex(r"""[!?,;"'`@$%^&_=\[\]{}|\\/>、。…「」『』]""")  # punctuation that no caption contains
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("\ufe0f", ""),
         normalizers.Replace(marks, " "), normalizers.Strip(), *kana])
    # A word, a run of kana, a run of kanji, a number; anything else stands alone.
    words = Regex(r"[\u3041-\u3096\u30fc]+|[\u4e00-\u9fff\u3005]+|[a-zà-ÿ]+|[0-9]+|[^\s]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(words, "isolated")])
    tokenizer.decoder = decoders.Fuse()
    letters = [chr(c) for c in range(0x3041, 0x3097)] + list("abcdefghijklmnopqrstuvwxyz0123456789")
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, min_frequency=3, special_tokens=["[PAD]", "[BOS]", "[EOS]", "[UNK]"],
                                  initial_alphabet=letters, max_token_length=12, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", pair="[BOS] $A $B [EOS]", special_tokens=[("[BOS]", BOS), ("[EOS]", EOS)])
    tokenizer.save(path)
    return tokenizer


def encode_lengths(tokenizer, texts):
    """How long captions are, in words."""
    lengths = np.array([len(e.ids) for e in tokenizer.encode_batch(texts)])
    return f"{lengths.mean():.1f} tokens a caption, {(lengths <= 8).mean():.1%} at most 8, {(lengths <= 16).mean():.1%} at most 16"
