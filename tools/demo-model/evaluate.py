#!/usr/bin/env python3
"""Measures the demo model on names, words and documents it never saw.

  evaluate.py out/model.pt                             the PyTorch model
  evaluate.py demo.gguf --command linnet               the shipped file, through `linnet run`

All answers are generated greedily. A name is right when the answer contains it, a sum when the whole
answer is right, JSON when it parses and equals the expected value. Perplexity needs the PyTorch model.
"""
import argparse
import json
import math
import os
import random
import re
import subprocess

import bpe
import generate
import words
from generate import as_text


class Torch:
    def __init__(self, path):
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in train.py
        import torch
        from model import load
        self.torch = torch
        self.model, table, _ = load(path)
        self.model.eval()
        self.tok = bpe.Tokenizer(table)

    def generate(self, doc, count):
        torch = self.torch
        prompt = doc[0][1] if doc[0][0] == "raw" else as_text(doc) + "<|im_start|>assistant\n"
        ids, out = self.tok.encode_special(prompt), []
        cache = [[] for _ in self.model.blk]
        with torch.no_grad():
            new = ids
            for _ in range(min(count, self.model.c.context - len(ids))):
                best = int(self.model.logits(self.model.hidden(torch.tensor([new]), cache)[:, -1]).argmax())
                if best in (self.tok.im_end, self.tok.end_of_text):
                    break
                out.append(best)
                new = [best]
        return self.tok.decode(out)

    def perplexity(self, count):
        """Per token, on stories and on the assistant's turns of unseen documents."""
        import train
        total = {"stories": [0.0, 0], "conversations": [0.0, 0]}
        with self.torch.no_grad():
            for doc in generate.documents("perplexity", count):
                ids, weights = train.encode(self.tok, doc)
                t = self.torch.tensor([ids[:self.model.c.context]])
                logp = self.torch.log_softmax(self.model(t)[0, :-1], -1).gather(1, t[0, 1:, None])[:, 0]
                keep = self.torch.tensor(weights[:t.shape[1]])[1:] >= 1.0
                entry = total["stories" if doc[0][0] == "raw" else "conversations"]
                entry[0] -= logp[keep].sum().item()
                entry[1] += int(keep.sum())
        return {k: math.exp(s / n) for k, (s, n) in total.items()}


class Command:
    def __init__(self, command, path):
        self.command, self.path = command.split(), path

    def generate(self, doc, count):
        """Earlier answers of a conversation are the model's own here: `linnet chat` reads the user's turns only."""
        options = ["-n", str(count), "--temp", "0", "--repeat-penalty", "1", "--json"]
        system = [text for role, text in doc if role == "system"]
        user = [text for role, text in doc if role == "user"]
        if system:
            options += ["--system", system[0]]
        if doc[0][0] == "raw":
            return self.call(["run", self.path, "--raw", "-p", doc[0][1]] + options)
        if len(user) == 1:
            return self.call(["run", self.path, "-p", user[0]] + options)
        return self.call(["chat", self.path] + options, "\n".join(user) + "\n")

    def call(self, args, text=None):
        run = subprocess.run(self.command + args, input=text, stdout=subprocess.PIPE, universal_newlines=True, check=True)
        return json.loads(run.stdout.strip().split("\n")[-1])["text"]


def between(rng, n):
    """Other turns, between a name and the question for it."""
    doc = []
    for _ in range(n):
        doc += rng.choice((lambda: generate.talk_turns(rng, None), lambda: generate.sum_turns(rng),
                           lambda: generate.json_turns(rng), lambda: generate.story_turns(rng)[0]))()
    return doc


def introductions(rng):
    """Greeting with a name: the answer must use the name and say who it is."""
    name = words.draw_name(rng, made_up=0.5)
    ask = rng.choice(("Hello, I am %s, who are you?", "Hi! My name is %s. What is your name?", "I'm %s. Who are you?"))
    return [("user", ask % name)], lambda a: has_word(a, name) and "Linnet" in a


def names(rng):
    name = words.draw_name(rng, made_up=0.5)
    system = [("system", generate.system_message(rng))] if rng.random() < 0.3 else []
    doc = system + generate.name_turns(rng, name) + between(rng, rng.randint(0, 4)) + generate.ask_name(rng, name)
    return doc[:-1], lambda a: has_word(a, name)


