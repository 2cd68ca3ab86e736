"""Short stories from a grammar.

A story is a row of beats (opening, life, problem, attempt, help, solution, ending). Every beat has
several wordings; inside a wording `[a|b]` picks one alternative and `{slot}` names a character,
a place or a thing, so that pronouns and names agree from the first sentence to the last.
"""
import re

from words import (BEASTS, BOYS, COLORS, FOODS, GIRLS, HELPER_ADJ, HERO_ADJ, NAMES, ODD_HEROES, PEOPLE, PET_NAMES, PLACES,
                   THINGS, draw_name)

PRONOUNS = {"he": ("he", "him", "his", "himself"), "she": ("she", "her", "her", "herself"),
            "it": ("it", "it", "its", "itself")}
CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(rng, text, slots):
    """Picks the alternatives from the innermost outwards, then fills the slots."""
    while True:
        text, n = CHOICE.subn(lambda m: rng.choice(m.group(1).split("|")), text)
        if not n:
            break
    text = re.sub(r"\{(\w+)\}", lambda m: slots[m.group(1)], text)
    return polish(text)


def polish(text):
    """Capitals at sentence starts, and "an" before vowels."""
    text = re.sub(r"\b([Aa]) +(?=[aeiou](?!ni|ne\b|se))", r"\1n ", text)
    text = re.sub(r'((?:^|[.!?] |\." )"?|(?:^| )")([a-z])', lambda m: m.group(1) + m.group(2).upper(), text)
    return re.sub(r' +', ' ', text).strip()


OPENINGS = [
    "once upon a time, {place} there lived {a_hero}.",
    "once upon a time there was {a_hero} who lived {place}.",
    "once upon a time, {a_hero} lived {place}.",
    "long ago, {place}, there lived {a_hero}.",
    "there once was {a_hero} who lived {place}.",
    "{a_hero} lived {place}, [in a small house|in a cozy home|all alone|close to {lm}|with {his} family|near {lm}].",
    "{place} there lived {a_hero}.",
    "some years ago, {a_hero} came to live {place}.",
    "have you heard of {a_hero} who lived {place}?",
    "not far from here, {place}, lived {a_hero}.",
    "in a time when [the winters were long|the stars were brighter|the roads were quiet], {a_hero} lived {place}.",
    "this is the story of {a_hero} who lived {place}.",
    "everybody {place} knew {a_hero}.",
]
LIFE = [
    "{H} liked [to watch the clouds|to listen to the wind|to walk to {lm}|to hum old songs|to collect shiny stones] [in the morning|before breakfast|after lunch|when the day was done].",
    "every [morning|day|evening], {h} walked [to {lm}|from {lm} to {lm2}|around {the_place}] and [said hello to everyone|looked for something new|sang a little song].",
    "{h} had [a warm coat|a soft bed|a small lamp|bright eyes|quick feet] and [a big heart|many questions|a lot of ideas|a good nose for trouble].",
    "{h} was not very [tall|big|strong|fast|loud], but {h} was [never lazy|good at listening|always ready to help|full of ideas].",
    "most of all, {h} loved {food}.",
    "people said that {H} [asked too many questions|could never sit still|was always dreaming|had the kindest eyes {in_place}].",
    "{his} favorite spot was {lm}, where [the sun was warm|it was always quiet|the wind smelled of flowers|you could see far away].",
    "",
    "",
]
ENDINGS = [
    "from that day on, {H} [was never lonely|slept well every night|smiled a little more|knew what to do|was a little braver].",
    "that night, {H} fell asleep with a smile.",
    "{H} went home happy, and the [stars|moon] shone over {the_place}.",
    "and whenever {h} [passed|saw] {lm}, {h} remembered that day [and smiled|with joy|and felt warm inside].",
    "and they all lived happily {in_place}.",
    "it had been a [good|long and good|strange and wonderful] day.",
    "after that, everyone {in_place} told the story again and again.",
    "{h} never forgot it.",
    "\"what a day,\" said {H}, and yawned.",
    "and that is how {H} learned that [small steps matter|kindness comes back|a friend is worth more than gold|it is good to ask for help].",
    "then {h} had [a big bowl of soup|a cup of tea|a slice of bread with honey] and went to bed.",
]
SLEEPY = [
    "then {H} curled up in bed, closed {his} eyes and slept. Good night.",
    "soon the moon came up, the wind grew quiet, and {H} fell fast asleep.",
    "the stars came out one by one, and {H} dreamed of {the_place} until the morning.",
]
TIME = "[One morning|One day|One evening|One cold day|One sunny afternoon|Early one morning|One windy day|On a rainy day|Late one afternoon]"

