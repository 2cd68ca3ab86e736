"""Word lists for the generator: names, heroes, places and things."""
import zlib

NAMES = """
Ada Adam Adele Agnes Aisha Alan Albert Alena Alex Alfred Alice Alma Amara Amelia Amina Amir Amos Amy Ana Andre Andrea
Anika Anita Anna Anton Anya Ari Arlo Arthur Asha Astrid Aubrey Audrey August Aurora Ava Axel Basil Bea Beatrix Ben
Benno Bernard Beth Bianca Bjorn Blanca Bob Boris Bram Brandon Brenda Brian Bridget Bruno Caleb Camila Carl Carla Carlos
Carmen Carol Casper Cecil Cecilia Celia Chad Charlie Chloe Chris Clara Claude Clive Cody Cole Colin Connor Cora Cyrus
Daisy Dale Dan Dana Daniel Daphne Daria David Dawn Dean Delia Dennis Derek Diana Diego Dina Dmitri Dolores Dora Doris
Dylan Eddie Edgar Edith Edna Eileen Elena Eli Elias Elin Elise Eliza Ella Ellen Elmer Elsa Emil Emily Emma Enid Enzo
Erik Erin Esme Esther Ethan Eva Evan Eve Ezra Fatima Faye Felix Fern Fiona Flora Frank Freya Frida Fritz Gabriel Gail
Gary Gemma George Gerda Gilbert Gina Giulia Glen Gloria Grace Greta Gus Gwen Hal Hana Hannah Hans Harold Harry Hassan
Hazel Heidi Helen Helga Henry Hilda Hiro Holly Hope Hugo Ian Ida Igor Ilse Imani Ines Ingrid Irene Iris Isaac Isabel Ivan
Ivy Jack Jacob Jade Jakob James Jamal Jan Jane Janet Jasmine Jason Jasper Jean Jenny Jesse Jill Jim Joan Joe Joel Johan
John Jonas Jordan Jorge Josef Joy Juan Judith Julia Julian June Juno Kai Karen Karim Karl Kate Katya Keiko Keith Ken Kenji
Kevin Kim Kira Klara Kurt Kyle Lara Lars Laura Layla Lea Leah Lena Leo Leon Leona Leroy Leslie Levi Lia Liam Lidia Lila
Lily Linda Lisa Liv Lola Lorna Louis Louise Luca Lucas Lucia Lucy Luis Luna Lydia Mabel Maeve Magda Maia Malik Manuel
Mara Marc Marco Margo Maria Marie Marina Mario Marius Marta Martin Mary Mateo Matilda Max Maya Meera Megan Mei Mia
Michael Mila Miles Milo Mina Miriam Moira Molly Mona Morris Nadia Naomi Nate Nell Nelson Niamh Nick Nico Nils Nina Noah
Noel Nora Norman Oda Odette Olaf Olga Oliver Olivia Omar Oona Opal Orla Oscar Otis Otto Owen Pablo Pam Pascal Pat Paul
Paula Pedro Penny Perry Peter Petra Philip Phoebe Pia Piet Pilar Polly Priya Quentin Quinn Rachel Rafael Raj Ralph Ramon
Rana Ravi Ray Rebecca Rene Rhoda Rita Robert Robin Rocco Roger Roland Romy Rory Rosa Rose Ross Roy Ruby Rudi Rufus Ruth
Ryan Sally Sam Samir Sandra Sara Saul Sean Selma Seth Shane Sheila Silas Simon Sofia Sonja Stan Stella Steven Sue Sunil
Susan Sven Sybil Tamara Tara Tariq Ted Tess Thea Theo Thomas Tilda Tim Tina Tobias Toby Tom Toni Tristan Troy Uma Una
Ursula Vera Vicky Victor Viktor Vince Viola Violet Walter Wanda Wendy Werner Wilma Willa Willem Winston Wyatt Xavier
Xenia Yara Yasmin Yolanda Yuki Yuri Yusuf Yvonne Zach Zahra Zara Zeno Zoe Zora
""".split()

GIRLS = """Ada Alice Amelia Anna Astrid Aurora Ava Bea Bianca Camila Celia Clara Cora Daisy Diana Dora Edith Elena Ella Elsa
Emily Emma Esther Eva Fatima Fiona Flora Frida Gemma Greta Hana Hannah Heidi Ida Ingrid Iris Ivy Jasmine Julia Karen Lara Lea
Lena Lily Lucy Luna Mabel Mara Maria Marta Matilda Maya Mia Mila Molly Nadia Nina Nora Olivia Petra Polly Rosa Ruby Ruth
Sara Selma Sofia Tara Tess Tilda Uma Vera Viola Wanda Willa Yara Yuki Zahra Zoe""".split()
BOYS = """Adam Amir Anton Arlo Arthur August Ben Bjorn Boris Bruno Carl Carlos Casper Cyrus Dan David Diego Dylan Eli Emil Enzo
Ethan Ezra Felix Frank Fritz George Gus Hans Harry Hassan Henry Hiro Hugo Igor Ivan Jack Jamal Jasper Joel Jonas Juan Karl
Kenji Kurt Lars Leo Levi Liam Louis Luca Malik Marco Max Milo Nate Nico Nils Noah Olaf Omar Oscar Otto Owen Pablo Paul Pedro
Peter Rafael Raj Ravi Robin Rocco Rufus Sam Saul Sven Theo Tim Toby Tom Victor Walter Yusuf Zach""".split()

ONSETS = "b bl br c cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sh sk sl sn st t th tr v w y z".split()
VOWELS = "a a e e i i o o u ai ea ee oo ia".split()
CODAS = "b d g k l l m n n n r r s s t x ck ll nd nt rk rn sh th".split()


