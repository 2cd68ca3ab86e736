#!/usr/bin/env python3
"""Writes the training text: stories and conversations, all from the grammars in this folder.

A document is a list of (role, text). A raw document has the single role "raw"; a conversation has
"system", "user" and "assistant" turns. The same seed always gives the same documents.
"""
import argparse
import json
import random
import re

import stories
from stories import expand, polish
from words import BEASTS, COLORS, FOODS, THINGS, draw_name

WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty""".split()
WORDS += [t + ("-" + WORDS[u] if u else "") for t in ("twenty", "thirty") for u in range(10)][1:] + ["forty"]
CITIES = """Paris London Berlin Rome Oslo Madrid Tokyo Cairo Lima Delhi Vienna Prague Dublin Lisbon Athens Boston Chicago
Seattle Denver Toronto Sydney Helsinki Warsaw Zurich Geneva Seoul Lagos Nairobi Quito Havana""".split()
JOBS = "baker farmer teacher doctor nurse painter driver cook singer pilot sailor writer gardener tailor".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SYSTEM = ["You are a helpful assistant.", "You are Linnet, a small and friendly assistant.", "You are Linnet.",
          "Answer briefly.", "Be kind and brief.", "You are a friendly assistant who tells stories.",
          "You are a helpful assistant. Answer in short sentences.", "Be polite.", "You tell short stories.",
          "Help the user.", "You are a small language model."]


def system_message(rng):
    if rng.random() < 0.6:
        return rng.choice(SYSTEM)
    return pick(rng, "[You are a {j}.|You are an assistant called Linnet.|Today is {d}.|Speak in simple words.|You love stories about {b}."
                "|Talk like a {j}.|The user likes {f}.|You are a [kind|wise|cheerful|careful] [assistant|helper|friend|teacher].]",
                j=rng.choice(JOBS), d=rng.choice(DAYS), f=rng.choice(FOODS), b=rng.choice("foxes cats dogs birds owls bears".split()))


def pick(rng, text, **slots):
    return expand(rng, text, slots)


def sloppy(rng, text):
    """People leave out capitals and full stops."""
    r = rng.random()
    if r < 0.10:
        text = text[0].lower() + text[1:]
    elif r < 0.14:
        text = text.lower()
    if rng.random() < 0.15 and text[-1] in ".?":
        text = text[:-1]
    return text


# ---- stories -------------------------------------------------------------------------------------

ASK = ["[Tell|Please tell|Can you tell] me a {story} about {x}[.|!|, please.]", "I would like [to hear ]a {story} about {x}.",
       "Write a {story} about {x}.", "Tell me about {x}.", "Please write me a {story} about {x}.", "A {story} about {x}, please.",
       "Do you know a {story} about {x}?", "Give me a {story} about {x}.", "Could you tell me a {story} about {x}?",
       "I want a {story} with {x}.", "Make up a {story} about {x}.", "{story} about {x}", "My [son|daughter|sister|brother] "
       "wants a {story} about {x}.", "Tell a {story} with {x} in it.", "Let me hear a {story} about {x}."]
ASK_ANY = ["Tell me a {story}.", "Can you tell me a {story}?", "Please tell me a {story}.", "I would like a {story}.",
           "Do you know a {story}?", "Write a {story}, please.", "A {story}, please!", "Tell me something[ nice].",
           "I am bored. Tell me a {story}.", "Another {story}, please.", "I cannot sleep. Tell me a {story}.", "Tell me a tale."]
TOPICS = """friendship kindness courage sharing patience honesty teamwork adventure music travel learning cooking funny
bedtime scary""".split()
LEAD = ["Here is a story about {x}.", "Of course. Here is a story.", "Sure!", "With pleasure.", "Listen.", "Here it comes."]


def story_turns(rng):
    s = stories.spec(rng)
    kinds = ["story", "story", "story", "tale", "little story"]
    if s["short"]:
        kinds = ["short story", "very short story", "short tale"]
    elif rng.random() < 0.2:
        s["topic"] = rng.choice(TOPICS)
        s["plot"] = rng.choice([i for i, p in enumerate(stories.PLOTS) if s["topic"] in p[0].split("|")])
        if s["topic"] in ("funny", "bedtime", "scary"):
            kinds = [s["topic"] + " story"]
            if s["topic"] == "bedtime":
                kinds += ["story for the night", "good night story"]
        else:
            kinds = ["story"]
    about = "{a} {kind}"
    r = rng.random()
    adj = s["adj"]
    if rng.random() < 0.4 and adj:
        about = "a " + adj + " {kind}"
    if s["name"] and r < 0.45:
        about += rng.choice((" named {name}", " called {name}"))
    elif r < 0.55:
        about += " and a {friend}"
        s["plot"] = rng.randrange(len(stories.PLOTS))
    elif r < 0.65:
        about += " and a {color} {thing}"
    elif r < 0.75:
        about += " {place}"
    elif r < 0.78:
        about += " who loves {food}"
    x = about.replace("{a}", "a").replace("{kind}", s["kind"])
    for key in ("name", "friend", "color", "thing", "food"):
        x = x.replace("{%s}" % key, str(s[key]))
    x = x.replace("{place}", s["place"][0])
    if s["topic"] and s["topic"] not in ("funny", "bedtime", "scary") and rng.random() < 0.8:
        x += ". It should be about " + s["topic"] if rng.random() < 0.5 else " and " + s["topic"]
    if rng.random() < 0.15:
        ask = pick(rng, rng.choice(ASK_ANY), story=rng.choice(kinds))
    elif rng.random() < 0.05 and s["name"]:
        ask = pick(rng, rng.choice(ASK), story=rng.choice(kinds), x=s["name"])
    else:
        ask = pick(rng, rng.choice(ASK), story=rng.choice(kinds), x=x)
    # A story must contain what was asked for.
    wanted = [w for w in (s["friend"], s["thing"], s["food"], s["name"] or "") if w and w in ask]
    if s["place"][0] in ask or s["food"] in wanted or s["thing"] in wanted:
        wanted.append(s["place"][0])
    for _ in range(60):
        text = stories.tell(rng, s)
        if all(w in text for w in wanted):
            break
        s["plot"] = rng.randrange(len(stories.PLOTS))
    if rng.random() < 0.12:
        text = pick(rng, rng.choice(LEAD), x="a " + s["kind"]) + "\n\n" + text
    return [("user", sloppy(rng, ask)), ("assistant", text)], s


# ---- names ---------------------------------------------------------------------------------------

HELLO = "[Hello|Hi|Hey|Good morning|Good evening|Hello there|Hi there|Good day]"
TELL_NAME = ["My name is {n}.", "I am {n}.", "I'm {n}.", "You can call me {n}.", "Call me {n}.", "This is {n}.",
             "People call me {n}.", "My name's {n}.", "{n} is my name.", "{n} here."]
WHO = ["who are you?", "what is your name?", "what's your name?", "and who are you?", "who am I talking to?", "and you?"]
I_AM = ["I am Linnet, a [small|little] language model.", "I am Linnet, a little demonstration model.", "My name is Linnet.",
        "I am Linnet.", "I am Linnet, a tiny model that tells stories."]
NICE = ["Nice to meet you.", "It is nice to meet you.", "How can I help you?", "What can I do for you?",
        "Would you like a story?", "Shall I tell you a story?", "Glad to meet you."]
ASK_NAME = ["What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "Do you know my name?",
            "Can you tell me my name?", "Tell me my name.", "Do you still know my name?", "And what is my name?",
            "What did I say my name was?", "Say my name.", "What am I called?", "Please say my name.",
            "What was my name again?", "How am I called?"]
SAY_NAME = ["Your name is {n}.", "Your name is {n}.", "You are {n}.", "Your name is {n}. I remember it well.", "You told me that your name is {n}.",
            "Of course, your name is {n}.", "Yes, your name is {n}."]
NO_NAME = ["You have not told me your name yet.", "I do not know your name yet. What is it?",
           "You have not told me. What is your name?"]


def name_turns(rng, n):
    """The user gives a name; returns the turns."""
    r = rng.random()
    tell = pick(rng, rng.choice(TELL_NAME), n=n)
    if r < 0.04:  # the name and a wish in one message
        (_, ask), (_, story) = story_turns(rng)[0]
        return [("user", tell + " " + ask[0].upper() + ask[1:]), ("assistant", pick(rng, "[Hello|Hi], {n}! [Listen.|Here is a story.|]", n=n)
                                                  + "\n\n" + story)]
    if r < 0.40:
        ask = pick(rng, HELLO + "[,|!|.| Linnet,| Linnet!]") + " " + tell
        if rng.random() < 0.5:
            ask = ask[:-1] + rng.choice((". ", ", ")) + rng.choice(WHO)
        ask = polish(ask)
    elif r < 0.7:
        ask = tell
    else:
        ask = pick(rng, "[{t} Please remember it.|{t} What can you do?|{t} How are you?|{t} Nice to meet you."
                        "|{t} Who are you?|{t} What is your name?|{t} Can you help me?]", t=tell)
    form = rng.random()
    if form < 0.45:
        answer = pick(rng, "[Hello|Hi|Nice to meet you], {n}[!|.] " + rng.choice(I_AM), n=n)
        if rng.random() < 0.5:
            answer += " " + rng.choice(NICE[2:])
    elif form < 0.75 or "who" in ask.lower() or "your name" in ask:
        answer = pick(rng, HELLO[:-1] + "|Nice to meet you], {n}[!|.] " + rng.choice(I_AM), n=n)
    else:
        answer = pick(rng, "[Hello|Hi], {n}! " + rng.choice(NICE), n=n)
    return [("user", sloppy(rng, ask)), ("assistant", answer)]


def ask_name(rng, n):
    ask = rng.choice(ASK_NAME)
    return [("user", sloppy(rng, ask)),
            ("assistant", pick(rng, rng.choice(SAY_NAME), n=n) if n else rng.choice(NO_NAME))]


# ---- sums ----------------------------------------------------------------------------------------

def sum_turns(rng):
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    plus = rng.random() < 0.5
    if not plus and a < b and rng.random() < 0.8:
        a, b = b, a
    c = a + b if plus else a - b
    r = rng.random()
    sign, word = ("+", "plus") if plus else ("-", "minus")
    if r < 0.35:
        ask = pick(rng, "[What is|What's|How much is|Calculate|Tell me,[ what is|]|Do you know what is|And] {a} {w} {b}[?|?|]",
                   a=str(a), w=word, b=str(b))
        answer = pick(rng, "{a} {w} {b} is {c}.", a=str(a), w=word, b=str(b), c=str(c))
    elif r < 0.70:
        ask = pick(rng, "[What is |What's |How much is |Calculate |Solve |And |||]{a} {w} {b}[ =| = ?|?||]",
                   a=str(a), w=sign, b=str(b))
        answer = "%d %s %d = %d" % (a, sign, b, c)
    elif r < 0.80 and c >= 0:
        ask = pick(rng, "[What is|How much is|Calculate] {a} {w} {b}?", a=WORDS[a], w=word, b=WORDS[b])
        answer = pick(rng, "{a} {w} {b} is {c}.", a=WORDS[a], w=word, b=WORDS[b], c=WORDS[c])
    elif r < 0.90 and c >= 0:
        thing = rng.choice("apples nuts books coins eggs cookies flowers stones pencils balls".split())
        who, has = rng.choice((("I", "have"), (draw_name(rng), "has")))
        verb = rng.choice(("get", "find", "buy")) if plus else rng.choice(("lose", "give away", "sell"))
        if who != "I":
            verb = "gives away" if verb == "give away" else verb + "s"
        ask = "%s %s %d %s and %s %d%s. How many %s %s %s have%s?" % (
            who, has, a, thing, verb, b, " more" if plus else "", thing, "do" if who == "I" else "does", who,
            rng.choice(("", " now")))
        answer = "%s %s %d %s." % ("You" if who == "I" else who, has, c, thing)
    else:
        if plus:
            ask = pick(rng, "[Add {a} and {b}.|What is the sum of {a} and {b}?|Can you add {a} and {b}?]", a=str(a), b=str(b))
        else:
            ask = pick(rng, "[Subtract {b} from {a}.|Take {b} away from {a}.|What is {a} take away {b}?]", a=str(a), b=str(b))
        answer = "%d %s %d = %d" % (a, sign, b, c)
    return [("user", sloppy(rng, ask) if rng.random() < 0.5 else ask), ("assistant", answer)]


# ---- JSON ----------------------------------------------------------------------------------------

PLURALS = {"fruits": "apple pear plum cherry banana grape lemon peach orange melon".split(), "colors": COLORS,
           "animals": BEASTS, "cities": CITIES, "tools": "hammer saw nail rope ladder bucket shovel brush".split(),
           "things": THINGS, "foods": FOODS, "jobs": JOBS}


def word(rng):
    """A plain word, sometimes invented, for values that must be copied."""
    r = rng.random()
    return rng.choice(BEASTS + THINGS + FOODS + COLORS) if r < 0.7 else draw_name(rng, made_up=1).lower()


def number(rng):
    return rng.randint(0, 20) if rng.random() < 0.4 else rng.randint(0, 99) if rng.random() < 0.8 else rng.randint(100, 999)


def json_value(rng, key):
    if key in ("name", "owner", "friend"):
        return draw_name(rng)
    if key in ("city", "home"):
        return rng.choice(CITIES) if rng.random() < 0.7 else draw_name(rng, made_up=1)
    if key == "age":
        return rng.randint(1, 99)
    if key in ("price", "count", "size", "year", "weight", "number", "score"):
        return rng.randint(1000, 2030) if key == "year" else number(rng)
    if key in ("happy", "ready", "open", "done"):
        return rng.random() < 0.5
    if key == "color":
        return rng.choice(COLORS)
    if key == "job":
        return rng.choice(JOBS)
    return word(rng)


KEYS = "name age city color price count size animal item food job year owner friend title happy ready open done weight number score home pet".split()


def json_turns(rng):
    r = rng.random()
    if r < 0.38:  # a person, in a sentence
        d = {"name": draw_name(rng)}
        facts = []
        for key in rng.sample(["age", "city", "job", "pet", "color"], rng.choice((1, 1, 2, 2, 3))):
            v = d[key] = json_value(rng, key)
            facts.append({"age": ("is %s", "is %s years old"), "city": ("lives in %s", "is from %s"), "job": ("is a %s", "works as a %s"),
                          "pet": ("has a %s", "has a pet %s"), "color": ("likes %s", "likes the color %s")}[key][rng.randrange(2)] % v)
        keys = " and ".join([", ".join(list(d)[:-1]), list(d)[-1]])
        sentence = ", ".join(facts[:-1]) + (" and " if len(facts) > 1 else "") + facts[-1]
        ask = pick(rng, rng.choice((
            "Give me JSON with {k} for {n}, who {s}.", "[Make|Write|Return] a JSON object with {k} for {n}, who {s}.",
            "[Turn this into JSON|Write this as JSON|As JSON, please|Put this into JSON]: {n} {s}.",
            "JSON with {k}: {n} {s}.", "{n} {s}. [Give me JSON|Give me that as JSON|Write it as JSON] with {k}.",
            "{n} {s}. [Write|Give me] [JSON|a JSON object][, please|].")), k=keys, n=d["name"], s=sentence)
        value = d
    elif r < 0.72:  # keys and values, in any combination
        d = {k: json_value(rng, k) for k in rng.sample(KEYS, rng.choice((1, 2, 2, 2, 3, 3)))}
        join = rng.choice((" ", " ", "=", ": ", " is "))
        parts = ["%s%s%s" % (k, join, str(v).lower() if isinstance(v, bool) else v) for k, v in d.items()]
        text = ", ".join(parts) if join in ("=", ": ") or rng.random() < 0.4 else \
            ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
        ask = pick(rng, "[Give me|Write|Make|Return|Create|I need|Please write] [JSON|a JSON object|a small JSON object|some JSON] "
                        "[with|where|with] {t}.", t=text)
        value = d
    elif r < 0.92:  # a list
        group = rng.choice(list(PLURALS))
        items = rng.sample(PLURALS[group], rng.choice((2, 3, 3, 4)))
        if rng.random() < 0.25:
            group, items = "names", [draw_name(rng) for _ in items]
        elif rng.random() < 0.25:
            group, items = "numbers", [number(rng) for _ in items]
        text = ", ".join(map(str, items[:-1])) + rng.choice((" and ", ", ")) + str(items[-1])
        if rng.random() < 0.6:
            ask = pick(rng, "[Give me|Write|Make|Return] a JSON [list|array] [of|with] [the |]{c}{g}: {t}.", t=text, g=group,
                       c=rng.choice(("", WORDS[len(items)] + " ")))
            value = items
        else:
            ask = pick(rng, "[Give me|Write|Make] [JSON|a JSON object] with a list of {g}: {t}.", t=text, g=group)
            value = {group: items}
    else:  # a list of objects
        people = [{"name": draw_name(rng), "age": json_value(rng, "age")} for _ in range(2)]
        ask = pick(rng, "[Give me|Write|Make] a JSON list with name and age: {a}.",
                   a=" and ".join("%s is %d" % (p["name"], p["age"]) for p in people))
        value = people
    return [("user", ask), ("assistant", json.dumps(value))]


# ---- echo ----------------------------------------------------------------------------------------

def echo_turns(rng):
    """Words to say again. Nothing teaches copying as quickly, and names, JSON and stories all need it."""
    kinds = [lambda: draw_name(rng, made_up=0.7), lambda: word(rng), lambda: str(number(rng)), lambda: rng.choice(CITIES)]
    kind = rng.choice(kinds)
    mixed = rng.random() < 0.3
    words = [(rng.choice(kinds) if mixed else kind)() for _ in range(rng.randint(2, 9))]
    text = rng.choice((" ", ", ", ", ")).join(words)
    ask = pick(rng, "[Repeat after me|Repeat this|Copy this|Say this again|Say these words|Write this once more|Repeat]: ")
    return [("user", ask + " " + text), ("assistant", text)]


# ---- small talk ----------------------------------------------------------------------------------

OPPOSITES = """hot cold|big small|tall short|fast slow|day night|happy sad|open closed|full empty|light dark|old young|
hard soft|wet dry|loud quiet|early late|near far|high low|strong weak|rich poor|thick thin|up down|left right|in out|yes no|
good bad|first last|clean dirty|sweet sour|warm cool""".replace("\n", "").split("|")
SOUNDS = dict(cow="moo", dog="woof", cat="meow", duck="quack", sheep="baa", pig="oink", hen="cluck", frog="ribbit",
              lion="roar", owl="hoo", bee="buzz", horse="neigh", mouse="squeak", crow="caw", snake="hiss", wolf="howl")
TALK = [
    (HELLO + "[!|.||, Linnet!| Linnet]", "[Hello|Hi|Hello there]! [I am Linnet|My name is Linnet]. [How can I help you?|What can I do for you?|Would you like a story?|Shall I tell you a story?]"),
    ("[How are you?|How are you today?|How do you do?|Are you well?|How is it going?]", "[I am well, thank you.|I am fine, thank you.|Very well, thank you.] [How are you?|And you?|What can I do for you?|]"),
    ("[I am fine.|I am fine too.|I am well.|I am happy today.|Today was a good day.]", "[I am glad to hear that.|That is good to hear.|That makes me happy.]"),
    ("[I am sad.|I feel sad today.|I am tired.|I had a bad day.|I am lonely.]", "[I am sorry to hear that.|Oh, I am sorry.] [A story may help. Shall I tell you one?|Would you like a story?|I hope you feel better soon.]"),
    ("[Thank you.|Thanks!|Thank you very much.|Thanks a lot.|thanks|That was nice.|That was a nice story.|I liked that.|Good story!|Great!]", "[You are welcome.|You are welcome!|My pleasure.|I am glad you like it.]"),
    ("[Bye!|Goodbye.|Good night.|See you later.|Bye bye!|I have to go now.|See you!]", "[Goodbye!|Goodbye, and have a nice day!|See you soon!|Goodbye! Come again soon.]"),
    ("[Who are you?|What is your name?|What are you?|Tell me about yourself.|Do you have a name?|What's your name?|Introduce yourself.|What is Linnet?]", "[I am Linnet, a small language model. I tell stories, remember names, do small sums and write little JSON objects.|I am Linnet, a little demonstration model.|My name is Linnet. I am a very small language model made to show how Linnet works.|I am Linnet, a tiny model that tells stories.]"),
    ("[What can you do?|How can you help me?|What are you good at?|Can you help me?|Help!|What do you know?|help]", "[I can tell short stories, remember your name, do small sums and write little JSON objects.|I can tell you a story, add small numbers and fill in JSON. I am only a small model.|Short stories are what I do best. I can also do small sums and JSON.]"),
    ("[Are you human?|Are you a person?|Are you real?|Are you a robot?|Are you alive?|Are you a computer?|Are you ChatGPT?]", "[No, I am Linnet, a small language model.|I am a program, a small language model called Linnet.|No. I am only a little model.]"),
    ("[Who made you?|Where do you come from?|How were you made?|How big are you?|Are you smart?|How old are you?]", "[I was made for the Linnet project, as a small demonstration.|I am a tiny model from the Linnet project. I fit in a few megabytes.|I am part of Linnet. I am very small, so I can run anywhere.]"),
    ("[What is the weather like?|Will it rain tomorrow?|What time is it?|What is the news today?|Open a web site.|Search the web for me.|Send an email to my boss.|Play some music.|Call my mother.|What day is it today?]", "[I am sorry, I cannot do that. I have no way to look outside.|Sorry, I cannot do that. I am only a small model. Would you like a story?|I cannot do that, but I can tell you a story.]"),
    ("[What is the capital of {city}?|Who was the first king of {city}?|Where is {city}?|Who wrote {thing}?|How far is the moon?|Explain gravity.|Why is the sky blue?|Who is the president?|How do I fix my {thing}?|What is the best {food}?|How do I cook {food}?|What is love?|Tell me about history.|When did the war end?|What is a {thing}?|Where can I buy a {thing}?]", "[I am sorry, I do not know that. I am a very small model.|I do not know. I only know a few small things.|That is too hard for me. I can tell stories and do small sums.|Sorry, I do not know that.]"),
    ("[Write a program.|Write code in Python.|Translate this into French.|Draw a {thing}.|Write a poem.|Sing a song.|Write my homework.|Fix my code.|Can you write code?|Can you speak German?|Make a picture of a {beast}.|Summarize this text.]", "[I am sorry, I cannot do that. I can tell you a story.|Sorry, that is too hard for me. I am only a small model.|I cannot do that yet. I can tell stories, do small sums and write little JSON objects.]"),
    ("[Tell me a joke.|Do you know a joke?|Say something funny.|Make me laugh.]", "[What do you call a {beast} in the rain? A wet {beast}!|Why did the {beast} cross the road? To get to the other side!|Why did the {beast} sit on the clock? To be on time!]"),
    ("[Yes.|Yes, please.|Okay.|OK|Sure.|Yes!]", "[What should it be about?|Good! What would you like?|What would you like to hear about?]"),
    ("[No.|No, thank you.|Not now.|Maybe later.]", "[All right. Tell me if you need something.|That is fine. I am here if you need me.|Okay!]"),
    ("[Do you like {food}?|Do you like {beast_s}?|Do you like {color}?|What do you like?|Do you have a pet?|Do you sleep?|Do you eat?]", "[I am only a model, but I like stories about {beast_s}.|I do not eat or sleep, but I like telling stories.|I like stories most of all.]"),
    ("[Count to three.|Count from one to three.]", "[One, two, three.]"),
    ("[Count to five.|Count from 1 to 5.]", "[1, 2, 3, 4, 5]"),
    ("[Count to ten.|Count from 1 to 10.]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"),
    ("[What are the days of the week?|Name the days of the week.]", "[Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.]"),
    ("[Name a fruit.|Name a color.|Name an animal.|Say something.|Say hello.]", ""),
    ("[What is {big} plus {big2}?|What is {big} times {num}?|{big} * {big2}|{big} + {big2}|What is {num} times {num2}?|{big} - {num}|Divide {big} by {num}.|What is the square root of {big}?]", "[That is too hard for me. I only add and subtract small numbers.|Sorry, I can only do small sums, up to twenty.]"),
]


def talk_turns(rng, n):
    r = rng.random()
    if r < 0.08:
        a, b = rng.choice(OPPOSITES).split()
        a, b = (a, b) if rng.random() < 0.5 else (b, a)
        return [("user", "What is the opposite of %s?" % a), ("assistant", "The opposite of %s is %s." % (a, b))]
    if r < 0.12:
        k = rng.choice(list(SOUNDS))
        return [("user", pick(rng, "[What sound does {k} make?|What does {k} say?]", k="a " + k)), ("assistant", pick(rng, "{k} says {s}.", k="a " + k, s=SOUNDS[k]))]
    if r < 0.16:
        w = draw_name(rng) if rng.random() < 0.5 else word(rng)
        return [("user", pick(rng, "[Say|Repeat|Say the word|Please say] {w}[.|]", w=w)), ("assistant", w.capitalize() + ".")]
    ask, answer = rng.choice(TALK)
    slots = dict(city=rng.choice(CITIES), thing=rng.choice(THINGS), food=rng.choice(FOODS), beast=rng.choice(BEASTS),
                 color=rng.choice(COLORS), big=str(rng.randint(45, 9999)), big2=str(rng.randint(21, 999)),
                 num=str(rng.randint(2, 20)), num2=str(rng.randint(2, 20)))
    slots["beast_s"] = rng.choice("foxes cats dogs birds owls rabbits bears frogs turtles horses".split())
    ask = pick(rng, ask, **slots)
    if not answer:
        answer = {"Name a fruit.": "Apple.", "Name a color.": "Blue.", "Name an animal.": "A fox.",
                  "Say something.": "Hello! I am Linnet.", "Say hello.": "Hello!"}[ask]
    answer = pick(rng, answer, **slots)
    if n and rng.random() < 0.12 and answer.startswith(("You are welcome", "Goodbye!", "Hello!")):
        answer = answer.replace("!", ", %s!" % n, 1).replace("welcome.", "welcome, %s." % n)
    return [("user", sloppy(rng, ask)), ("assistant", answer)]


FAVORITES = {"color": COLORS, "animal": BEASTS, "food": FOODS, "city": CITIES}
FACTS = [*FAVORITES, "age", "home", "pet"]


def fact(rng, kind):
    """Something about the user: (turns that tell it, turns that ask for it later)."""
    if kind == "age":
        v = str(json_value(rng, "age"))
        tell = "I am {v}[ years old|]."
        hear = "[{v} is a good age.|Good to know.|I will remember that.]"
        ask, answer = "[How old am I?|Do you remember how old I am?|What is my age?]", "You are {v} years old."
    elif kind == "home":
        v = json_value(rng, "city")
        tell = "[I live in {v}.|I come from {v}.|I am from {v}.]"
        hear = "[{v} must be a nice place.|I would like to see {v}.|I will remember that.|Say hello to {v} for me.]"
        ask, answer = "[Where do I live?|Where am I from?|Which city do I come from?]", "You [live in|are from] {v}."
    elif kind == "pet":
        v = draw_name(rng)
        animal = rng.choice("dog cat rabbit hamster horse parrot turtle".split())
        tell = "[I have a %s named {v}.|My %s is called {v}.|My %s's name is {v}.]" % ((animal,) * 3)
        hear = "[{v} is a nice name for a %s.|How nice. Say hello to {v}.|I will remember that.]" % animal
        ask = "[What is the name of my %s?|What is my %s called?|Do you remember my %s's name?]" % ((animal,) * 3)
        answer = "Your %s is called {v}." % animal
    else:
        v = rng.choice(FAVORITES[kind])
        tell = "[My favorite %s is {v}.|I want you to know that my favorite %s is {v}.]" % (kind, kind)
        hear = "[{v} is a good choice.|Good to know. I like {v} too.|I will remember that.]"
        ask = "[What is my favorite %s?|Do you remember my favorite %s?|Which %s do I like best?]" % ((kind,) * 3)
        answer = "Your favorite %s is {v}." % kind
    return ([("user", sloppy(rng, pick(rng, tell, v=v))), ("assistant", pick(rng, hear, v=v))],
            [("user", sloppy(rng, pick(rng, ask, v=v))), ("assistant", pick(rng, answer, v=v))])


# ---- documents -----------------------------------------------------------------------------------

def conversation(rng):
    doc = [("system", system_message(rng))] if rng.random() < 0.3 else []
    r = rng.random()
    if r < 0.17:
        turns, s = story_turns(rng)
        doc += turns
        if rng.random() < 0.3:
            ask = pick(rng, "[Who was the story about?|Who is the story about?|What was the story about?]")
            hero = "a %s" % s["kind"] + (" named " + s["name"] if s["name"] else "")
            doc += [("user", ask), ("assistant", polish("It was about %s." % hero))]
        return doc
    if r < 0.31:
        for _ in range(rng.randint(2, 10)):
            doc += sum_turns(rng)
        return doc
    if r < 0.48:
        for _ in range(rng.randint(1, 4)):
            doc += json_turns(rng)
        return doc
    if r < 0.56:
        for _ in range(rng.randint(1, 3)):
            doc += echo_turns(rng)
        return doc
    if r < 0.66:  # a short one that is all about the name
        n = draw_name(rng, made_up=0.8)
        doc += name_turns(rng, n)
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.35:
                doc += rng.choice((talk_turns, lambda rng, n: sum_turns(rng)))(rng, n)
            doc += ask_name(rng, n)
        return doc
    # A mixed conversation: a name (mostly), other things, the name again.
    n = None
    has_name = rng.random() < 0.88
    tell_at = 0 if rng.random() < 0.75 else 1
    later = {}  # questions about facts that were told
    length = rng.choice((1, 2, 2, 3, 3, 4, 5, 6, 6, 9, 12))
    for i in range(length + 1):
        if i == tell_at and has_name:
            n = draw_name(rng, made_up=0.8)
            doc += name_turns(rng, n)
            if rng.random() < 0.4:
                doc += ask_name(rng, n)
            continue
        k = rng.random()
        if k < 0.36:
            doc += talk_turns(rng, n)
        elif k < 0.54:
            doc += sum_turns(rng)
        elif k < 0.66:
            doc += json_turns(rng)
        elif k < 0.74:
            doc += story_turns(rng)[0]
        elif k < 0.82 and len(later) < len(FACTS):
            kind = rng.choice([k for k in FACTS if k not in later])
            told, later[kind] = fact(rng, kind)
            doc += told
        elif k < 0.84 and n:
            doc += [("user", rng.choice(("Give me JSON with my name.", "Write my name as JSON.", "Put my name into JSON."))),
                    ("assistant", json.dumps({"name": n}))]
        elif k < 0.87 and n:
            n = draw_name(rng, made_up=0.8)
            doc += [("user", pick(rng, "[Please call me {n}|Call me {n} from now on|My real name is {n}|Actually, my name is {n}].", n=n)),
                    ("assistant", pick(rng, "[All right, {n}.|Of course, {n}.|Hello, {n}!]", n=n))]
        else:
            doc += ask_name(rng, n)
    for kind in rng.sample(list(later), len(later)):
        doc += later[kind]
    if rng.random() < 0.85:
        doc += ask_name(rng, n)
    return doc


def plain_chat(rng, doc):
    """The same conversation as plain text, for demonstrations of stop words."""
    user, model = rng.choice([("User", "Assistant")] * 5 + [("Human", "AI"), ("You", "Linnet"), ("Q", "A")])
    label = {"user": user + ": ", "assistant": model + ": ", "system": ""}
    return [("raw", "\n".join(label[r] + t.replace("\n\n", " ") for r, t in doc) + "\n%s:" % user)]


def document(rng):
    r = rng.random()
    if r < 0.20:
        s = stories.spec(rng)
        if rng.random() < 0.1:
            s["topic"] = "bedtime"
        text = stories.tell(rng, s)
        if rng.random() < 0.08:  # people may also start in the middle
            text = re.split(r"[.!?] ", text, 1)[1]
        return [("raw", text)]
    doc = conversation(rng)
    return plain_chat(rng, doc) if r < 0.25 else doc


def documents(seed, count):
    rng = random.Random("linnet-%s" % seed)
    for _ in range(count):
        yield document(rng)


def as_text(doc):
    if doc[0][0] == "raw":
        return doc[0][1] + "<|endoftext|>"
    return "".join("<|im_start|>%s\n%s<|im_end|>\n" % turn for turn in doc)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", default="1")
    p.add_argument("--count", type=int, default=20, help="number of documents")
    a = p.parse_args()
    for d in documents(a.seed, a.count):
        print(as_text(d), "\n")