# Every plot: topics it suits, then its beats. {friend} and {a_friend} are the second character.
PLOTS = [
    ("friendship|kindness", [
        ["%s, {H} could not find {his} {thing}." % TIME,
         "{h} had {a_thing} that {h} loved very much. %s it was gone." % TIME,
         "%s, {h} reached for {his} {thing}, but it was not there." % TIME,
         "%s the wind took {his} {thing} and carried it away." % TIME],
        ["{h} looked [under the bed|behind the door|in every corner] and [near {lm}|behind {lm}|all around {lm2}], but {h} [found nothing|could not see it anywhere].",
         "\"where can it be?\" {h} wondered. {He} searched [the whole morning|until {his} feet hurt|from {lm} to {lm2}].",
         "{h} searched everywhere and felt [sadder and sadder|close to tears|very sad]."],
        ["then {h} met {a_friend}. \"why are you so sad?\" asked {friend}. \"I lost my {thing},\" said {H}.",
         "{a_friend} [saw {him}|heard {him} sigh|came along the path] and said, \"let us look together. Four eyes see more than two.\"",
         "{a_friend} was [sitting|resting] near {lm2}. \"I saw something {color} over there,\" {f_she} said."],
        ["they looked [again|slowly and carefully], and there it was, [right under|just behind|on top of|next to] {lm}!",
         "together they walked to {lm2}. The {thing} was [lying in the grass|hanging on a branch|hidden under some leaves].",
         "{friend} pointed at {lm}. Something {color} was shining there. It was the {thing}!"],
        ["\"thank you!\" said {H}, and [hugged|danced with|shared some {food} with] {friend}.",
         "{H} [jumped for joy|laughed out loud|held the {thing} tight]. \"I would never have found it without you,\" {h} told {friend}.",
         "from then on {H} and {friend} [were the best of friends|met every day at {lm}|took turns playing with the {thing}]."]]),
    ("courage|adventure", [
        ["%s, {H} walked [too far|farther than ever before|past {lm} and on and on]." % TIME,
         "%s {H} followed a [blue butterfly|strange sound|sweet smell] and forgot the way home." % TIME,
         "%s {h} went out to look for {food} and walked and walked." % TIME],
        ["when the [fog came down|sky grew dark|sun went down], {h} did not know where {h} was.",
         "soon every [tree|path|stone] looked the same, and {h} was lost.",
         "{h} turned around, but the path was gone. \"oh no,\" {h} whispered."],
        ["{h} wanted to cry, but then {h} took a deep breath. \"I must [think|stay calm|be brave],\" {h} said to {himself}.",
         "{h} called out, but only [the wind|an echo|the night] answered.",
         "{h} sat down [on a stone|under a bush] and listened. Far away, {h} heard [running water|a bell|somebody singing]."],
        ["then {a_friend} [came by with a small light|looked down from a branch|came out of the dark]. \"follow me,\" said {friend}. \"I know the way.\"",
         "{h} remembered that [the evening star shines over {lm}|the river runs to {lm}|moss grows near {lm}]. So {h} followed it, step by step.",
         "{a_friend} heard {him} and asked, \"where do you live?\" \"near {lm},\" said {H}. \"that is not far. Come with me,\" said {friend}."],
        ["at last {h} saw {lm}, and behind it {his} own [door|window with a light in it].",
         "before long, {h} was home again, tired but [safe|happy].",
         "when {h} saw {lm} again, {h} [ran the last steps|laughed with joy|had never been so glad]."]]),
    ("sharing|kindness", [
        ["%s, dark clouds rolled over {the_place}, and [rain began to fall|the thunder began to growl|a strong wind began to blow]." % TIME,
         "%s a great storm came to {the_place}." % TIME,
         "that winter the snow was so deep that nobody could walk to {lm}."],
        ["{H} closed the window and lit a [candle|small lamp]. Then there was a knock at the door.",
         "{H} was just [making soup|warming {his} feet|telling {himself} a story] when somebody knocked.",
         "safe inside, {H} heard a [small|sad|tired] voice outside."],
        ["it was {a_friend}, wet and [cold|shaking]. \"may I come in?\" asked {friend}.",
         "{a_friend} stood [in the rain|in front of the door]. \"my home is full of water,\" said {friend}.",
         "outside {h} found {a_friend} who had [nowhere to go|lost the way|hurt one foot]."],
        ["{H} had only [one blanket and a little {food}|a small bed|a bit of {food}], but {h} said, \"there is enough for two.\"",
         "\"come in, come in!\" said {H}, and [gave {f_him} a warm blanket|shared {his} {food}|moved closer to the fire].",
         "for a moment {H} thought of {his} small [pot|bed]. Then {h} opened the door wide."],
        ["they [told stories|sang songs|played games] until the storm was over.",
         "in the morning the sun came out, and {friend} [helped to fix the roof|left a small gift at the door|promised to come again].",
         "when the sky was blue again, they walked out together and saw a [rainbow over {lm}|bright new day].",
         "some days later {friend} came back with {a_thing} as a gift."]]),
    ("courage|kindness", [
        ["%s, {h} heard a cry for help near {lm}." % TIME,
         "%s {H} saw that {friend} [was in trouble|was stuck|had fallen into a hole]." % TIME,
         "%s there was a loud noise behind {lm}." % TIME],
        ["{a_friend} was stuck [in the mud|between two stones|under a heavy branch] and could not get out.",
         "{h} ran as fast as {h} could. There was {a_friend}, caught in [a net|a thorny bush|an old rope].",
         "it was {a_friend}. \"please help me,\" said {friend}. \"I [cannot move|have been here all night].\""],
        ["the others [only shook their heads|said it was too hard|walked away], because {H} was so small.",
         "{H} pulled and pulled, but {h} was not strong enough.",
         "\"I am small,\" thought {H}. \"but I [am clever|have good teeth|can try].\""],
        ["then {h} [found a long stick|tied a rope to {lm}|dug a small hole in the ground] and [pushed with all {his} might|pulled once more|tried again].",
         "{h} [asked three friends to help|called everyone {in_place}], and together they pulled. One, two, three!",
         "bit by bit, {h} [bit through the rope|moved the stones away|cut the branches], and did not stop until the work was done."],
        ["at last {friend} was free. \"you may be little,\" {f_she} said. \"but your heart is big.\"",
         "with a loud pop, {friend} came out and fell right [into the grass|on {his} nose]. They both laughed.",
         "{friend} thanked {him} and said, \"if you ever need me, just call.\""]]),
    ("courage|bedtime", [
        ["but {H} was afraid of [the dark|thunder|deep water|high places|the wind at night].",
         "there was only one thing {H} feared, and that was the [night|old cave|dark cellar].",
         "nobody knew that {H} was [scared of the dark|afraid to sleep alone|afraid of loud noises]."],
        ["%s {h} had to [fetch water from {lm}|bring a letter to {lm2}|walk home alone] after sunset." % TIME,
         "one night the lamp went out, and [strange shadows danced on the wall|something tapped at the window].",
         "one night {h} heard [a long low sound|steps outside|a whisper in the trees] and hid under the blanket."],
        ["{his} heart beat fast. \"there is nobody here,\" {h} told {himself}, but {his} [knees|hands] were shaking.",
         "{h} called {his} friend, {a_friend}. \"I am scared,\" {h} said.",
         "{a_friend} came by and asked what was wrong. {H} [told {f_him} everything|looked at the ground and said it softly]."],
        ["\"let us [count the stars|sing a song|hold hands and look],\" said {friend}. \"fear gets smaller when you look at it.\"",
         "{friend} said, \"I am scared sometimes too. Then I [breathe in and out three times|hum a little song|think of {food}].\"",
         "so {h} lit a tiny candle and looked. It was only [the wind in the curtain|a branch at the window|a moth looking for light]!"],
        ["{h} tried it, and the fear [became very small|flew away like a bird|was gone].",
         "{H} took a deep breath and went on, step by step. Nothing bad happened at all.",
         "after that, the night was not so dark any more. It was full of [stars|soft sounds|quiet friends]."]]),
    ("learning|patience|funny", [
        ["more than anything, {H} wanted to [swim|dance|whistle|play the flute|paint|skate|juggle|bake a cake].",
         "%s {h} saw {a_friend} [dancing|playing the drum|flying a kite|riding a tiny wagon] and wanted to do it too." % TIME,
         "{h} had one big wish. {He} wanted to [sing|write|cook|climb] like {friend}."],
        ["the first time, {h} [fell on {his} nose|made a terrible noise|made a big mess], and everyone laughed.",
         "{h} tried once and [fell down|failed]. {He} tried again and [fell down|failed] again.",
         "it looked so easy, but it was not. [Everything went wrong|Nothing worked|It ended with a crash]."],
        ["\"I will never learn it,\" said {H}, and [kicked a stone|hid behind {lm}|threw {his} hat on the ground].",
         "sad and tired, {h} sat down near {lm}.",
         "{h} wanted to give up."],
        ["{friend} sat down next to {him}. \"I needed a whole year,\" {f_she} said. \"try a little every day.\"",
         "then {a_friend} [smiled at {him}|came by] and said, \"slow down. First the left, then the right.\"",
         "\"do you know how often I fell?\" asked {friend}. \"a hundred times! Come, I will show you.\""],
        ["so {h} practiced [every morning|day after day|when nobody was looking], and [each day it went a bit better|little by little it worked].",
         "{H} listened and tried once more, very slowly. This time it worked!",
         "weeks went by. Then one day, {h} did it, and [everyone clapped|even the birds stopped to look|{friend} cheered]."]]),
    ("friendship", [
        ["%s, {H} remembered that it was the birthday of {his} friend, {a_friend}." % TIME,
         "soon it would be {friend_s} birthday, and {H} had no gift.",
         "{H} wanted to give {his} friend, {a_friend}, the best gift in the world."],
        ["{h} had no money, only [a button and a piece of string|an old box|three nuts].",
         "in the shop there was {a_thing}, but it cost too much.",
         "{h} asked at {lm} and at {lm2}, but [everything was too dear|nobody had an idea]."],
        ["so {h} decided to make something. {He} took [some wood|some wool|paper and paint] and worked all night.",
         "then {h} had an idea. {He} would [bake a small cake with {food}|write a song|make {a_thing} out of paper].",
         "{h} walked around {the_place} and picked the [most beautiful flowers|roundest stones|brightest leaves]."],
        ["on the way {h} slipped, and the gift [fell into a puddle|broke in two]. {H} almost cried.",
         "when {h} gave it to {friend}, {his} hands were shaking. \"it is not much,\" {h} said.",
         "the gift was a little [crooked|small], and {H} was afraid that {friend} would laugh."],
        ["but {friend} smiled. \"you made it yourself,\" {f_she} said. \"it is the best gift I ever had.\"",
         "{friend} [hugged {him}|laughed with joy] and said, \"the best gift is that you came.\"",
         "{friend} put it [next to {f_his} bed|in the window], where everyone could see it. Then they ate {food} together."]]),
    ("friendship|bedtime", [
        ["but {H} had nobody to [play|talk|laugh] with.",
         "every day {H} played alone, and sometimes {h} felt lonely.",
         "{H} was new {in_place} and did not know anyone."],
        ["%s {h} wrote a note and [hung it on {lm}|put it in a bottle|gave it to the wind]." % TIME,
         "%s {h} saw {a_friend} sitting alone near {lm}." % TIME,
         "%s {h} heard somebody humming behind {lm}." % TIME],
        ["{H} was too shy to say hello. {He} [hid behind {lm2}|looked at {his} feet|only waved a little].",
         "\"what if nobody likes me?\" thought {H}.",
         "{h} waited [a whole day|for three days]. Nothing happened."],
        ["then {friend} asked, \"would you like some {food}?\" \"yes, please,\" said {H}.",
         "then {a_friend} came and said, \"I am looking for a friend too. Do you want to play?\"",
         "at last {H} said softly, \"hello, [may I sit here|do you like games|what is your name]?\" and {friend} [nodded|smiled]."],
        ["they [talked|played|told jokes] until the sun went down, and the next day they met again.",
         "soon they were [laughing|running around {lm}|building a tiny house] as if they had always been friends.",
         "since then {H} has never been alone, for {friend} [lives next door|comes every day]."]]),
    ("patience", [
        ["%s, {H} found a tiny seed near {lm}." % TIME,
         "%s {a_friend} gave {him} a seed. \"plant it and be patient,\" {f_she} said." % TIME,
         "in spring {H} wanted to grow [the biggest pumpkin|the tallest sunflower|the sweetest berries] {in_place}."],
        ["{h} put it into the earth and gave it water. The next day {h} looked, but [nothing was there|there was only brown earth].",
         "{h} dug a hole, planted it and waited. One day passed, then two, then three. Nothing grew.",
         "every morning {h} ran outside to look. \"grow!\" {h} said. \"please grow!\""],
        ["\"maybe it is a bad seed,\" said {H}, and wanted to dig it up.",
         "{h} sang to it, read to it and even danced for it.",
         "{a_friend} saw {him} and laughed kindly. \"plants do not have clocks,\" {f_she} said."],
        ["but {friend} said, \"wait. Good things take time.\" So {H} waited.",
         "so {h} gave it water each day and [pulled out the weeds|kept the snails away], even when it rained.",
         "for many days {h} [worked and waited|was patient]. The sun shone, and the rain fell."],
        ["then one morning a small green leaf came out of the ground. {H} [danced around it|clapped {his} hands|called all {his} friends].",
         "in summer it was taller than {lm}, and [everyone came to see it|birds sat in its shade].",
         "at the end of summer there was enough for everyone, and {H} shared it with {friend}."]]),
    ("honesty|kindness", [
        ["%s, {H} was playing [in the house|near {lm}] when {h} broke {friend_s} {thing}." % TIME,
         "%s {h} borrowed {a_thing} from {a_friend}. But on the way home it fell and broke." % TIME,
         "%s {H} ran through the door and knocked over {a_thing}. Crash! It belonged to {friend}." % TIME],
        ["{h} looked around. Nobody had seen it.",
         "\"oh no,\" {h} whispered, and hid the pieces [under a bush|behind {lm}|in a box].",
         "{h} felt hot and cold. \"maybe nobody will notice,\" {h} thought."],
        ["but that night {h} could not sleep. {His} [heart|tummy] felt heavy.",
         "all day long {h} could not [eat|play|look at {friend}].",
         "when {friend} asked, \"have you seen my {thing}?\" {H} [said nothing|looked at the floor]."],
        ["at last {h} went to {friend}. \"I broke it,\" {h} said. \"I am very sorry.\"",
         "in the morning {h} took all {his} courage and told {friend} the truth.",
         "\"it was me,\" said {H} with a small voice, and showed {f_him} the pieces."],
        ["{friend} was quiet for a moment. Then {f_she} said, \"thank you for telling me. We can fix it together.\"",
         "{friend} was not angry. \"things break,\" {f_she} said. \"a true word is worth more.\"",
         "they glued it together, and it looked almost as good as new. {H} felt [as light as a feather|happy again]."]]),
    ("kindness|funny", [
        ["%s, there was a big race from {lm} to {lm2}." % TIME,
         "every year there was a race {in_place}, and this year {H} wanted to win.",
         "%s {a_friend} said, \"I am faster than you.\" \"let us race,\" said {H}." % TIME],
        ["{h} trained every day. {He} ran [before breakfast|up the hill and down again|until {his} legs hurt].",
         "everyone came to watch. Three, two, one, go!",
         "the first prize was [a basket of {food}|{a_thing}|a golden cup]."],
        ["{H} was in front when {h} heard a cry. {friend} had [fallen down|slipped in the mud|hurt one foot].",
         "halfway there, {H} saw {a_friend} sitting at the side of the path, [out of breath|with a sore foot].",
         "near {lm2} {h} looked back. {friend} was [far behind and very sad|lying on the ground]."],
        ["{H} thought of the prize. Then {h} turned around and went back to help.",
         "\"go on, you will win!\" said {friend}. But {H} shook {his} head and [helped {f_him} up|gave {f_him} some water].",
         "\"are you all right?\" asked {H}, and carried {f_him} [on {his} back|to the shade]."],
        ["they came in last, side by side. But everyone [clapped the loudest for them|cheered for them].",
         "others came in first, but the [judge|crowd] gave {H} a special prize for {his} kind heart.",
         "in the end they crossed the line together, laughing, and shared the {food}."]]),
    ("funny|scary", [
        ["%s, a strange noise came from {lm}. Boom, boom, scratch." % TIME,
         "for three nights, somebody had been stealing {food} {in_place}.",
         "%s {H} found strange footprints near {lm}." % TIME],
        ["\"it must be a [monster|ghost|dragon],\" whispered the neighbors, and locked their doors.",
         "everyone was afraid, but {H} [wanted to know the truth|took a lantern and went to look].",
         "\"I will find out,\" said {H}, and [put on {his} hat|followed the tracks|waited in the dark]."],
        ["{h} walked on tiptoe. The noise became louder and louder.",
         "{h} hid behind {lm2} and waited. At midnight a shadow came closer.",
         "step by step {h} went closer. {His} heart went thump, thump, thump."],
        ["{h} jumped out and cried, \"who is there?\" It was only {a_friend}!",
         "then {h} held up the lantern. Two big eyes looked back. It was {a_friend}, [with {food} all over {f_his} face|stuck in an old pot].",
         "\"boo!\" said {H}. \"please do not be angry,\" said a small voice. It was {a_friend}."],
        ["\"I was so hungry,\" said {friend}. From then on, there was always a plate of {food} for {f_him}.",
         "\"I only wanted to [play music|learn to dance|build a house],\" said {friend}. Everyone laughed, and nobody was afraid any more.",
         "{H} laughed so hard that {h} had to sit down. Then {h} invited {friend} for [supper|tea]."]]),
    ("teamwork|adventure", [
        ["%s, the old bridge [broke|was gone], and nobody could cross the water." % TIME,
         "%s a big rock rolled onto the path near {lm}, and nobody could get past." % TIME,
         "%s the well near {lm} was dry, and everyone {in_place} was thirsty." % TIME],
        ["{H} tried to fix it alone, but it was too [heavy|hard|much work].",
         "some shouted, some cried, and some [blamed each other|just sat down].",
         "\"this is the end,\" said {a_friend}. \"we can do nothing.\""],
        ["but {H} had a plan. \"if everyone brings one [stone|board|rope], we can do it,\" {h} said.",
         "{h} drew a [plan|picture] in the sand and showed it to {friend}.",
         "\"what if we work together?\" asked {H}. {friend} scratched {f_his} head and nodded."],
        ["the big ones carried, the small ones counted, and {friend} [sang a song|made soup for all].",
         "they worked [all day|for two days|until the stars came out]. {H} [tied the knots|held the light|never stopped smiling].",
         "so they pushed and pulled. \"one, two, three!\" cried {friend}."],
        ["when it was done, they [danced|ate {food} together|had a feast].",
         "at last it was finished. {H} was the first to try it, and it held!",
         "\"we did it,\" said {friend}. \"no,\" laughed {H}. \"we all did it.\""]]),
    ("bedtime", [
        ["one night {H} saw the moon [in the water|above {lm}] and wanted to have it.",
         "every night {H} looked at the stars and wished to touch one.",
         "one night a star fell from the sky and landed near {lm}."],
        ["{h} took a [net|bucket|long ladder] and went to {lm2}.",
         "{h} climbed [higher and higher|to the top of {lm}] and reached out {his} hand, but the sky was too far away.",
         "{h} packed some {food} and {a_thing} and went out into the night."],
        ["{h} tried [three times|again and again], and got only [wet feet|cold hands].",
         "{a_friend} watched {him} and asked, \"what are you doing?\" \"I want some of that light,\" said {H}.",
         "on the way {h} met {a_friend}, who could not sleep either."],
        ["\"you cannot keep the light,\" said {friend}. \"but you can enjoy it every night.\"",
         "{friend} smiled. \"the moon belongs to everyone. That is why it shines so far.\"",
         "\"sit down with me,\" said {friend}. \"from here we can see it all.\""],
        ["so they sat side by side and looked up until their eyes grew heavy.",
         "{H} thought about it and nodded. It was nicer to look at it together.",
         "that night {h} dreamed of flying over {the_place} on a [silver|soft white] cloud."]]),
    ("funny|cooking", [
        ["%s, {H} wanted to cook the best [soup|pie|stew] {in_place}." % TIME,
         "%s {H} invited {a_friend} for supper and started to cook." % TIME,
         "%s {H} found an old cook book near {lm}." % TIME],
        ["{h} put {food} into the pot, and some salt, and then [a bit more salt|a whole cup of pepper|one old shoe by mistake].",
         "{h} forgot the spoon, lost the lid and [burned the onions|dropped the flour on {his} head].",
         "the pot began to shake. Blub, blub, blub! Soon the [floor|whole kitchen] was full of foam."],
        ["{H} tasted it. {His} ears turned red. \"that is terrible!\" {h} cried.",
         "it smelled like [wet socks|burned rope|old cheese].",
         "at that moment there was a knock. It was {friend}, and {f_she} was very hungry."],
        ["{friend} tasted a spoonful, coughed and began to laugh. \"it needs a little help,\" {f_she} said.",
         "\"do not worry,\" said {friend}. \"we will just start again, and I will read the book aloud.\"",
         "{friend} opened a window and took out some [bread|cheese|apples]. \"cooking is more fun with two,\" {f_she} said."],
        ["in the end they had only bread and {food}, but it was the funniest supper ever.",
         "the second pot was so good that [the neighbors came too|they licked the spoons].",
         "and the old pot? {H} used it as a [hat|drum|flower pot]."]]),
    ("friendship|sharing", [
        ["%s, {H} and {his} friend, {a_friend}, found {a_thing} near {lm}." % TIME,
         "{H} had a good friend, {a_friend}. %s they both wanted the same {thing}." % TIME],
        ["\"it is mine!\" said {H}. \"no, mine!\" said {friend}. They pulled until it [almost broke|fell into the mud].",
         "\"I saw it first,\" said {H}. \"but I touched it first,\" said {friend}.",
         "they shouted so loudly that the birds flew away."],
        ["after that they did not speak [for a whole day|for three days].",
         "{friend} went home in one direction and {H} in the other. Nobody was happy.",
         "{H} kept the {thing}, but playing alone was no fun at all."],
        ["{h} missed {f_his} [laugh|stories|songs]. So {h} took the {thing} and went to {friend}.",
         "then it began to rain, and both ran to {lm2}. There they sat, back to back, until {H} said, \"I am sorry.\"",
         "\"a {thing} cannot laugh with me,\" thought {H}, and ran to {friend_s} house."],
        ["\"I am sorry too,\" said {friend}. \"let us share it. One day you, one day me.\"",
         "they found out that [it was even more fun with two|there was enough for both].",
         "they gave the {thing} to a small [child|bird|mouse] who had no toys, and went to play together."]]),
    ("sharing|kindness", [
        ["%s, {H} had only one [piece of bread|bowl of soup|bag of {food}] left." % TIME,
         "it was a hard winter, and {H} had little to eat.",
         "%s {H} was on the way to {lm} with a basket of {food}." % TIME],
        ["near {lm2} sat {a_friend}, thin and tired.",
         "{a_friend} came along the road. \"I have not eaten for [two|three] days,\" said {friend}.",
         "there {h} met {a_friend} who looked at {him} with big eyes."],
        ["{H} was hungry too. {He} looked at {his} food and thought for a while.",
         "\"if I give it away, I will have nothing,\" thought {H}.",
         "some had already walked past and looked away."],
        ["then {h} broke it in two and gave {friend} the bigger half.",
         "\"sit down and eat with me,\" said {H}. \"half is enough for me.\"",
         "{h} smiled and said, \"take it. You need it more than I do.\""],
        ["{friend} thanked {him} and left. The next morning there was a [sack of flour|big basket of {food}|pot of honey] at the door.",
         "when spring came, {friend} returned and [planted an apple tree for {him}|brought {a_thing}]. \"I did not forget,\" {f_she} said.",
         "strange, {H} thought, the small half tasted better than any meal before."]]),
    ("music|travel|adventure", [
        ["%s, a [bottle with a letter|small blue letter|torn map] lay in front of {his} door." % TIME,
         "%s {h} heard music [far away|from {lm}], so sweet that {h} stopped to listen." % TIME,
         "%s a [ship|cart|balloon] came to {the_place}, and {H} wanted to see the world." % TIME],
        ["\"come to {lm} when the sun goes down,\" somebody had written. There was no name.",
         "{h} packed {his} {thing} and some {food} and [set off|said goodbye].",
         "{h} thought about it [all day|for a long time]. Then {h} went out to look."],
        ["the way was long. {H} went past {lm2}, [over a hill|through tall grass|along the water], and did not stop.",
         "on the way {h} asked [a snail|an old woman|two birds], but nobody knew anything.",
         "{his} feet were sore and it began to rain, but {h} wanted to know."],
        ["near {lm} {h} found {a_friend}. \"you came!\" said {friend}. \"I [have been waiting for somebody|did not dare to ask].\"",
         "there sat {a_friend} with {a_thing}. \"I play because I [miss my home|cannot sleep],\" said {friend}.",
         "at last {h} met {a_friend}, who had traveled even farther. \"sit down,\" said {friend}. \"I will tell you everything.\""],
        ["they talked all night, and in the morning {H} had a new friend and [a new song|a hundred new stories].",
         "{H} learned the song and brought it back to {the_place}, where they still sing it today.",
         "and when {h} came home, {his} own bed had never been so soft."]]),
]


