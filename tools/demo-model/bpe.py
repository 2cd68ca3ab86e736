"""Byte-level byte-pair encoding: trainer and encoder.

Written the way GGUF files call `gpt2` with the `qwen2` pre-tokenizer: text is cut by a regular
expression, bytes are shown as printable characters, and merges never cross a cut. The corpus is
ASCII, so the character classes are spelled out. A digit is always a piece of its own.
"""
import re
from collections import Counter, defaultdict

SPLIT = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\na-zA-Z0-9]?[a-zA-Z]+|[0-9]| ?[^\sa-zA-Z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
END_OF_TEXT, IM_START, IM_END = SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_characters():
    """The printable stand-in of every byte, as GPT-2 defined it."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = [b for b in range(256) if b not in keep]
    table = {b: chr(b) for b in keep}
    table.update({b: chr(256 + i) for i, b in enumerate(extra)})
    return table


BYTES = byte_characters()
UNBYTES = {c: b for b, c in BYTES.items()}


def printable(text):
    return "".join(BYTES[b] for b in text.encode())


def train(texts, vocab_size, min_count=2):
    """Returns {"tokens": [...], "merges": [(left, right), ...]}; the special tokens come last."""
    counts = Counter()
    for text in texts:
        counts.update(SPLIT.findall(text))
    words = [(list(printable(w)), n) for w, n in counts.items()]
    tokens = [BYTES[b] for b in sorted(BYTES, key=lambda b: ord(BYTES[b]))]
    merges = []
    pairs, where = Counter(), defaultdict(set)
    for i, (w, n) in enumerate(words):
        for pair in zip(w, w[1:]):
            pairs[pair] += n
            where[pair].add(i)
    while len(tokens) + len(SPECIAL) < vocab_size:
        best, n = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if n < min_count:
            break
        merges.append(best)
        tokens.append(best[0] + best[1])
        for i in list(where[best]):
            w, n = words[i]
            for pair in zip(w, w[1:]):
                pairs[pair] -= n
                where[pair].discard(i)
            w[:] = merge(w, best)
            for pair in zip(w, w[1:]):
                pairs[pair] += n
                where[pair].add(i)
    return {"tokens": tokens + SPECIAL, "merges": merges}


def merge(word, pair):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self, table):
        self.table = table
        self.ids = {t: i for i, t in enumerate(table["tokens"])}
        self.rank = {tuple(m): i for i, m in enumerate(table["merges"])}
        self.cache = {}
        self.end_of_text, self.im_start, self.im_end = (self.ids[t] for t in SPECIAL)

    def word(self, text):
        found = self.cache.get(text)
        if found is None:
            w = list(printable(text))
            while len(w) > 1:
                best = min(zip(w, w[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if best not in self.rank:
                    break
                w = merge(w, best)
            found = self.cache[text] = [self.ids[t] for t in w]
        return found

    def encode(self, text):
        """Ordinary text only; special tokens are put in by id."""
        return [i for w in SPLIT.findall(text) for i in self.word(w)]

    def encode_special(self, text):
        """Text in which the special tokens may be spelled out."""
        parts = re.split("(%s)" % "|".join(map(re.escape, SPECIAL)), text)
        return [i for p in parts for i in ([self.ids[p]] if p in SPECIAL else self.encode(p))]

    def decode(self, ids):
        tokens = self.table["tokens"]
        raw = b"".join(tokens[i].encode() if tokens[i] in SPECIAL else bytes(UNBYTES[c] for c in tokens[i]) for i in ids)
        return raw.decode("utf-8", "replace")
