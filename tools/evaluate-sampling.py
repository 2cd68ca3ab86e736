#!/usr/bin/env python3
"""Measures what samplers, schemas and stop conditions do to the texts of a model.

  evaluate-sampling.py                       all parts, with the embedded model; Markdown on standard output
  evaluate-sampling.py repetition --texts 40 one part (repetition, json, stopping, overlap), fewer texts
  evaluate-sampling.py --linnet PATH         another binary than build/bin/linnet

Every text has a fixed seed, so a second run prints the same tables. The prompts are of the kind that the embedded
model was trained on; the measures are defined beside the code that takes them and in docs/sampling-quality.md and
docs/stopping.md, which hold the results.
"""
import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

STORIES = [f"{ask} {about}." for ask in ("Tell me a story about", "Please write me a tale about")
           for about in ("a fox", "an owl and a seal", "a girl named Marta", "a brave dragon", "a boy who lost a kite",
                         "a little boat", "two friends", "a musician", "a hungry pig", "a shy wizard")]
OPENINGS = ["Once upon a time, a", "There once was a", "In a harbor town there lived a", "One sunny morning,",
            "Long ago, in an old castle, there lived", "Have you heard of a", "In a time when the winters were long, a",
            "A kind wizard lived in a", "Everybody in a big city knew", "Early one morning a fisherman"]
TRANSCRIPTS = [f"User: {hello}\nAssistant: Hello! What can I do?\nUser: {ask}\nAssistant:"
               for hello in ("Hello!", "Good morning.") for ask in STORIES[:10]]
PEOPLE = [("Alex", 25), ("Marta", 7), ("Rowan", 41), ("Jason", 63), ("Pip", 12), ("Clara", 30), ("Ken", 58),
          ("Nora", 19), ("Tom", 84), ("Ida", 36)]


# ---- texts ------------------------------------------------------------------------------------------------------------

class Texts:
    """Runs `linnet run --json`, several processes side by side; equal calls are made once."""

    def __init__(self, command, model, jobs):
        self.command, self.model = command, [model] if model else []
        self.pool = concurrent.futures.ThreadPoolExecutor(jobs)
        self.known = {}
        self.made = 0

    def one(self, options, prompt, seed):
        command = [self.command, "run"] + self.model + ["-p", prompt, "--seed", str(seed), "-t", "1", "--json"] + options
        ran = subprocess.run(command, capture_output=True)
        if ran.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{ran.stderr.decode()}")
        self.made += 1
        if sys.stderr.isatty():
            print(f"\r{self.made} texts ", end="", file=sys.stderr)
        return json.loads(ran.stdout)

    def make(self, options, prompts, count):
        """`count` texts: the prompts in turn, text i with seed i + 1."""
        key = (tuple(options), tuple(prompts), count)
        if key not in self.known:
            self.known[key] = self.each((options, prompts[i % len(prompts)], i + 1) for i in range(count))
        return self.known[key]

    def each(self, calls):
        """A text for each (options, prompt, seed)."""
        return [job.result() for job in [self.pool.submit(self.one, *call) for call in calls]]

    def tokens(self, text):
        ran = subprocess.run([self.command, "tokenize", *self.model, "--json"], input=text.encode(), capture_output=True)
        if ran.returncode != 0:
            sys.exit(ran.stderr.decode())
        return json.loads(ran.stdout)


# ---- measures ---------------------------------------------------------------------------------------------------------

def ngrams(tokens, n):
    return [tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1)]


