"""Sentences of the demo stories that frame them: openings, the event, endings, later episodes.

They stand in `sentences.txt`. Slots in braces are filled by `grammar.py`: `{key}` is the scene's
bare keyword, `{core}` what the premise is about, `{matter}` what the hero is concerned with. This
module knows neither premises nor lengths.
"""

from polaris_cli.demo.lists import SENTENCES

OPENING_PERSON = SENTENCES["OPENING_PERSON"]
OPENING_THING = SENTENCES["OPENING_THING"]
OPENING_FOLLOW = SENTENCES["OPENING_FOLLOW"]
EVENT = SENTENCES["EVENT"]
EVENT_OBJECT = SENTENCES["EVENT_OBJECT"]
EVENT_FOLLOW = SENTENCES["EVENT_FOLLOW"]
ENDING = SENTENCES["ENDING"]
ENDING_PERSON = SENTENCES["ENDING_PERSON"]
ENDING_FOLLOW = SENTENCES["ENDING_FOLLOW"]
LAST_LINES = SENTENCES["LAST_LINES"]
OPEN_ENDS = SENTENCES["OPEN_ENDS"]
ANYWHERE = SENTENCES["ANYWHERE"]
EPISODES = SENTENCES["EPISODES"]
EPISODE_FOLLOW = SENTENCES["EPISODE_FOLLOW"]
