#!/usr/bin/env python3
"""Trains the demo model on the text that generate.py writes.

  train.py --steps 3000                                              a run from nothing, at a constant learning rate
  train.py --resume out/model.pt --minutes 30 --rate 1 0 --seed 2    continue, and let the rate fall to zero

Checkpoints go to OUT/model.pt; the tokenizer is trained once and kept in OUT/tokenizer.json.
Matrix products run in bfloat16 (several times faster on a CPU with AMX or AVX512-BF16).
"""
import argparse
import json
import os
import random
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # must be set before torch: idle threads sleep, on a shared machine
import numpy as np
import torch

import bpe
import generate
from model import Config, Model, load, save

# What the user says is learned a little, what the model says fully. Short answers hold the names, sums and
# values, which would otherwise drown among the words of the stories.
USER_WEIGHT, SHORT_WEIGHT, SHORT = 0.1, 3.0, 60


def tokenizer(out, vocab):
    path = os.path.join(out, "tokenizer.json")
    if not os.path.exists(path):
        print("training the tokenizer", flush=True)
        texts = (text for doc in generate.documents("tokenizer", 30000) for _, text in doc)
        with open(path, "w") as f:
            json.dump(bpe.train(texts, vocab), f)
    with open(path) as f:
        return bpe.Tokenizer(json.load(f))


def encode(tok, doc):
    """Token ids, and the weight of each as a prediction target."""
    ids, weights = [], []

    def add(new, weight):
        ids.extend(new)
        weights.extend([weight] * len(new))

    if doc[0][0] == "raw":
        add(tok.encode(doc[0][1]) + [tok.end_of_text], 1.0)
        weights[0] = 0.0  # nothing comes before the first token
        return ids, weights
    for role, text in doc:
        said = tok.encode(text) + [tok.im_end]
        add([tok.im_start] + tok.encode(role + "\n"), 0.0)
        add(said, USER_WEIGHT if role != "assistant" else SHORT_WEIGHT if len(said) < SHORT else 1.0)
        add(tok.encode("\n"), 0.0)
    return ids, weights


def rows(tok, docs, length):
    """Packs documents into rows of `length` tokens: (tokens, weights, document numbers).

    Several rows are open at a time and a document goes into the fullest one that still has room,
    so that little is wasted. A document longer than a row is cut.
    """
    opened = [[] for _ in range(32)]
    room = [length] * len(opened)

    def close(i):
        t, w = np.zeros(length, np.int16), np.zeros(length, np.float32)
        d = np.full(length, -1, np.int16)
        at = 0
        for n, (ids, weights) in enumerate(opened[i]):
            t[at:at + len(ids)], w[at:at + len(ids)], d[at:at + len(ids)] = ids, weights, n
            at += len(ids)
        opened[i], room[i] = [], length
        return t, w, d

    for doc in docs:
        ids, weights = encode(tok, doc)
        ids, weights = ids[:length], weights[:length]
        fits = [i for i in range(len(opened)) if room[i] >= len(ids)]
        if fits:
            i = min(fits, key=room.__getitem__)
        else:
            i = min(range(len(opened)), key=room.__getitem__)
            yield close(i)
        opened[i].append((ids, weights))
        room[i] -= len(ids)
    for i in range(len(opened)):
        if opened[i]:
            yield close(i)


def dataset(tok, seed, count, length):
    """All rows of one batch of documents, as three tensors."""
    t, w, d = zip(*rows(tok, generate.documents(seed, count), length + 1))  # inputs and targets overlap by all but one
    return torch.from_numpy(np.stack(t)), torch.from_numpy(np.stack(w)), torch.from_numpy(np.stack(d))


def weighted_loss(model, t, w, d):
    t = t.long()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = model.hidden(t[:, :-1], documents=d[:, :-1])
        target, weight = t[:, 1:], w[:, 1:]
        keep = weight > 0  # no need for logits where nothing is learned
        logits = model.logits(h[keep])
    weight = weight[keep] / weight[keep].sum()
    return model.ops.loss(logits, target[keep], weight)