def spec(rng):
    """What a story is about; a request in a conversation mentions some of these choices."""
    s = {"topic": None, "short": rng.random() < 0.15}
    r = rng.random()
    if r < 0.62:
        s["kind"], s["pronoun"] = rng.choice(BEASTS), rng.choice(("he", "she"))
    elif r < 0.76:
        s["kind"], s["pronoun"] = rng.choice((("girl", "she"), ("boy", "he")))
    elif r < 0.84:
        s["kind"], s["pronoun"] = rng.choice(ODD_HEROES), rng.choice(("he", "she", "it"))
    elif r < 0.88:  # an invented creature: the model has to copy the word
        s["kind"], s["pronoun"] = draw_name(rng, made_up=1).lower(), rng.choice(("he", "she"))
    else:
        s["kind"], s["pronoun"] = rng.choice(PEOPLE).split(":")
    s["name"] = None
    if s["kind"] in ("girl", "boy") or rng.random() < 0.55:
        if s["kind"] in BEASTS and rng.random() < 0.5:
            s["name"] = rng.choice(PET_NAMES)
        else:
            s["name"] = draw_name(rng, made_up=0.25, known={"girl": GIRLS, "boy": BOYS}.get(s["kind"], NAMES))
    s["adj"] = rng.choice(HERO_ADJ) if rng.random() < 0.75 else ""
    s["friend"] = rng.choice([b for b in BEASTS if b != s["kind"]])
    s["place"] = rng.choice(PLACES)
    s["thing"], s["color"] = rng.choice(THINGS), rng.choice(COLORS)
    s["food"] = rng.choice(FOODS)
    s["plot"] = rng.randrange(len(PLOTS))
    return s


