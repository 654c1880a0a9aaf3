"""The grammatical kind of a premise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.demo.unseen import UNSEEN
from polaris_cli.request.premise_kinds import kind_of

PHRASES = """
a lighthouse keeper who finds a letter in the fog
two sisters, one violin
two sisters and one violin
the last train
The last train home
The last train.
someone else
someone like me
Venice as a ghost
The stairs to heaven
letters to soldiers every winter
a girl whose father is king
a news anchor with a secret
an arms dealer
a glass bus in Paris
A fox.
a man named the Hammer
a thief stealing the crown
the day the music died
the letters he had burned
half the kingdom
all the king's men
a boy without a shadow
grief
Anna and the wolf
someone who never sleeps
the sea, the storm and a boat
a keeper of bees
write-offs and other losses
Craft beer brewers at war
Pen pal romance
Mia's essay about grief
a review of her debut ruins a novelist's life
A script about war changes the studio
Write-offs and a story
The short story about a fox that nobody read
500 words for rain
scene of the crime
*a fox*
a mystery, a man and 500 words
conte de fées et autres mensonges
Give and take
a parrot who knows 12 words of French
Dr. Jekyll and Mr. Hyde
J. R. R. and the ring
how a fox learned to swim
a fox that steals hens
friendship between a dog and an octopus
a previous life
ein Leuchtturmwärter, der einen Brief findet
un gardien de phare
一个守灯塔的人
"""

SENTENCES = """
A retired cartographer returns to find his last map is missing
a retired cartographer returns to his village
a fox stole a hen
two sisters inherit a violin
Anna finds a letter in the fog
He wakes up on the moon
He never slept
She waits while the tide comes in
Anna loves him
Anna learns that the moon fell
Dreams are taxed
All men carry a secret
Foxes steal the moon
500-word story wins a prize
a 500-word story wins a prize
a fox steals hens at night
Rain over the harbour.
There is a door in the sea
the town in the valley is sinking
The king must choose between his sons.
A lighthouse keeper finds a letter.
What if the moon fell down?
what if dreams were taxed
Imagine a world where dreams are taxed
Is there life after tea?
My grandmother was a spy
nobody believes the boy
Ein Fuchs findet einen Brief im Nebel.
狐狸想要飞。
"""

TEXTS = """
A fox wants to fly. It builds wings of straw.
She left. He stayed! Why?
"Come in," he said. The door was open.
一只狐狸想要飞。它做了翅膀。
एक लोमड़ी उड़ना चाहती है। वह पंख बनाती है।
"""

REQUESTS = """
Write a fable about a fox
Please write me a story about rain.
please, tell me how the moon was made
Can you write a scene in a bakery?
I want a story about two sisters
I'd like you to write about grief
Tell the story of a clock. Make it sad.
Create an essay on silence
Write story about a fox
Generate story about dragons
Create short bedtime stories about a fox
Write exactly 100 words about snow
Write at least five hundred words
Write between 1,500 and 2,000 words
Write no more than 100 words about snow
**Write a story about a fox**
# Write a story about a fox
- Write a story about a fox
Schreibe ein Märchen über einen Fuchs
Bitte erzähle von einem Dorf
Écris une histoire de fantômes
Escribe un cuento sobre el mar
写一个关于狐狸的故事
请写一篇小说
Scrivi una storia di 500 parole
Raccontami di una volpe
Crea una historia sobre el mar
Haz un cuento triste
Escreva um conto sobre o mar
Conte uma história
Schrijf een verhaal over een vos
Vertel over een vos
Napisz opowiadanie o lisie
Напиши рассказ о лисе
"""

FORMS = """
a fable about a fox
A 500-word story about a fox
a short story in which nobody speaks
A haunting fairy tale of snow
an essay on silence
Essay on silence
a story about a fox that steals a hen
a story about how a fox steals the moon
a scene in which she breaks a vow
500-word story
Sad children's story about a fox
Short story about a fox, 500 words
500-word story about a fox
1500-2000 word fantasy tale
500 words about a fox
About 500 words on silence
a 500-word horror story
an 800-word essay
A 500-word bedtime story
a 2,000-word mystery
a 500-word story between a fox and a crow
a 1.5k-word story about x
a 500 word story please
a 500-word story in French
a thousand-word horror story
a romance between a baker and a spy
a short story, about 800 words, about a fox
a story, max. 300 words
Love story, 500 words
horror story (500 words)
a story, 300 to 400 words
a poem: 200 words
story of about 500 words
"""


@pytest.mark.parametrize(
    ("kind", "premise"),
    [
        (kind, premise)
        for kind, table in (
            ("phrase", PHRASES), ("sentence", SENTENCES), ("text", TEXTS),
            ("request", REQUESTS), ("form", FORMS),
        )
        for premise in table.strip().splitlines()
    ],
)  # fmt: skip
def test_the_kind_of_a_premise(kind: str, premise: str) -> None:
    assert kind_of(f" {premise}\n") == kind


def test_lines_make_a_text_and_a_request_may_have_several() -> None:
    assert kind_of("a fox\na hen") == "text"
    assert kind_of("Write a story.\n\nIt is about a fox.") == "request"


def test_the_demos_phrases_are_phrases() -> None:
    """The demo model was trained on this wording."""
    wrong = [p for _, p in UNSEEN if not p.endswith(".") and kind_of(p) not in ("phrase", "form")]
    assert wrong == []


@given(st.text())
def test_any_text_has_a_kind(premise: str) -> None:
    kind_of(premise)


def test_long_texts_are_fast() -> None:
    for part in ("a ", "word ", ". ", "a fox, ", "\u4e00", "very very long "):
        kind_of(part * 30_000)
