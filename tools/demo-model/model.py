"""The demo model: a small Llama (RMSNorm, rotary positions on adjacent pairs, grouped-query
attention, SwiGLU, tied embeddings) in PyTorch.

The layout follows what a GGUF "llama" file means, so export.py writes the weights unchanged:
weights are [outputs, inputs], and the rotation turns the pairs (2i, 2i+1) of every head.
"""
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 1024
    dim: int = 256       # every matrix row is `dim` or `ffn` long: multiples of 256 suit all K-quants
    ffn: int = 512
    layers: int = 4
    heads: int = 8
    kv_heads: int = 4
    context: int = 1024
    rope_base: float = 10000.0
    eps: float = 1e-5

    @property
    def head_dim(self):
        return self.dim // self.heads


class Plain:
    """The operations between the matrix products, in plain PyTorch. kernels.Compiled has faster ones for training."""

    @staticmethod
    def norm(x, weight, eps):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight

    @staticmethod
    def swiglu(gate, up):
        return F.silu(gate) * up

    @staticmethod
    def rotate(x, turn):
        """Rotary positions; x is [batch, time, heads, head_dim], a pair of neighbours is a complex number."""
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turn[:, None]).flatten(-2).to(x.dtype)

    @staticmethod
    def attend(q, k, v, first):
        """Attention of the last positions of k to all from the start of their document, first[batch, time]."""
        keys, batch = k.shape[1], len(first)
        time = first.shape[1]
        index = torch.arange(keys)
        hidden = (index > index[-time:, None]) | (index < first[:, :, None])
        hidden = hidden.repeat(1, q.shape[1] // time, 1).repeat_interleave(len(q) // batch, 0)
        p = (q @ k.transpose(1, 2)).float() * k.shape[2] ** -0.5
        return p.masked_fill(hidden, float("-inf")).softmax(-1).to(v.dtype) @ v

    @staticmethod
    def loss(logits, target, weight):
        return (F.cross_entropy(logits.float(), target, reduction="none") * weight).sum()


class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        kv = c.kv_heads * c.head_dim
        self.attn_norm = RMSNorm(c.dim)
        self.attn_q = nn.Linear(c.dim, c.dim, bias=False)
        self.attn_k = nn.Linear(c.dim, kv, bias=False)
        self.attn_v = nn.Linear(c.dim, kv, bias=False)
        self.attn_output = nn.Linear(c.dim, c.dim, bias=False)
        self.ffn_norm = RMSNorm(c.dim)
        self.ffn_gate = nn.Linear(c.dim, c.ffn, bias=False)
        self.ffn_up = nn.Linear(c.dim, c.ffn, bias=False)
        self.ffn_down = nn.Linear(c.ffn, c.dim, bias=False)

    def forward(self, x, turn, first, ops, past=None):
        c = self.c
        b, t, _ = x.shape
        h = ops.norm(x, self.attn_norm.weight, c.eps)
        qk = F.linear(h, torch.cat((self.attn_q.weight, self.attn_k.weight)))
        q, k = ops.rotate(qk.view(b, t, -1, c.head_dim), turn).split((c.heads, c.kv_heads), dim=2)
        v = self.attn_v(h).view(b, t, c.kv_heads, c.head_dim)
        if past is not None:  # generation: append to the keys and values seen so far
            if past:
                k, v = torch.cat((past[0], k), 1), torch.cat((past[1], v), 1)
            past[:] = [k, v]
        # Query heads that share a key head are stacked along time, so K and V are never repeated.
        q = q.unflatten(2, (c.kv_heads, -1)).permute(0, 2, 3, 1, 4).reshape(b * c.kv_heads, -1, c.head_dim)
        k, v = (z.transpose(1, 2).reshape(b * c.kv_heads, -1, c.head_dim) for z in (k, v))
        o = ops.attend(q, k, v, first).view(b, c.kv_heads, -1, t, c.head_dim)
        x = x + self.attn_output(o.permute(0, 3, 1, 2, 4).reshape(b, t, c.dim))
        h = ops.norm(x, self.ffn_norm.weight, c.eps)
        return x + self.ffn_down(ops.swiglu(self.ffn_gate(h), self.ffn_up(h)))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.ops = c, Plain
        self.token_embd = nn.Embedding(c.vocab, c.dim)
        self.blk = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.output_norm = RMSNorm(c.dim)
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for name, p in self.named_parameters():
            if p.dim() == 2 and "token_embd" not in name:
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.zeros_(p)  # every block starts as the identity
        freq = c.rope_base ** (-torch.arange(0, c.head_dim, 2).double() / c.head_dim)
        angle = torch.arange(c.context).double()[:, None] * freq
        self.register_buffer("turn", torch.polar(torch.ones_like(angle), angle).to(torch.complex64), persistent=False)

    def hidden(self, tokens, cache=None, documents=None):
        """Final hidden states. `cache` is a list of one list per block, extended in place; `documents`
        numbers the document every token belongs to, where several share a row."""
        start = cache[0][0].shape[1] if cache and cache[0] else 0
        t = tokens.shape[1]
        first = torch.zeros(tokens.shape, dtype=torch.int32)  # where the document of a token starts
        if documents is not None:
            new = documents[:, 1:] != documents[:, :-1]
            first[:, 1:] = (new * torch.arange(1, t)).cummax(1).values
        x = self.token_embd(tokens)
        for i, block in enumerate(self.blk):
            x = block(x, self.turn[start:start + t], first, self.ops, cache[i] if cache is not None else None)
        return self.ops.norm(x, self.output_norm.weight, self.c.eps)

    def logits(self, hidden):
        return F.linear(hidden, self.token_embd.weight)

    def forward(self, tokens, cache=None):
        return self.logits(self.hidden(tokens, cache))


def save(path, model, tokenizer, **extra):
    torch.save({"config": asdict(model.c), "model": model.state_dict(), "tokenizer": tokenizer, **extra}, path)


def load(path):
    """Returns the model, the tokenizer's table and everything else that was saved."""
    data = torch.load(path, map_location="cpu")
    model = Model(Config(**data["config"]))
    model.load_state_dict(data["model"])
    return model, data["tokenizer"], data
