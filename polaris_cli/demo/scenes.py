"""Sentences for the openings, events, endings and later episodes of the demo stories.

The sentences are in `sentences.txt`. `grammar` fills the slots in braces: `{key}` is the scene's
keyword without an article, `{core}` the subject of the premise, `{matter}` what the hero deals
with. Knows neither premises nor lengths.
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