def sums(rng):
    question, (_, right) = generate.sum_turns(rng)
    return [question], lambda a: a.strip() == right


def plain_sums(rng):
    """The commonest way to ask: digits and plus or minus."""
    x, y = rng.randint(0, 20), rng.randint(0, 20)
    x, y, op = (x, y, "plus") if rng.random() < 0.5 else (max(x, y), min(x, y), "minus")
    return [("user", "What is %d %s %d?" % (x, op, y))], lambda a: re.findall(r"-?\d+", a)[-1:] == [str(x + y if op == "plus" else x - y)]


def json_objects(rng):
    question, (_, right) = generate.json_turns(rng)

    def check(answer):
        try:
            return json.loads(answer) == json.loads(right)
        except ValueError:
            return False
    return [question], check


def json_people(rng):
    """Only the first shape of the brief: a person in a sentence."""
    name, age = words.draw_name(rng), rng.randint(1, 99)
    return [("user", "Give me JSON with name and age for %s, who is %d." % (name, age))], lambda a: a.strip() == json.dumps({"name": name, "age": age})


def story_wishes(rng):
    """A story on request: it must name the hero asked for and come to an end."""
    hero = rng.choice(words.BEASTS)
    name = words.draw_name(rng, made_up=0.3)
    ask = rng.choice(("Tell me a story about a %s named %s.", "Please write a short story about a %s called %s."))
    return [("user", ask % (hero, name))], lambda a: name in a and hero in a and a.rstrip()[-1:] in '."!?' and len(a.split()) > 40


def has_word(text, word):
    return re.search(r"\b%s\b" % word, text) is not None


TESTS = [("introductions", introductions, 30), ("names later", names, 30), ("plain sums", plain_sums, 20), ("sums, all forms", sums, 30),
         ("JSON, person", json_people, 40), ("JSON, all forms", json_objects, 90), ("stories as wished", story_wishes, 260)]

SHOW = [[("raw", "Once upon a time")], [("raw", "The little fox lived")], [("raw", "User: Hello, I am Mia.\nAssistant:")],
        [("user", "Hello, I am Alex, who are you?"), ("assistant", "Hello, Alex. I am Linnet."), ("user", "What is my name?")]]
SHOW += [[("user", text)] for text in (
    "Tell me a story about a fox.", "Tell me a bedtime story about a bear named Otto.", "Hello, I am Alex, who are you?",
    "What is 3 plus 4?", "Give me JSON with name and age for Tom, who is 7.", "What can you do?", "What is the capital of France?")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", help="checkpoint of train.py, or a GGUF file with --command")
    p.add_argument("--command", help="run this program instead of PyTorch, for example build/linnet")
    p.add_argument("--count", type=int, default=200, help="prompts per test (default: 200)")
    p.add_argument("--documents", type=int, default=200, help="documents for perplexity (default: 200)")
    p.add_argument("--failures", type=int, default=0, help="failed answers to show per test (default: 0)")
    p.add_argument("--show", action="store_true", help="print some answers")
    a = p.parse_args()
    model = Command(a.command, a.model) if a.command else Torch(a.model)
    words.DRAW_HELD_OUT = True
    if a.show:
        for doc in SHOW:
            print("-----\n%s\n>>>%s<<<" % (doc, model.generate(doc, 260)), flush=True)
    for title, test, length in TESTS:
        rng, good, failures = random.Random("evaluate " + title), 0, []
        for _ in range(a.count if length < 200 else max(1, a.count // 5)):
            doc, check = test(rng)
            answer = model.generate(doc, length)
            if check(answer):
                good += 1
            else:
                failures.append((doc, answer))
        total = good + len(failures)
        print("%-18s %5.1f %%  (%d of %d)" % (title, 100 * good / total, good, total), flush=True)
        for doc, answer in failures[:a.failures]:
            print("  %r\n    -> %r" % (doc[-3:], answer), flush=True)
    if not a.command:
        for kind, value in model.perplexity(a.documents).items():
            print("perplexity, %-14s %.3f" % (kind, value))


if __name__ == "__main__":
    main()
