"""Sentences of the scenes between a story's event and its ending, by kind of scene.

A scene has a gist (one line of the plan, third person present), openers (its first sentence, which
names the scene's keyword) and followers. Slots are those of `scenes.py`.
"""

from dataclasses import dataclass

from polaris_cli.demo.scenes import lines


@dataclass(frozen=True)
class SceneKind:
    """One kind of scene: `uses` says which words can be its keyword ("place" or "thing")."""

    uses: str
    gists: list[str]
    openers: list[str]
    followers: list[str]


KINDS: dict[str, SceneKind] = {
    "search": SceneKind(
        "place",
        [
            "searches the {key}",
            "looks for answers at the {key}",
            "asks about {matter} at the {key}",
        ],
        lines("""
{hero} searched the {key} from one end to the other.
At the {key} {hero} began to ask about {matter}.
The {key} was the first place where {he} looked.
There was no one at the {key} when {hero} got there, only {sound} far away.
{he} spent the whole day at the {key}, looking under everything.
If there was an answer, {hero} thought, it was at the {key}.
{he} went over the {key} with a lamp, step by step.
"""),
        lines("""
{he} found a {small}, a {adj} rag and nothing else.
The {crowd} shrugged and sent {him} away.
Behind a {material} board there was only dust.
Every drawer was empty, and every shelf was {adj}.
{he} turned over {num} stones before it grew dark.
Nobody could say who had been there last.
The floor was {adj} and told {him} nothing.
A {animal} ran out between {his} feet.
{he} looked twice in the places where {he} would have hidden it.
Someone had been there before {him}, and not long ago.
In the corner lay a {material} box with a {adj} lid.
"Try again," {he} said to {himself}, and did.
"""),
    ),
    "meet": SceneKind(
        "place",
        ["meets {friend} at the {key}", "asks {friend} for help at the {key}"],
        lines("""
{friend} was waiting at the {key}, wrapped in a {colour} coat.
At the {key} {hero} met {his} {rel} {friend}, who had not slept either.
{he} found {friend} at the {key}, mending something {adj}.
It was at the {key} that {friend} finally spoke to {him}.
{hero} ran into {friend} by the {key} and told everything at once.
When {hero} reached the {key}, {friend} was already there.
"""),
        lines("""
"{ask}?" asked {friend}.
"{say}," said {friend}.
"{say}," {friend} said, and poured two cups of tea.
{friend} listened without a word and then nodded.
"I need your help," said {hero}, and that was hard to say.
They had not spoken for {num} years, and it took a while.
"{ask}?" {hero} asked, but {friend} only looked at the ground.
{friend} knew more about {matter} than anyone had guessed.
They shared a {adj} loaf and made a plan.
"{say}," said {friend}. "{say2}."
{friend} drew a line in the dust with a {small}.
In the end {friend} agreed, though not gladly.
"""),
    ),
    "talk": SceneKind(
        "thing",
        ["shows {friend} the {key}", "talks with {friend} about the {key}"],
        lines("""
{hero} laid the {key} on the table in front of {friend}.
{friend} held the {key} up to the light and said nothing.
That evening {hero} showed the {key} to {friend}.
"Tell me about the {key}," said {hero}.
{friend} had seen the {key} before, and turned pale.
They talked about the {key} until the lamp went out.
"""),
        lines("""
"{ask}?" asked {hero}.
"{say}," said {friend} after a long time.
"{say}," {friend} whispered. "{say2}."
{friend} turned away so that {he} could not see {fhis} face.
It was not much of an answer, but it was an honest one.
"And {matter}?" {hero} asked.
"{ask}?" said {friend}, and there was no good answer to that.
Neither of them touched the bread.
{friend} told {him} how it had all begun, {num} years before.
"You could have told me," {hero} said.
The clock on the wall had stopped, and neither of them noticed.
{hero} wanted to be angry and was only {mood}.
"""),
    ),
    "journey": SceneKind(
        "place",
        ["walks to the {key}", "travels as far as the {key}", "sets out for the {key}"],
        lines("""
It was a long way to the {key}, and {hero} walked it alone.
{he} set out for the {key} at {time}.
The road to the {key} led through {sky} and wet leaves.
To get to the {key}, {hero} had to cross half the country.
{he} reached the {key} with sore feet and an empty bag.
{num} miles lay between {hero} and the {key}.
"""),
        lines("""
A cart went by, but it did not stop.
{he} slept one night in a barn that smelled of {smell}.
On the way {he} ate an apple and half a {adj} loaf.
{skyword} came from the side and got under {his} collar.
A {crowd} on a bicycle wished {him} luck.
{he} counted the milestones until there were no more.
Once {he} lost the path and found it again by the smell of {smell}.
The hills were {colour} and went on for ever.
A {animal} kept {him} company for a mile or two.
{he} thought of {matter} and walked faster.
By {time} {his} boots were full of water.
{he} sang to {himself} so as not to turn round.
"""),
    ),
    "storm": SceneKind(
        "place",
        ["is caught by the {sky} at the {key}", "waits out the {sky} at the {key}"],
        lines("""
The {sky} caught {hero} at the {key}.
At the {key} there was nothing to do but wait for the {sky} to pass.
First came the wind, then the {sky}, and then the {key} was gone from sight.
{hero} took shelter at the {key} when the {sky} came down.
Over the {key} the {sky} had turned the whole world {colour}.
"""),
        lines("""
Water ran down the walls and over {his} shoes.
{he} held on to a {material} rail and shouted, but nobody answered.
A shutter broke loose and flew away like a {animal}.
{he} could not see {his} own hands.
It lasted until {time}, and then it was suddenly still.
Under {his} coat {he} kept what {he} could not lose.
{he} shared the dry corner with a {animal}.
Somewhere in the noise {he} heard {sound}.
{he} prayed, which {he} had not done for {num} years.
Everything smelled of {smell}.
When it was over, the ground was covered with leaves.
It was then, wet to the skin, that {he} thought of {matter}.
"""),
    ),
    "loss": SceneKind(
        "thing",
        ["loses the {key}", "finds the {key} broken", "finds that the {key} is gone"],
        lines("""
In the morning the {key} was gone.
{hero} reached for the {key}, and it was not there.
Somebody had broken the {key} in two.
The {key} slipped from {his} hand and was lost.
That was the day when {hero} lost the {key}.
Without the {key} there was no way forward.
"""),
        lines("""
{he} searched every pocket three times.
It had been {adj}, but it had been all {he} had.
The {crowd} swore that nobody had come in.
There were {adj} footprints under the window.
{he} sat on the floor and felt {mood}.
"Not now," {he} said aloud.
A whole week of work had come to nothing.
It was the worst hour of that {adj} year.
{he} suspected everyone, even {friend}.
For the first time {he} thought of giving up.
Nobody would ever believe {him} now.
{he} kicked the {material} door and hurt {his} foot.
"""),
    ),
    "find": SceneKind(
        "thing",
        ["finds a {key}", "discovers a {key}", "digs up a {key}"],
        lines("""
Under a loose board {hero} found a {key}.
There, among the leaves, lay a {key}.
What {he} found was a {key}, and it was still warm.
It was only a {key}, but {hero} knew what it meant.
{hero} pulled a {adj} {key} out of the mud.
Behind the wall, wrapped in paper, was a {key}.
"""),
        lines("""
There was a name scratched into it, too small to read.
It was {colour} and {adj} and fitted into one hand.
{he} cleaned it with {his} sleeve.
Someone had hidden it well, and not very long ago.
{he} laughed out loud, alone as {he} was.
It was older than the town itself.
It smelled of {smell} and did not weigh much.
A {small} was stuck to the bottom of it.
Nobody must know, {he} decided.
It had to do with {matter}, there was no doubt.
{he} wrapped it in {his} scarf and hurried home.
Now {he} felt {mood} and wide awake.
"""),
    ),
    "doubt": SceneKind(
        "thing",
        ["doubts and looks at the {key}", "lies awake over the {key}"],
        lines("""
At night {hero} lay awake and looked at the {key}.
What use was a {key} to someone who was afraid?
{he} turned the {key} over and over and could not decide.
The {key} seemed to ask {him} what {he} was waiting for.
{hero} put the {key} away and took it out again.
"""),
        lines("""
Perhaps it was all a mistake.
{he} had never been brave, and {he} knew it.
"{ask}?" {he} asked the empty room.
{his} mother would have known what to do.
{he} tried to pray and thought of {matter} instead.
Other people would simply have gone to bed.
The candle burned down to a {small} of light.
{he} felt {mood}, and then {mood2}.
If {he} stopped now, nobody would blame {him}.
Outside, {sound} broke the silence.
{he} had wanted to {wish}, and was it so much to ask?
Towards {time} {he} made up {his} mind and lost it again.
"""),
    ),
    "memory": SceneKind(
        "thing",
        ["remembers the {key} of {his} childhood", "remembers whose {key} it was"],
        lines("""
{hero} remembered the {key} from when {he} was small.
There had been a {key} just like it in {his} father's house.
The {key} brought back a summer long ago.
As a child {hero} had owned a {key}, until it was taken away.
{he} knew that {key}; it had belonged to {friend}.
"""),
        lines("""
In those days the house had smelled of {smell}.
{his} father had never talked about it.
{he} had been {num} years old and afraid of nothing.
There had been a song, but {he} had lost the words.
{friend} had been there too, laughing at the window.
It hurt a little, like a tooth.
{he} could still see the {colour} curtains.
Then came the bad years, and nobody sang.
"Never sell it," {his} grandmother had said.
How long ago that was, and how near.
{he} had promised something then, and {he} had not kept it.
Even {matter} had a place in that memory.
"""),
    ),
    "gift": SceneKind(
        "thing",
        ["is given a {key} by {friend}", "borrows a {key} from {friend}"],
        lines("""
{friend} came to the door with a {key} under {fhis} arm.
"Take the {key}," said {friend}.
{friend} gave {hero} a {key} and would not be thanked.
What helped in the end was a {key}, and it came from {friend}.
In a {adj} bag {friend} had brought a {key}.
"""),
        lines("""
"{say}," said {friend}.
"It was my mother's," said {friend}. "{say2}."
{hero} did not know what to say.
It was exactly what {he} needed.
"{ask}?" asked {hero}, and {friend} shook {fhis} head.
{friend} stayed for soup and went before dark.
There was a small crack in it, mended with {material}.
Nobody had given {him} anything for {num} years.
They stood in the doorway and listened to {sound}.
{he} held it with both hands.
"You will need it for {matter}," {friend} said.
It was worth more than {he} could ever pay.
"""),
    ),
    "refusal": SceneKind(
        "place",
        ["is turned away at the {key}", "finds the {key} closed"],
        lines("""
At the {key} they would not let {hero} in.
The {key} was closed, and a {crowd} stood in front of it.
"Not today," said the {crowd} at the {key}.
{hero} was sent away from the {key} three times.
Nobody at the {key} wanted to hear about {matter}.
"""),
        lines("""
"{say}," said the {crowd}, and shut the window.
There was a paper to sign, and then another paper.
{he} waited on a {material} bench until {time}.
The {crowd} laughed, and the others laughed too.
It was the rule, they said, and the rule was old.
{he} offered money, and that made it worse.
A {adj} notice hung on the door.
{he} had not come all that way to be {mood}.
"{ask}?" {he} asked, but nobody answered.
So {he} went round to the back, where there is always a door.
{he} bit {his} lip and said thank you.
Even the {animal} in the yard growled at {him}.
"""),
    ),
    "work": SceneKind(
        "thing",
        ["mends the {key}", "works on the {key} all night", "builds a {key}"],
        lines("""
{hero} worked on the {key} from {time} on.
To mend the {key} {he} needed {material} and patience.
All night {hero} bent over the {key}.
The {key} had to be ready, and there was no one else to do it.
{he} took the {key} apart and laid the pieces on a cloth.
"""),
        lines("""
{his} fingers bled, and {he} did not notice.
Three times it failed, and the fourth time it held.
{he} used a {small} where a screw was missing.
The {crowd} brought soup and asked no questions.
By morning the table was covered with {material} dust.
It was not beautiful, but it worked.
{he} had learned that from {his} father, long ago.
Everything smelled of {smell}.
{he} hummed an old song, over and over.
"There," {he} said at last.
{he} did it for {matter}, and for nobody else.
When it was done, {he} felt {mood} and very hungry.
"""),
    ),
    "night": SceneKind(
        "place",
        ["waits through the night at the {key}", "hides at the {key}"],
        lines("""
{hero} spent that night at the {key}.
After dark the {key} was another place.
{he} hid near the {key} and waited.
By night {hero} went to the {key} with a lamp.
There was one light at the {key}, and then there was none.
"""),
        lines("""
Hour after hour nothing happened.
A {animal} crossed the path and stopped to look at {him}.
{he} heard {sound}, and then steps.
Somebody was coming, slowly, with a {material} stick.
The moon was thin and {colour}.
{he} breathed into {his} hands to warm them.
At {time} a figure came out of the dark and went in again.
{he} thought of warm soup and of {matter}.
Twice {he} nearly fell asleep.
"Who is there?" a voice called, and {he} kept still.
It grew so cold that the puddles froze.
What {he} saw then {he} told nobody for a year.
"""),
    ),
    "turn": SceneKind(
        "thing",
        ["learns the truth from the {key}", "understands what the {key} means"],
        lines("""
Then {hero} understood what the {key} was for.
The truth had been in the {key} all the time.
It was the {key} that gave everything away.
{hero} looked at the {key} once more, and suddenly it was plain.
Inside the {key} there was a folded note.
"""),
        lines("""
{matter} had never been the danger.
{friend} had known, and had said nothing, out of love.
All those years everyone had believed the wrong story.
{he} had to sit down.
So that was why the door had been locked.
It was so simple that {he} laughed.
The {crowd} had lied, and {he} could prove it.
There was a date on it, and the date was today.
It had not been an accident.
Now there was very little time.
{he} read it {num} times to be sure.
Nothing in {town} would be the same after that.
"""),
    ),
    "choice": SceneKind(
        "place",
        ["must choose at the {key}", "takes a risk at the {key}", "faces the crowd at the {key}"],
        lines("""
At the {key} {hero} had to choose.
Half of {town} had come to the {key} by {time}.
In front of the {key} {hero} stopped and took a breath.
There were two ways from the {key}, and both were bad.
{hero} climbed on a crate by the {key} and began to speak.
"""),
        lines("""
{he} could still turn back.
{his} voice shook at first, and then it did not.
"{say}," {he} said, and it was very quiet.
{he} thought of {friend}, and then {he} did it.
Somebody threw a {small}, and somebody else caught it.
The {crowd} put down the lamp and nodded.
It was the right thing, and it was {adj} all the same.
For once {he} was not {mood}.
{he} gave away the only thing that was worth anything.
"I was wrong," {he} said, loud enough for everyone.
What {he} did next was for {matter}.
One by one, people stepped to {his} side.
"""),
    ),
    "return": SceneKind(
        "place",
        ["comes back to the {key}", "goes home past the {key}"],
        lines("""
It was {time} when {hero} came back to the {key}.
The {key} looked smaller than before.
{hero} went home the way {he} had come, past the {key}.
From far away {he} saw the lights of the {key}.
{friend} had left a lamp burning at the {key}.
"""),
        lines("""
Nothing had changed, except the {colour} paint on the door.
The {animal} knew {him} at once.
{he} had been away for {num} days, and it felt like years.
The {crowd} nodded, as if {he} had only been out for bread.
The air smelled of {smell} and of home.
{he} put down {his} bag and did not pick it up again.
"You are thinner," said the {crowd}.
Somewhere {sound} was to be heard, as always.
{he} still had {thing} with {him}.
There was a note under the door, in a {adj} hand.
{he} walked slowly, to make it last.
What {he} would say about {matter}, {he} did not know yet.
"""),
    ),
}
