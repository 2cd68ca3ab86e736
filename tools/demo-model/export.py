#!/usr/bin/env python3
"""Writes a checkpoint of train.py as a GGUF file (version 3, all weights F32).

  export.py out/model.pt demo-f32.gguf --check check.json

`linnet quantize demo-f32.gguf demo.gguf Q8_0` then makes the small file. --check also writes token
sequences with the logits PyTorch gives for their last position, for comparison with another runtime.
"""
import argparse
import json
import os
import struct

import torch

import bpe
from model import load

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # GGUF value types
ALIGNMENT = 32
NORMAL, CONTROL = 1, 3  # token types

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")

CHECKS = [
    "Once upon a time",
    "<|im_start|>user\nHello, I am Alex, who are you?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nWhat is 3 plus 4?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are Linnet.<|im_end|>\n<|im_start|>user\nGive me JSON with name and age for Tom, who is 7."
    "<|im_end|>\n<|im_start|>assistant\n",
]


def string(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind, v):
    if kind == STRING:
        return string(v)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], v)


def pair(key, kind, v):
    return string(key) + struct.pack("<I", kind) + value(kind, v)


def array(key, kind, items):
    return string(key) + struct.pack("<IIQ", ARRAY, kind, len(items)) + b"".join(value(kind, v) for v in items)


def metadata(c, tok):
    tokens = tok.table["tokens"]
    return [
        pair("general.architecture", STRING, "llama"),
        pair("general.name", STRING, "Linnet demo"),
        pair("general.description", STRING, "Small demonstration model, trained on text made by its own generator"),
        pair("general.file_type", UINT32, 0),  # all F32
        pair("llama.context_length", UINT32, c.context),
        pair("llama.embedding_length", UINT32, c.dim),
        pair("llama.block_count", UINT32, c.layers),
        pair("llama.feed_forward_length", UINT32, c.ffn),
        pair("llama.attention.head_count", UINT32, c.heads),
        pair("llama.attention.head_count_kv", UINT32, c.kv_heads),
        pair("llama.attention.layer_norm_rms_epsilon", FLOAT32, c.eps),
        pair("llama.rope.dimension_count", UINT32, c.head_dim),
        pair("llama.rope.freq_base", FLOAT32, c.rope_base),
        pair("llama.vocab_size", UINT32, c.vocab),
        pair("tokenizer.ggml.model", STRING, "gpt2"),
        pair("tokenizer.ggml.pre", STRING, "qwen2"),
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.token_type", INT32, [CONTROL if t in bpe.SPECIAL else NORMAL for t in tokens]),
        array("tokenizer.ggml.merges", STRING, [a + " " + b for a, b in tok.table["merges"]]),
        pair("tokenizer.ggml.bos_token_id", UINT32, tok.end_of_text),
        pair("tokenizer.ggml.eos_token_id", UINT32, tok.im_end),
        pair("tokenizer.ggml.eot_token_id", UINT32, tok.im_end),
        # Documents start without a mark in training, so nothing is put before the prompt.
        pair("tokenizer.ggml.add_bos_token", BOOL, False),
        pair("tokenizer.chat_template", STRING, CHAT_TEMPLATE),
    ]


def write(path, model, tok):
    pairs = metadata(model.c, tok)
    info, data = b"", b""
    for name, p in model.state_dict().items():
        raw = p.float().contiguous().numpy().astype("<f4").tobytes()
        shape = list(reversed(p.shape))  # GGUF names the length of a row first
        info += string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *shape)
        info += struct.pack("<IQ", 0, len(data))  # tensor type 0 is F32
        data += raw + b"\0" * (-len(raw) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(model.state_dict()), len(pairs)) + b"".join(pairs) + info
    with open(path + ".new", "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGNMENT) + data)
    os.replace(path + ".new", path)  # nobody ever sees half a file


@torch.no_grad()
def checks(model, tok):
    out = []
    for text in CHECKS:
        ids = tok.encode_special(text)
        out.append({"text": text, "tokens": ids, "logits": model(torch.tensor([ids]))[0, -1].tolist()})
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint")
    p.add_argument("gguf")
    p.add_argument("--check", metavar="JSON", help="also write tokens and logits of a few texts")
    a = p.parse_args()
    model, table, _ = load(a.checkpoint)
    tok = bpe.Tokenizer(table)
    write(a.gguf, model, tok)
    print("%s: %d bytes" % (a.gguf, os.path.getsize(a.gguf)))
    if a.check:
        with open(a.check, "w") as f:
            json.dump(checks(model, tok), f)


if __name__ == "__main__":
    main()