def repeated_share(tokens, n=4):
    """Of a text's n-grams, the share that stood in it before."""
    grams = ngrams(tokens, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def longest_common(a, b):
    """The most tokens in a row that stand in both, in the same order."""
    longest, row = 0, [0] * (len(b) + 1)
    for token in a:
        row = [0] + [row[j] + 1 if token == other else 0 for j, other in enumerate(b)]
        longest = max(longest, max(row))
    return longest


def longest_repeat(tokens):
    """The most tokens in a row that stood in the text before, in the same order (the two may overlap)."""
    longest, row = 0, [0] * (len(tokens) + 1)
    for i in range(1, len(tokens)):
        new = [0] * (len(tokens) + 1)
        for j in range(i):
            if tokens[j] == tokens[i]:
                new[j + 1] = row[j] + 1
                longest = max(longest, new[j + 1])
        row = new
    return longest


def distinct(texts, n):
    """Different n-grams divided by all n-grams, of all texts together."""
    grams = [gram for tokens in texts for gram in ngrams(tokens, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else "-"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


# ---- repetition -------------------------------------------------------------------------------------------------------

PLAIN = ["--repeat-penalty", "1"]
DRY = ["--dry-multiplier", "0.8"]
DYNATEMP = ["--dynatemp-range", "0.5"]
SETTINGS = [
    ("plain (temp 0.7, top_k 40, top_p 0.95, min_p 0.05)", PLAIN),
    ("DRY (multiplier 0.8)", PLAIN + DRY),
    ("dynatemp (0.2 to 1.2)", PLAIN + DYNATEMP),
    ("DRY and dynatemp", PLAIN + DRY + DYNATEMP),
    ("repeat_penalty 1.1 (the default)", []),
    ("repeat_penalty 1.3", ["--repeat-penalty", "1.3"]),
    ("frequency and presence 0.5", PLAIN + ["--frequency-penalty", "0.5", "--presence-penalty", "0.5"]),
    ("greedy", PLAIN + ["--temp", "0"]),
    ("greedy, DRY", PLAIN + ["--temp", "0"] + DRY),
    ("greedy, repeat_penalty 1.1", ["--temp", "0"]),
]


def repetition_table(texts, title, options, prompts, count, head):
    rows = []
    for name, setting in SETTINGS:
        # Greedy texts of one prompt are all the same: one each.
        n = min(count, len(prompts)) if "greedy" in name else count
        made = texts.make(options + setting, prompts, n)
        tokens = [text["tokens"] for text in made]
        rows.append([name, n, f"{100 * mean(repeated_share(t) for t in tokens):.1f} %",
                     f"{mean(longest_repeat(t) for t in tokens):.1f}"] +
                    ["-" if "greedy" in name else f"{distinct([t[:head] for t in tokens], k):.3f}" for k in (1, 2, 3)] +
                    [f"{mean(len(t) for t in tokens):.0f}",
                     percent(sum(text["finish_reason"] == "eog" for text in made), n)])
    print(f"{title}\n")
    table(["setting", "texts", "repeated 4-grams", "longest repeat", "distinct-1", "distinct-2", "distinct-3",
           "mean length", "ended itself"], rows)


def repetition(texts, count):
    repetition_table(texts, "Stories that were asked for, at most 400 tokens:", ["-n", "400"], STORIES, count, 64)
    repetition_table(texts, "Texts that may not end (`--ignore-eos`), 400 tokens:",
                     ["--raw", "--ignore-eos", "-n", "400"], OPENINGS, max(1, count // 2), 400)


# ---- JSON -------------------------------------------------------------------------------------------------------------

PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}


def parsed(text):
    try:
        return json.loads(text), True
    except ValueError:
        return None, False


def is_person(value):
    """What PERSON says, by hand: this script needs no packages."""
    return (isinstance(value, dict) and set(value) == {"name", "age"} and isinstance(value["name"], str) and
            isinstance(value["age"], int) and not isinstance(value["age"], bool))


def json_validity(texts, count):
    asks = [("asked for", [f"Give me JSON with name and age for {n}, who is {a}." for n, a in PEOPLE]),
            ("not asked for", [f"Tell me about {n}, who is {a}." for n, a in PEOPLE])]
    rows = []
    for asked, prompts in asks:
        for temperature in ("0.7", "1.5"):
            for name, schema in (("without", []), ("with", ["--json-schema", json.dumps(PERSON)])):
                # Nothing is truncated: the model is free to go wrong as often as its distribution says.
                options = ["-n", "200", "--temp", temperature, "--top-k", "0", "--top-p", "1", "--min-p", "0",
                           "--repeat-penalty", "1"] + schema
                made = texts.make(options, prompts, count)
                values = [parsed(text["text"]) for text in made]
                right = sum(value == {"name": PEOPLE[i % len(PEOPLE)][0], "age": PEOPLE[i % len(PEOPLE)][1]}
                            for i, (value, _) in enumerate(values))
                rows.append([asked, temperature, name, percent(sum(ok for _, ok in values), count),
                             percent(sum(is_person(value) for value, _ in values), count), percent(right, count),
                             percent(sum(text["finish_reason"] == "max_tokens" for text in made), count)])
    table(["JSON is", "temp", "`--json-schema`", "parses", "valid", "right name and age", "cut at 200 tokens"], rows)


# ---- stopping ---------------------------------------------------------------------------------------------------------

CONDITIONS = [
    ("completion_detection 0.8", "completion", ["--semantic", '[{"type":"completion_detection","threshold":0.8}]']),
    ("repetition_detection 0.8", "loop", ["--semantic", '[{"type":"repetition_detection","threshold":0.8}]']),
    ("coherence_break 0.7", "coherence_break", ["--semantic", '[{"type":"coherence_break","threshold":0.7}]']),
    ("coherence_break 0.4", "coherence_break", ["--semantic", '[{"type":"coherence_break","threshold":0.4}]']),
    ("context_aware 0.95", "context_aware", ["--context-aware"]),
]
SLACK = 16  # tokens: nearer to the text's own end than this, a cut is no loss
LOOP = 0.5  # of the 4-grams in a stretch of 64 tokens, so many stood in the text before: it is looping


def looping(tokens, begin):
    """Whether the text, left alone, says in its 64 tokens from `begin` on (or else its last 64) what it said before."""
    begin = max(3, min(begin, len(tokens) - 64))
    seen, again = set(ngrams(tokens[:begin], 4)), 0
    for i in range(begin, min(begin + 64, len(tokens))):
        gram = tuple(tokens[i - 3:i + 1])
        again += gram in seen
        seen.add(gram)
    return again >= LOOP * max(1, min(64, len(tokens) - begin))


def cut_row(texts, name, reason, condition, options, prompts, count, own_end):
    """What one condition did to texts whose course without it is known: same seed, same tokens, until the cut."""
    alone, watched = texts.make(options, prompts, count), texts.make(options + condition, prompts, count)
    cuts, early, unlooped = [], 0, 0
    for free, cut, end in zip(alone, watched, own_end):
        if cut["tokens"] != free["tokens"][:len(cut["tokens"])]:
            sys.exit("a stop condition changed the text before the place where it fired")
        if cut["finish_reason"] != reason:
            continue
        at = len(cut["tokens"])
        cuts.append(at)
        early += end is None or at + SLACK < end
        unlooped += not looping(free["tokens"], at)
    where = f"{statistics.median(cuts):.0f} ({min(cuts)} to {max(cuts)})" if cuts else "-"
    return [name, f"{len(cuts)} of {count}", where, early if cuts else "-", unlooped if cuts else "-"]


def stopping(texts, count):
    sets = [
        ("Stories that were asked for, default sampling, at most 400 tokens", ["-n", "400"], STORIES),
        ("Texts that may not end (`--ignore-eos`), default sampling, 400 tokens",
         ["--raw", "--ignore-eos", "-n", "400"], OPENINGS),
        ("The same without penalties at temp 0.3, which loops",
         ["--raw", "--ignore-eos", "-n", "400", "--repeat-penalty", "1", "--temp", "0.3"], OPENINGS),
        ("The same at temp 1.5, nothing truncated, which loses the thread",
         ["--raw", "--ignore-eos", "-n", "400", "--repeat-penalty", "1", "--temp", "1.5", "--top-k", "0", "--top-p",
          "1", "--min-p", "0"], OPENINGS),
        ("Transcripts of two speakers, default sampling, at most 400 tokens", ["--raw", "-n", "400"], TRANSCRIPTS),
    ]
    for title, options, prompts in sets:
        # Where the model would have ended the text: that of the same seed that may end.
        ending = texts.make([o for o in options if o != "--ignore-eos"], prompts, count)
        own_end = [len(t["tokens"]) if t["finish_reason"] == "eog" else None for t in ending]
        ended = [end for end in own_end if end is not None]
        alone = texts.make(options, prompts, count)
        loops = sum(looping(t["tokens"], len(t["tokens"])) for t in alone)
        print(f"{title}: {count} texts; the model ends {percent(len(ended), count)} of them itself"
              f"{f', after {statistics.median(ended):.0f} tokens (median)' if ended else ''}; "
              f"{percent(loops, count)} loop at their end.\n")
        table(["condition", "fired", "after tokens: median (range)", "of those: before the text's own end",
               "of those: left alone, the text does not go on in a loop"],
              [cut_row(texts, *condition, options, prompts, count, own_end) for condition in CONDITIONS])


# ---- the prompt again -------------------------------------------------------------------------------------------------

SAME = 64  # tokens in a row that text and prompt share: the text says its prompt again


def edited(story, other, distance):
    """The story with every so manieth word from another one."""
    words, others = story.split(" "), other.split(" ")
    for i in range(distance - 1, len(words), distance):
        words[i] = others[i % len(others)]
    return " ".join(words)


def overlap(texts, count):
    """context_aware, by what a text shares with its prompt: a story of the model, then what the row says."""
    stories = [t["text"] for t in texts.make(["-n", "400"], STORIES, count)]
    others = stories[1:] + stories[:1]
    free = ["--raw", "-n", "250"]
    plain = ["--repeat-penalty", "1", "--temp", "0.3"]
    heads = [" ".join(story.split(" ")[:12]) for story in stories]

    def forced(said):  # and cut into tokens as a prompt is
        return [(free + ["--jump-forward", "--temp", "0", "--choice", text], story + "\n\n") for text, story in zip(said, stories)]

    sets = [
        ("another story begins, default sampling",
         [(free, f"{story}\n\n{OPENINGS[i % len(OPENINGS)]}") for i, story in enumerate(stories)]),
        ("another story begins, temp 0.3 without penalties",
         [(free + plain, f"{story}\n\n{OPENINGS[i % len(OPENINGS)]}") for i, story in enumerate(stories)]),
        ("its first 12 words again, default sampling", [(free, f"{s}\n\n{h}") for s, h in zip(stories, heads)]),
        ("its first 12 words again, temp 0.3 without penalties",
         [(free + plain, f"{s}\n\n{h}") for s, h in zip(stories, heads)]),
        ("another story, forced", forced(others)),
        ("the same story, forced", forced(stories)),
    ] + [(f"the same with one word of {n} changed", forced([edited(s, o, n) for s, o in zip(stories, others)]))
         for n in (32, 16, 8)]
    rows = []
    for title, calls in sets:
        calls = [(options, prompt, i + 1) for i, (options, prompt) in enumerate(calls)]
        alone = texts.each(calls)
        again = [longest_common(t["tokens"], texts.tokens(call[1])) >= SAME for t, call in zip(alone, calls)]
        for threshold in ("0.95", "0.5"):
            watched = texts.each((options + ["--context-aware", "--context-overlap", threshold], prompt, seed)
                                 for options, prompt, seed in calls)
            cuts, right = [], 0
            for whole, cut, is_again in zip(alone, watched, again):
                if cut["tokens"] != whole["tokens"][:len(cut["tokens"])]:
                    sys.exit("a stop condition changed the text before the place where it fired")
                if cut["finish_reason"] == "context_aware":
                    cuts.append(len(cut["tokens"]))
                    right += is_again
            where = f"{statistics.median(cuts):.0f} ({min(cuts)} to {max(cuts)})" if cuts else "-"
            rows.append([title, threshold, f"{len(cuts)} of {count}", where, f"{sum(again)} of {count}",
                         f"{right} of {sum(again)}" if any(again) else "-", len(cuts) - right])
    table(["behind the story", "`context_overlap`", "fired", "after tokens: median (range)",
           f"{SAME} tokens in a row from the prompt", "of those: fired", "others: fired"], rows)


def main():
    parts = {"repetition": repetition, "json": json_validity, "stopping": stopping, "overlap": overlap}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="what to measure; all when none is named")
    parser.add_argument("--texts", type=int, default=200, help="texts per setting (default 200)")
    parser.add_argument("--linnet", default=os.path.join(HERE, "..", "build", "bin", "linnet"), help="the command")
    parser.add_argument("--model", help="a GGUF file instead of the embedded model")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side (default 2)")
    args = parser.parse_args()
    if args.texts < 1 or args.jobs < 1:
        parser.error("--texts and --jobs are at least 1")
    texts = Texts(args.linnet, args.model, args.jobs)
    for name in args.parts or parts:
        print(f"## {name}\n")
        parts[name](texts, args.texts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
