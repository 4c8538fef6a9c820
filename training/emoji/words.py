"""Captions: every way of saying what an emoji shows, in English and Japanese, with how often to say it."""

import re
from collections import Counter, defaultdict

from items import LANGUAGES, read_data

# How the probability of one language is shared out among the kinds of caption an item has.
SHARES = {"label": 0.50, "variant": 0.18, "tag": 0.15, "synonym": 0.10, "narrower": 0.04, "emoji": 0.03}

MOODS_EN = {"grinning": ["happy"], "smiling": ["happy"], "beaming": ["happy"], "crying": ["sad"], "pouting": ["angry"],
            "enraged": ["angry"], "weary": ["tired"], "sleeping": ["sleepy"]}
MOODS_JA = {"にっこり笑う": ["嬉しい", "幸せな", "ハッピーな", "笑顔の", "笑っている"], "泣く": ["悲しい", "泣いている"],
            "うれし泣きする": ["嬉し泣きの"], "ふくれっ面の": ["怒った", "怒っている"], "怒る": ["怒った"]}
COLOURS_JA = {"red": "赤い", "orange": "オレンジ色の", "yellow": "黄色い", "green": "緑の", "blue": "青い", "purple": "紫の",
              "pink": "ピンクの", "brown": "茶色い", "black": "黒い", "white": "白い"}
COLOUR_WORDS_EN = set(COLOURS_JA) | {"gray", "grey", "light"}
COLOUR_WORDS_JA = "赤青黄緑紫黒白茶桃金銀橙"
# Words that people write in kanji or in kana; the tokenizer reads hiragana and katakana as the same letters.
SPELLINGS = """犬 いぬ;猫 ねこ;馬 うま;牛 うし;豚 ぶた;羊 ひつじ;山羊 やぎ;鶏 にわとり;兎 うさぎ;鼠 ねずみ;虎 とら;熊 くま;猿 さる;
象 ぞう;鹿 しか;狼 おおかみ;狐 きつね;亀 かめ;蛇 へび;蛙 かえる;魚 さかな;鯨 くじら;海豚 いるか;鮫 さめ;蛸 たこ;海老 えび;
蟹 かに;鳥 とり;鷲 わし;鴨 かも;梟 ふくろう;白鳥 はくちょう;孔雀 くじゃく;蜂 みつばち;蟻 あり;蠍 さそり;蝸牛 かたつむり;
林檎 りんご;苺 いちご;葡萄 ぶどう;桃 もも;西瓜 すいか;桜 さくら;薔薇 ばら;向日葵 ひまわり;茸 きのこ;寿司 すし;蕎麦 そば;
卵 たまご;人参 にんじん;茄子 なす;胡瓜 きゅうり;大蒜 にんにく;玉ねぎ たまねぎ;蜂蜜 はちみつ;珈琲 コーヒー;鬼 おに;天狗 てんぐ;
幽霊 おばけ;虹 にじ;雷 かみなり;星 ほし;太陽 たいよう;雪だるま ゆきだるま;炎 ほのお;車 くるま;電車 でんしゃ;飛行機 ひこうき;
自転車 じてんしゃ;傘 かさ;帽子 ぼうし;靴 くつ;鞄 かばん;眼鏡 めがね;時計 とけい;鍵 かぎ;鉛筆 えんぴつ;太鼓 たいこ;風船 ふうせん;
人形 にんぎょう;提灯 ちょうちん;唇 くちびる;赤ちゃん あかちゃん;お姫様 おひめさま;王子 おうじ;魔女 まじょ;妖精 ようせい;
恐竜 きょうりゅう;竜 りゅう;花火 はなび;弁当 べんとう;団子 だんご;餃子 ぎょうざ;煎餅 せんべい;檸檬 レモン;蜜柑 みかん;家 いえ;
剣 けん;弓 ゆみ;蝋燭 ろうそく;鋏 はさみ;玩具 おもちゃ;雲 くも;蜘蛛 くも;海 うみ;山 やま;桃 モモ;栗 くり;豆 まめ;米 おこめ"""
PAIRS = [tuple(p.strip().split(" ")) for p in SPELLINGS.replace("\n", "").split(";")]


def hiragana(text):
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in text)


def spellings(text):
    """The text with each word of the table written the other way."""
    found = set()
    plain = hiragana(text)
    for kanji, kana in PAIRS:
        if kanji in text:
            found.add(text.replace(kanji, kana))
        if len(kana) > 2 and hiragana(kana) in plain:
            found.add(plain.replace(hiragana(kana), kanji))
    return found - {text}


def article(words):
    return ("an " if words[0].lower() in "aeiou" else "a ") + words


def english_variants(item, labels):
    label = item["en"]["label"].lower()
    words = label.split()
    out = set()
    bases = [label]
    for word, moods in MOODS_EN.items():
        if word in words and len(words) <= 3:
            bases += [label.replace(word, mood) for mood in moods]
    if words[-1] == "face" and len(words) == 2:
        bases += [words[0] if item["group"] == "animals & nature" else words[0] + " smiley"]
    if item.get("colour") and not COLOUR_WORDS_EN & set(words) and len(words) <= 2:
        bases += [item["colour"] + " " + label]
    for base in bases:
        out.add(base)
        if len(base.split()) <= 4 and not base.startswith(("man", "woman", "men", "women")) and ":" not in base:
            out.add(article(base))
    return {c for c in out if c != label and c not in labels}