def tell(rng, s):
    """Writes the story for a spec."""
    kind, adj = s["kind"], s["adj"]
    he, him, his, himself = PRONOUNS[s["pronoun"]]
    other = {"he": "she", "she": "he", "it": "she"}[he]  # mostly the other pronoun, so that "he" stays clear
    f_she, f_him, f_his, _ = PRONOUNS[other if rng.random() < 0.85 else rng.choice(("he", "she"))]
    place, in_place, marks = s["place"]
    lm, lm2 = rng.sample(marks, 2)
    f_adj = rng.choice(HELPER_ADJ)
    named = " %s %s" % (rng.choice(("named", "called")), s["name"]) if s["name"] else ""
    slots = {
        "a_hero": "a %s %s%s" % (adj, kind, named), "adj": adj, "kind": kind, "named": named,
        "h": he, "He": he.capitalize(), "him": him, "his": his, "His": his.capitalize(), "himself": himself,
        "friend": "the " + s["friend"], "friend_s": "the %s's" % s["friend"],
        "f_she": f_she, "f_him": f_him, "f_his": f_his,
        "place": place, "in_place": in_place, "the_place": in_place[in_place.index("the "):], "lm": lm, "lm2": lm2,
        "thing": s["thing"], "color": s["color"], "a_thing": "a %s %s" % (s["color"], s["thing"]),
        "food": s["food"],
    }
    beats = [rng.choice(OPENINGS)]
    if not s["short"] and rng.random() < 0.75:
        beats.append(rng.choice(LIFE))
    plot = [rng.choice(b) for b in PLOTS[s["plot"]][1]]
    if s["short"]:
        del plot[2]
    beats += plot
    if s["topic"] == "bedtime":
        beats.append(rng.choice(SLEEPY))
    elif rng.random() < 0.8:
        beats.append(rng.choice(ENDINGS))
    out, met = [], False
    for i, beat in enumerate(beats):
        if not beat:
            continue
        # The second character is "an old owl" once and "the owl" from then on.
        introduced = "{a_friend}" in beat
        slots["a_friend"] = "the " + s["friend"] if met else "a %s %s" % (f_adj, s["friend"])
        if not met and not introduced and re.search(r"\{friend(_s)?\}", beat):
            beat = re.sub(r"\{friend(_s)?\}", lambda m: "a %s %s%s" % (f_adj, s["friend"], "'s" if m.group(1) else ""),
                          beat, count=1)
            introduced = True
        met = met or introduced
        def hero(m):
            if s["name"]:
                return s["name"] if rng.random() < 0.75 else "the " + kind
            return "the %s %s" % (adj, kind) if adj in ("little", "young", "small") and rng.random() < 0.3 else "the " + kind
        beat = re.sub(r"\{H\}", hero, beat)
        out.append(expand(rng, beat, slots))
    if rng.random() < 0.25:  # some stories come in paragraphs
        cut = rng.randrange(2, len(out) - 1)
        return " ".join(out[:cut]) + "\n\n" + " ".join(out[cut:])
    return " ".join(out)
