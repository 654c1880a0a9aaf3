"""Sentences of the demo stories that frame them: openings, the event, endings, later episodes.

Slots in braces are filled by `grammar.py`: `{key}` is the scene's bare keyword, `{core}` what the
premise is about, `{matter}` what the hero is concerned with. This module knows neither premises
nor lengths.
"""


def lines(text: str) -> list[str]:
    """The sentences of a block of text, one a line."""
    return [line.strip() for line in text.strip().splitlines()]


OPENING_PERSON = lines("""
{hero} was {a_role} in {town}, near the {key}, and had been for {num} years.
Everyone who passed the {key} in {town} knew {hero}, {a_role} with {adj} hands.
In {town}, in a room above the {key}, lived {hero}, {a_role}.
There was once {a_role} named {hero} who lived behind the {key} in {town}.
{hero} had been {a_role} for as long as the {key} in {town} had stood.
Nobody at the {key} remembered a time before {hero}, {a_role} of {town}.
{day_cap}, {hero}, {a_role}, walked past the {key} in {town} and felt {mood}.
The people of {town} called {hero} {a_role}, and {he} worked by the {key}.
""")
OPENING_THING = lines("""
Everyone near the {key} in {town} knew about {core}, but only {hero} thought of it at night.
{hero} lived by the {key} in {town} and had never stopped thinking of {core}.
{day_cap}, at the {key} in {town}, {hero} first heard of {core}.
{hero} was {num} years old when {he} first heard of {core}, at the {key} in {town}.
In {town}, behind the {key}, people told stories about {core}, and {hero} listened.
The story of {core} was an old one in {town}, and {hero} heard it at the {key}.
There was a {adj} house near the {key} in {town}, where {hero} dreamed of {core}.
Nobody at the {key} in {town} would speak of {core}, and so {hero} did.
""")
OPENING_FOLLOW = lines("""
{he} rose before {time}, ate standing up, and listened to {skyword} on the roof.
It was a {adj} life, but it was {his} own.
What {he} wanted most was to {wish}.
The rooms were {adj} and smelled of {smell}.
{he} owned {num} books, a {adj} coat and a {animal} without a name.
People liked {him}, though few of them knew {him} well.
The winters there were long, and the {colour} roofs leaked.
{his} {rel} {friend} lived on the other side of {town}.
Most days were the same, and {he} had learned to be {mood} about it.
{he} had a {material} chair by the window and the habit of sitting in it.
Once {he} had tried to leave, and once was enough.
On the shelf stood a {small} and a {material} cup, and that was all {he} had kept.
No one had ever asked {him} what {he} wanted.
""")

EVENT = lines("""
It began when {he} {event}.
Then, {day}, {hero} {event}.
Everything changed on the day {he} {event}.
At {time} on a {adj} morning, {hero} {event}.
Nobody saw it happen when {hero} {event}.
{he} had not planned anything, and yet {he} {event}.
""")
EVENT_OBJECT = lines("""
It began {day}, when {matter} changed everything.
Then, {day}, {hero} came upon {matter}.
At {time} on a {adj} morning, {hero} saw {matter} with {his} own eyes.
Nobody else was there when {hero} first stood before {matter}.
It was {matter}, and nothing else, that kept {hero} awake.
{he} had not asked for {matter}, and yet there it was.
""")
EVENT_FOLLOW = lines("""
For a while {he} did nothing at all.
{he} told no one, not even {friend}.
{skyword} had stopped, and the street smelled of {smell}.
{his} hands were cold, and {he} felt {mood}.
"{say}," {he} told {himself}, and did not believe it.
{he} counted to {num} and looked again.
Somewhere behind {him} {sound} could be heard, and then nothing.
It was a {adj} thing to happen to anyone.
{he} knew at once that it had to do with {thing}.
A {animal} watched {him} from the wall as if it understood.
It was not what {he} had hoped for, but it was something.
{he} went home by the long way and locked the door twice.
{he} wrote the hour on a scrap of paper so as not to forget it.
After that, {he} could think of little else than {matter}.
""")