def held_out(name):
    """One name in eight never occurs in the training text, so that evaluation measures copying."""
    return zlib.crc32(name.lower().encode()) % 8 == 0


def made_up_name(rng):
    parts = []
    for i in range(rng.choice((1, 2, 2, 2, 3))):
        parts += [rng.choice(ONSETS) if i or rng.random() < 0.85 else "", rng.choice(VOWELS)]
        if rng.random() < 0.3:
            parts.append(rng.choice(CODAS))
    if rng.random() < 0.55:
        parts.append(rng.choice(CODAS))
    name = "".join(parts).capitalize()
    return name if 3 <= len(name) <= 9 else made_up_name(rng)


DRAW_HELD_OUT = False  # evaluate.py sets it


def draw_name(rng, made_up=0.7, known=NAMES):
    while True:
        name = made_up_name(rng) if rng.random() < made_up else rng.choice(known)
        if held_out(name) == DRAW_HELD_OUT:
            return name


PET_NAMES = """Pip Nutmeg Bramble Clover Biscuit Pepper Willow Ginger Moss Acorn Button Poppy Rusty Hazel Juniper Fern Maple
Pebble Sunny Dusty Misty Tuck Olly Sorrel Thistle Tansy Rowan Ash Cinder Marlow Tilly Bertie Wren Dot Minnow Plum Barley
Sage Toffee Bluebell Momo Kiki Nim Tuli Oso Rilla Fennel Quill""".split()

BEASTS = """fox rabbit mouse bear hedgehog squirrel cat dog owl frog duck goose turtle badger otter mole deer wolf goat sheep
pony donkey pig hen crow robin sparrow swan beaver raccoon panda penguin seal lizard monkey elephant lion tiger camel
kangaroo koala giraffe hamster lamb kitten puppy calf chick stork heron raven magpie lynx weasel toad newt snail crab
dragon unicorn linnet parrot zebra moose bat walrus""".split()

PEOPLE = """baker:he baker:she farmer:he farmer:she fisherman:he shepherd:she shepherd:he painter:she tailor:he
princess:she prince:he knight:he knight:she wizard:he witch:she king:he queen:she sailor:he robot:it giant:he
gardener:she clockmaker:he musician:she pirate:he postman:he teacher:she miller:he carpenter:she""".split()

ODD_HEROES = """cloud star teapot snowman train tree pumpkin snowflake ghost elf fairy wizard troll dwarf mermaid monster
dinosaur whale octopus butterfly bee ant spider ladybug caterpillar boat car bus kite clock candle leaf raindrop potato
carrot pancake shoe sock chair piano guitar balloon pirate astronaut doctor cook king clown""".split()

HERO_ADJ = ("little young small clever shy curious brave gentle cheerful quiet sleepy friendly hungry proud kind "
            "playful careful lively thoughtful busy").split()
HELPER_ADJ = "old wise kind friendly tall gray quiet tiny patient cheerful plump gentle".split()

COLORS = "red blue green yellow white black brown golden silver purple orange pink gray".split()
THINGS = """kite ball scarf hat drum lantern bell book whistle boat basket key cup ring feather button blanket umbrella
wagon flute spoon mitten map shell ribbon bucket top marble compass teapot""".split()
FOODS = """apples berries bread soup cake cheese honey nuts pears plums carrots porridge pie cookies pancakes corn cherries
mushrooms jam""".split()

# (where the story happens, how that is said later, landmarks)
PLACES = [
    ("in a quiet forest", "in the forest", ["the old oak", "the mossy rock", "the little stream", "the hollow log"]),
    ("in a deep green wood", "in the wood", ["the tall pine", "the ferns", "the fallen tree", "the clearing"]),
    ("by the sea", "on the shore", ["the pier", "the white rocks", "the sand dunes", "the lighthouse"]),
    ("high in the mountains", "on the mountain", ["the narrow path", "the waterfall", "the stone hut", "the cliff"]),
    ("on a small farm", "on the farm", ["the barn", "the well", "the wooden fence", "the haystack"]),
    ("in a sunny meadow", "in the meadow", ["the tall grass", "the big stone", "the willow tree", "the brook"]),
    ("in a busy town", "in the town", ["the market", "the fountain", "the clock tower", "the bakery"]),
    ("in a big city", "in the city", ["the park", "the library", "the train station", "the stone bridge"]),
    ("on a tiny island", "on the island", ["the palm tree", "the cave", "the beach", "the lookout"]),
    ("beside a wide river", "by the river", ["the reeds", "the old mill", "the wooden bridge", "the bend in the river"]),
    ("near a still lake", "by the lake", ["the jetty", "the water lilies", "the birch tree", "the boat house"]),
    ("in a little village", "in the village", ["the church", "the village square", "the old well", "the orchard"]),
    ("in a garden full of roses", "in the garden", ["the rose bush", "the stone wall", "the apple tree", "the shed"]),
    ("in a snowy valley", "in the valley", ["the frozen pond", "the snowy hill", "the log cabin", "the pine trees"]),
    ("in an old castle", "in the castle", ["the tower", "the great hall", "the gate", "the courtyard"]),
    ("at the edge of a desert", "in the desert", ["the well", "the red rocks", "the lonely palm", "the sand hills"]),
    ("in a harbor town", "at the harbor", ["the fish market", "the long pier", "the crooked house", "the tall ships"]),
    ("on a windy hill", "on the hill", ["the windmill", "the stone wall", "the crooked tree", "the path"]),
]