@torch.no_grad()
def validate(model, data, batch):
    model.eval()
    losses = [weighted_loss(model, *(x[i:i + batch] for x in data)).item() for i in range(0, len(data[0]), batch)]
    model.train()
    return sum(losses) / len(losses)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Newton-Schulz), for the matrices inside the blocks.

    It reaches the same loss in clearly fewer steps than AdamW, which matters on a CPU.
    """

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, shapes = group["lr"], {}
            for p in group["params"]:
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                shapes.setdefault(p.shape, []).append((p, p.grad.lerp(m, group["momentum"])))
            for (rows, columns), members in shapes.items():  # matrices of one shape go together
                u = torch.stack([g if rows <= columns else g.t() for _, g in members])
                u = (u / (u.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
                for _ in range(5):
                    a = u @ u.transpose(1, 2)
                    u = 3.4445 * u + (-4.7750 * a + 2.0315 * (a @ a)) @ u
                for (p, _), x in zip(members, u.float()):
                    p.mul_(1 - lr * group["weight_decay"])
                    p.add_(x if rows <= columns else x.t(), alpha=-lr * max(1, rows / columns) ** 0.5)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", default="out", help="folder for the tokenizer and the checkpoint (default: out)")
    p.add_argument("--resume", help="checkpoint to continue from")
    p.add_argument("--steps", type=int, default=3000, help="steps of this run (default: 3000)")
    p.add_argument("--warmup", type=int, default=60, help="steps until the full learning rate (default: 60)")
    p.add_argument("--minutes", type=float, help="end after this time, if the steps take longer")
    p.add_argument("--rate", type=float, nargs=2, default=[1, 1], metavar=("FROM", "TO"),
                   help="factor of the learning rates at the start and the end, linear between (default: 1 1)")
    p.add_argument("--batch", type=int, default=32, help="rows per step (default: 32)")
    p.add_argument("--length", type=int, default=256, help="tokens per row (default: 256)")
    p.add_argument("--documents", type=int, default=60000, help="documents written at a time; new ones follow when these "
                   "were seen once (default: 60000)")
    p.add_argument("--seed", default="1", help="seed of the text and of the order (default: 1)")
    p.add_argument("--muon-lr", type=float, default=0.02, help="learning rate of the block matrices (default: 0.02)")
    p.add_argument("--adam-lr", type=float, default=0.003, help="learning rate of embeddings and norms (default: 0.003)")
    p.add_argument("--vocab", type=int, default=1024, help="size of the vocabulary (default: 1024)")
    p.add_argument("--layers", type=int, default=4, help="number of blocks (default: 4)")
    p.add_argument("--ffn", type=int, default=512, help="width of the feed-forward part (default: 512)")
    p.add_argument("--plain", action="store_true", help="do without the compiled kernels (no C compiler needed)")
    p.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    a = p.parse_args()

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    os.makedirs(a.out, exist_ok=True)
    optimizer_state = None
    if a.resume:
        model, table, saved = load(a.resume)
        tok, optimizer_state, done = bpe.Tokenizer(table), saved["optimizers"], saved["step"]
    else:
        tok, done = tokenizer(a.out, a.vocab), 0
        model = Model(Config(vocab=len(tok.table["tokens"]), layers=a.layers, ffn=a.ffn))
    if not a.plain:
        from kernels import Compiled
        model.ops = Compiled
    matrices = [q for n, q in model.named_parameters() if q.dim() == 2 and n.startswith("blk.")]
    rest = [q for n, q in model.named_parameters() if not (q.dim() == 2 and n.startswith("blk."))]
    optimizers = [Muon(matrices, a.muon_lr), torch.optim.AdamW(rest, a.adam_lr, betas=(0.9, 0.95), weight_decay=0.01)]
    if optimizer_state:
        for o, s in zip(optimizers, optimizer_state):
            o.load_state_dict(s)
    print("%d parameters, %d tokens in the vocabulary" % (sum(q.numel() for q in model.parameters()), model.c.vocab), flush=True)
    valid = dataset(tok, "validation", 300, a.length)

    order, used, part = [], 0, 0
    start = time.time()
    for step in range(1, a.steps + 1):
        if used + a.batch > len(order):
            part += 1
            data = dataset(tok, "%s.%d" % (a.seed, part), a.documents, a.length)
            order, used = list(range(len(data[0]))), 0
            random.Random(part).shuffle(order)
            print("part %d: %d rows of %d tokens, %.1f %% filled (%.0f s)" % (
                part, len(order), a.length, 100 * (data[2] >= 0).float().mean(), time.time() - start), flush=True)
        progress = step / a.steps
        if a.minutes:
            progress = min(1, max(progress, (time.time() - start) / 60 / a.minutes))
        last = progress == 1
        rate = min(1, step / max(a.warmup, 1)) * (a.rate[0] + (a.rate[1] - a.rate[0]) * progress)
        for o, lr in zip(optimizers, (a.muon_lr, a.adam_lr)):
            for group in o.param_groups:
                group["lr"] = lr * rate
            o.zero_grad()
        index = order[used:used + a.batch]
        used += a.batch
        loss = weighted_loss(model, *(x[index] for x in data))
        loss.backward()
        for o in optimizers:
            o.step()
        if step % 20 == 0 or last:
            print("step %d  loss %.4f  rate %.2f  %.0f s" % (step, loss.item(), rate, time.time() - start), flush=True)
        if step % 100 == 0 or last:
            print("step %d  validation %.4f" % (step, validate(model, valid, a.batch)), flush=True)
            path = os.path.join(a.out, "model.pt")
            save(path + ".new", model, tok.table, optimizers=[o.state_dict() for o in optimizers], step=done + step)
            os.replace(path + ".new", path)
        if last:
            break


if __name__ == "__main__":
    main()