ENDING = lines("""
In the end {hero} came back to the {key}, and nobody wondered about {core} any more.
Years later, people at the {key} still told how {hero} and {core} belonged together.
When it was over, {hero} sat down by the {key} and thought of {core} without fear.
So it ended, at the {key}, with {hero} and the truth about {core}.
By {time} it was settled, and {hero} looked from the {key} towards {core} and smiled.
That was the last anyone heard of the trouble, and at the {key} they spoke kindly of {core}.
At last {hero} understood {core}, and the {key} looked like a place to stay.
The {key} was quiet again, and so, at last, was everything about {core}.
""")
ENDING_PERSON = lines("""
In the end {core} came back to the {key}, and {town} had not changed, but {hero} had.
Years later, people at the {key} still told the story of {core}.
When it was over, {core} sat down by the {key} and slept without dreams.
So it ended, at the {key}, where {core} had what {he} needed.
By {time} it was settled, and {core} walked home past the {key}.
At the {key} they still speak of {core}, and they speak kindly.
From that day on {core} was never alone at the {key} again.
At last {core} stood before the {key} and was glad to be {hero}.
""")
ENDING_FOLLOW = lines("""
{he} had wanted to {wish}, and in a way {he} had.
{friend} came by in the evenings, and they talked of small things.
{he} kept {thing} on the shelf and never needed it again.
Nobody in {town} locked a door that winter.
It was not a great victory, but it was enough.
{skyword} came and went, and {he} did not mind it.
"{say}," {friend} said once more, and this time {he} laughed.
{he} slept until noon, and nobody woke {him}.
The {animal} moved in and stayed.
Some debts, {he} found, are paid simply by staying.
And when {sound} was heard at night, {he} only turned over.
{he} put the {small} back where it belonged and closed the window.
What had been broken was mended, or nearly.
The light over {town} was {colour}, and there was time.
""")
LAST_LINES = lines("""
That was all {he} had ever wanted.
After that, the nights were quiet.
And so it stayed.
{he} did not look back.
Then {he} put out the light and went to bed.
It was enough for one life.
Outside, {skyword} began, and nobody was afraid of it.
Tomorrow would be an ordinary day, and {he} was glad.
And the door was left open.
{he} was home.
""")
OPEN_ENDS = lines("""
It was not over yet, and {he} knew it.
Tomorrow {he} would have to go on.
The next step could not be put off for long.
{he} slept badly, with {thing} in {his} thoughts.
There was more to come, and {he} packed {his} bag.
Behind the window a light went on, and then another.
{he} had an answer now, and with it a new question.
So the night passed, and the work was only half done.
""")

ANYWHERE = lines("""
It was {adj} and smelled of {smell}.
Far away {sound} could be heard.
{he} felt {mood}, and did not know why.
The light was {colour}.
{he} waited.
Nobody said a word.
{skyword} did not stop.
There was a {small} on the ground, and {he} put it in {his} pocket.
A {animal} looked at {him} and walked on.
{he} thought of {thing}, and of {town}, and of home.
It took longer than {he} had expected.
All at once {he} felt {mood}.
{he} had {num} coins left, and one of them was {adj}.
The {crowd} went by and did not greet {him}.
Everything was {adj}, even the sky.
A {material} door stood open, and behind it was nothing.
{he} wished {friend} were there.
There was {sky} in the air, and the smell of {smell}.
"{say}," somebody called across the street.
Time passed, and the shadows grew {adj}.
{he} tied {his} scarf tighter and went on.
In {town} they would have called it bad luck.
More than anything {he} wanted to {wish}.
On the ground lay a {colour} leaf and a {small}.
{he} did not sleep much in those days.
It would have been easy to turn round, and {he} did not.
At {time} the bells rang, first one and then all of them.
There was always {matter} to think of.
The whole matter of {matter} would not leave {him} alone.
{he} had told no one about {matter}, and perhaps that was wrong.
""")
EPISODES = lines("""
The next spring {hero} heard a new rumour about the {key}.
A year later a {adj} stranger asked {hero} about the {key}.
But {day} another message came, and it spoke of the {key}.
The summer after that, {hero} had a new wish, and it had to do with the {key}.
{num} years later {hero} stood at the {key} again.
When the winter came, there was trouble at the {key}.
One morning, long after all that, {friend} came running from the {key}.
Then the {key} burned, and {hero} was needed once more.
""")
EPISODE_FOLLOW = lines("""
{he} had hoped for quiet years, and now {he} packed {his} bag.
This time {he} wanted to {wish2}.
The old trouble about {matter} was forgotten, and the new one was worse.
"{ask}?" asked {friend}.
{friend} was against it and came along all the same.
On the third day everything went wrong.
They lost {num} hours and all their bread.
It was {friend} who found the way out.
A {crowd} they had never trusted opened the door for them.
What looked like the end was only {skyword}.
{he} gave up the {small} {he} had kept for luck, and that was enough.
Then, against all reason, it worked.
""")