def japanese_variants(item, labels):
    label = item["ja"]["label"]
    bases = [label]
    for word, moods in MOODS_JA.items():
        if label.startswith(word):
            bases += [mood + label[len(word):] for mood in moods]
    tinted = re.match(r"(赤|青|黒|白)(?!い|ワ|ち)([ァ-ヶー]{2,})", label)
    if tinted:
        bases += [tinted[1] + "い" + tinted[2]]
    if item.get("colour") and not any(c in label for c in COLOUR_WORDS_JA) and len(label) <= 8:
        bases += [COLOURS_JA[item["colour"]] + label]
    if label.endswith("の顔") and item["group"] == "animals & nature":
        bases += [label[:-2]]
    out = set(bases)
    for base in bases:
        out |= spellings(base)
    return {c for c in out if c != label and c not in labels}


def simple_label(item):
    """The English label, of an animal's face without that word."""
    label = item["en"]["label"].lower()
    return label[:-5] if label.endswith(" face") and item["group"] == "animals & nature" else label


def held_out_words():
    """By language, the wordings that are never a caption."""
    return {g: set(words) for g, words in read_data("held-out-words.json").items()}


def build(items, wordnet):
    """By code point and language, rows of [caption, share within the language, kind]; `items` are base items."""
    extra, held_out = read_data("extra.json"), held_out_words()
    common = {g: Counter(t.lower() for i in items for t in set(i[g]["tags"])) for g in LANGUAGES}
    labels = {g: {i[g]["label"].lower() for i in items} for g in LANGUAGES}
    claimed = {g: {c.lower() for e in extra.values() for c in e.get(g, [])} for g in LANGUAGES}
    owners = Counter(w for i in items for w in {*wordnet.synonyms(simple_label(i), i["group"]),
                                                *wordnet.narrower(simple_label(i), i["group"])})
    result = {}
    for item in items:
        result[item["codepoint"]] = {}
        for g in LANGUAGES:
            label = item[g]["label"].lower()
            more = english_variants(item, labels[g]) if g == "en" else japanese_variants(item, labels[g])
            own = extra.get(item["emoji"].replace("\ufe0f", ""), {}).get(g, [])
            kinds = defaultdict(dict)
            kinds["label"][label] = 1
            for c in more - claimed[g]:
                kinds["variant"][c] = 1
            for c in own:
                kinds["variant"][c.lower()] = 2
                if g == "en":
                    kinds["variant"][article(c.lower())] = 1
            free = lambda c, kinds=kinds: (c != label and c not in labels[g] and c not in claimed[g]
                                           and not any(c in k for k in kinds.values()))
            for tag in {t.lower() for t in item[g]["tags"]}:
                n = common[g][tag]
                if n <= 3 and free(tag):
                    for c in {tag} | (spellings(tag) if g == "ja" else set()):
                        kinds["tag"][c] = 1 / n
            if g == "en":
                plain = simple_label(item)
                for kind, words in (("synonym", wordnet.synonyms(plain, item["group"])),
                                    ("narrower", wordnet.narrower(plain, item["group"]))):
                    for w in words:
                        if owners[w] <= 2 and common[g][w] <= 3 and free(w):
                            kinds[kind][w] = 1
            kinds["emoji"][item["emoji"].replace("\ufe0f", "")] = 1
            result[item["codepoint"]][g] = shared(kinds, held_out[g])
    return result


def shared(kinds, held_out):
    """The captions of an item in one language with their shares, without what is held out."""
    kinds = {k: {c: w for c, w in captions.items() if c not in held_out and c.removeprefix("a ").removeprefix("an ")
                 not in held_out} for k, captions in kinds.items()}
    kinds = {k: captions for k, captions in kinds.items() if captions}
    total = sum(SHARES[k] for k in kinds)
    return [[c, round(SHARES[k] / total * w / sum(captions.values()), 5), k]
            for k, captions in kinds.items() for c, w in sorted(captions.items())]


def skin_captions(item):
    """Captions of a skin tone, by language: `waving hand: light skin tone` said in the ways people would."""
    out = {}
    label, _, tone = item["en"]["label"].lower().partition(": ")
    tone = tone.replace(" skin tone", "")
    out["en"] = [[c, 1 / 3, "skin"] for c in (f"{label}: {tone} skin tone", f"{label}, {tone} skin", f"{tone} skin {label}")]
    label, _, tone = item["ja"]["label"].lower().partition(": ")
    out["ja"] = [[c, 0.5, "skin"] for c in (f"{label}: {tone}", f"{tone}の{label}")]
    return out


def coloured_caption(item, colour):
    """The label in another colour. Fruit and plants are said to be of a colour: 青い and 青 may mean unripe."""
    english = f"{colour} {simple_label(item)}"
    label = item["ja"]["label"].lower()
    if label.endswith("の顔") and item["group"] == "animals & nature":
        label = label[:-2]
    plant = item["group"] in ("food & drink", "animals & nature") and colour in ("blue", "green")
    word = {"blue": "青色の", "green": "緑色の"}[colour] if plant else COLOURS_JA[colour]
    return {"en": [[english, 0.6, "colour"], [article(english), 0.4, "colour"]], "ja": [[word + label, 1.0, "colour"]]}


def pair_caption(a, b):
    """Both labels, the left one first."""
    first, second = simple_label(a), simple_label(b)
    ja = [i["ja"]["label"].lower().removesuffix("の顔") if i["group"] == "animals & nature" else i["ja"]["label"].lower()
          for i in (a, b)]
    return {"en": [[f"{first} and {second}", 0.6, "pair"], [f"{article(first)} and {article(second)}", 0.4, "pair"]],
            "ja": [[f"{ja[0]}と{ja[1]}", 1.0, "pair"]]}
