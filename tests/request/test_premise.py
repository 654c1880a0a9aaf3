"""A premise's length is read if it asks for one, and numbers in its plot are ignored.

Each row of the tables is `expected | premise`; an indented line continues the row before it.
Expected is the number of words, or "-" for none; then the band: ">" is "at least", "<" "at most",
[1500,2000] a range; then "?" if something doubtful is reported.
"""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.request.premise import Reading, read_length
from polaris_cli.request.story_request import MAX_WORDS

ENGLISH_PLOT = r"""
- | a parrot who knows 12 words of French
-? | A boy who must write a 300-word story before dawn
-? | Write a story about a letter of 300 words
- | Twelve words that changed the world
-? | 500 words later she stopped
- | her last 40 words
- | The legend of the three words
- | The mystery of the 11 words
- | the romance of the two words
- | 2.5 words
- | v1.200 words
-? | Write a 500-word story about a fox. It should be 800 words long.
-? | 300000 words
-? | 0 words
-? | I must write a 500-word story by dawn or the witch eats me.
-? | Write a story about a 500-word story that kills its readers
-? | A 500-word essay wins a prize and ruins a marriage
-? | Write five chapters of 500 words each
-? | Write two 300-word stories
-? | A letter that is 300 words long arrives
-? | Write a story titled "500 Words"
-? | He shouts "500 words by Monday!"
-? | A picture is worth a thousand words
-? | A teacher makes a boy sit down and write 500 words.
-? | Two thousand words, she thought, and still no ending.
-? | Write a story about a girl who finds a key in 500 words
-? | a twist ending ~1500 words
-? | the 100 words of the king: 50 words
-? | Two brothers inherit a circus. The will is 1,200 words long and every one of them is a lie.
-? | Mara has 600 words left before her voice is gone for good.
-? | Every citizen may speak 100 words a day.
-? | In a city where people get 100 words a day, a poet goes silent.
- | A story about a girl who can only speak five words
-? | A detective finds a 900-word confession nailed to the church door.
-? | The treaty was 3,000 words long and nobody had read it.
-? | She writes 1000 words every morning, until one day the words write back.
-? | My novel stalled after 40,000 words. Write about that feeling.
-? | A ghostwriter must deliver 50,000 words by Friday or lose her house.
- | Her vocabulary was 40 words
-? | Her vocabulary was 400 words
-? | The spell has 77 words. Mispronounce one and you burn.
-? | Write about a spell of 77 words
-? | Write a story about a dictionary with 200,000 words
-? | A lexicographer steals 2,500 words from the national dictionary.
-? | The diary ends after 312 words
-? | The 500-word story that nobody would print
-? | A 500-word story wins the contest and ruins a marriage
- | Length: 3 chapters
- | Limit: 50
- | She said three words and left.
- | I love you: three words that took him forty years.
- | A man of few words
-? | Write a few thousand words about the sea
-? | Ten thousand words could not describe her.
-? | A wizard sells curses at 100 words per penny.
-? | After 300 words the radio went dead
-? | A telegram of 60 words starts a war
-? | At 250 words per minute, the auctioneer sold the town.
-? | He learned 50 words of Finnish to propose.
-? | A robot that has read 1,000,000 words writes its first poem
-? | Write a story about a robot that has read 1,000,000 words
-? | Write a 1000000 word story.
-? | Write 500 words per chapter
-? | First 500 words: the storm. Next 800 words: the wreck.
-? | A spy must describe the traitor in 300 words.
-? | The machine prints a story of 300 words every night
-? | Write a story about a man sentenced to write a 300-word apology
-? | Write a story in which a teacher assigns a 500-word essay
-? | A student is asked to write a 500-word essay on honesty and plagiarises it.
-? | The editor's rule: 500 words, no adjectives.
-? | Once upon a time there was a clerk who copied 800 words an hour
-? | Write a story about a letter that is 300 words long.
- | A fox and a crow argue about the moon.
-? | The word count of her life: 25,550 words, one a day.
-? | He had promised his publisher 90,000 words; he had written four.
-? | Write a story about a critic whose reviews are exactly 200 words long.
-? | Write the story of a boy who inherits a 1,000-word curse.
-? | Write a story with a 200-word prophecy in it
-? | My grandmother left me a recipe of 150 words and no quantities. Write a story about it.
-? | The 99 words for love in the language of the marsh people
-? | A cult believes that the world will end when 144,000 words have been spoken
-? | An app that limits everybody to 140 words per day goes rogue
-? | A prisoner scratches 3,650 words into the wall, one per day
-? | Write a 250,000-word saga
-? | Write a 500-word story. Actually, make it 800 words.
-? | Write a 300-word story, no more than 200 words
- | It takes 300 steps to reach the tower and 1 word to fall from it.
-? | Every night the clerk types 2000 words, please God, without an error
-? | 2000 words into the speech, the senator wept.
-? | 2000 words is what the devil asked for.
-? | It took 2000 words to say goodbye.
-? | "Write a 500-word story," the teacher said, and the class groaned.
-? | The sign on the door says: "Max 100 words per visitor".
-? | She was paid to write a 2000-word story about the king
-? | If I write a 500-word story, will the dragon spare me?
-? | In a drowned city, a courier delivers letters of exactly 80 words; anything longer is
    thrown to the eels.
-? | Background: the empire taxes speech. Citizens receive 200 words a month. Follow a mute
    tax collector who sells his share.
-? | Write the story of a thief who stole 1000 words.
-? | Write the story of a thief caught 1000 words short of freedom.
-? | Write the story of a thief with a 1000-word rap sheet.
-? | Write a story about a thief, a judge and the 1000 words between them
-? | Write a story around these 100 words
-? | A thief steals 1000 words
-? | The thief's confession was 1000 words long.
-? | The thief's confession: 1000 words of lies.
-? | A thief is paid 1000 words for his silence
-? | He gave me 1000 words to explain
-? | Give the thief 1000 words to explain himself
-? | You have 1000 words to save the world
-? | I have 500 words left. Then I turn to stone.
-? | I write 500 words a day in prison.
-? | We need 500 words to open the gate, and we only remember eleven.
-? | It was a story of 300 words, and it killed him
-? | This is a story about 300 words that were never spoken
-? | A story of 300 words that were never spoken
-? | About 500 words into his prayer, the monk fell asleep.
-? | At least 500 words were missing from the scroll.
-? | More than 1000 words die every year; a museum collects them.
-? | Up to 1000 words can be stored in one crystal.
-? | There are 500 words for rain here.
-? | Five hundred words for rain, and none for dry
-? | To write 500 words was all he wanted.
-? | A machine that can write a 500-word story in one second puts a novelist out of work.
-? | A contest asks for a 500-word story. Nobody enters but the dead.
-? | The homework is a 500-word essay. Tim's dragon eats it.
-? | A magazine pays 5 cents a word. Lou needs 10,000 words by Friday.
-? | A magazine wants 10,000 words by Friday. Lou has a cold.
-? | The prompt says 500 words. The writer has only pain.
-? | A linguist wakes up with 20,000 words of a dead language in her head.
-? | Nora counts every word she says. Today she has used 4,112 words, and it is not noon.
-? | The last speaker of Ubykh teaches a tape recorder 1,000 words.
-? | A haunted typewriter adds 50 words to every letter.
-? | A poet trades 100 words for a loaf of bread, 1,000 words for a horse.
-? | Words cost money here: a dollar for 100 words, ten for a promise.
-? | The parrot's owner died. It knew 300 words, all of them insults.
-? | My teacher gave us 500 words to memorise
-? | The treaty, all 500 words of it, was carved on a whale bone
-? | Every spell must be under 100 words or the tongue burns.
-? | Her limit was 100 words a day
-? | His 300-word obituary was wrong in every line
-? | The 800-word report that ended the war
-? | A 140-word message from the future
-? | In her 500-word will she left him the sea
-? | A blogger owes 5,000 words to a demon
-? | Write about an editor who cuts 5,000 words from a dying man's memoir
-? | The novelist's last 80,000 words were eaten by her dog.
-? | In my dream someone had written 200 words on my arm. Write a story about that.
-? | A parrot with a vocabulary of 1,728 words testifies in court.
-? | A court stenographer who types 225 words per minute mishears one.
-? | Write a story about a text message of 160 words that ends a marriage
-? | Every resume must be 400 words. Hers is 401.
-? | A society where essays over 500 words are illegal
-? | Write a story about a society where essays over 500 words are illegal.
-? | A scroll contains "500 words of power". A thief reads one.
-? | Write a story about an oath of 300 words
-? | Tell a story about a song with 400 words that nobody can finish
-? | Write three stories of 700 words each
-? | Write a story of 700 words a day
-? | Imagine a man forced to sit and write a 700-word story
-? | Two strangers share an umbrella and 700 words
-? | The umbrella had 700 words stitched into its lining, and they kept changing.
-? | A heist crew steals a 1,500-word poem
-? | A ransom note of 60 words arrives; the sixty-first is a bullet.
-? | A class of ten-year-olds must learn 800 words by spring.
-? | Ten-year-old Mia knows 800 words of Elvish
-? | Mia's essay, 800 words long, wins nothing.
-? | Mia turned in 800 words, and the teacher cried
-? | Mia has written 800 words. The teacher wants 900 words.
-? | Write about an AI limited to 256 words per answer.
-? | A man buys a door; the manual is 1,200 words of threats.
-? | "Stay," he says. "Write 500 words by Monday."
-? | Tell me a story about 500 words of power
-? | I want to sell a 500-word story
-? | Write a story about his 500-word essay
-? | Old Tom Baker likes to write poems in 500 words
-? | Tom dies in 500 words
- | Write a story about a fox. Give it a title of no more than 5 words.
- | Write a story about a fox. Use sentences of at most 10 words.
- | Write a story about a fox. Use short sentences (max 15 words).
-? | Write a story about a fox. Use paragraphs under 60 words.
- | Write a story about a fox with a title of five words
- | Write a story about a fox and keep sentences under 15 words.
- | Use at most 10 words for the title.
- | Give it a short title, at most 5 words.
-? | Write a story about a fox.\nChapters: 5\nChapter length: 1000 words
-? | Write a story. Chapter word count: 1000
-? | Write a story in 3 acts of 500 words
-? | Write a story about a boxer in 12 rounds of 500 words
-? | Make each chapter 1000 words long.
-? | Keep chapters under 1000 words.
-? | Write 500 words for each chapter.
-? | Write a story. The first chapter should be 500 words.
-? | Write a story with a prologue of 200 words
-? | Write a story that does not mention foxes in more than 500 words
-? | Write a story about a man who cannot say more than 500 words.
-? | The diary has at least 800 words, at most 1000 words
-? | at least 1000 words, at most 500 words
-? | I do not want a story of more than 500 words.
-? | I don't want you to write less than 500 words
-? | Write a story of 1000-word chapters
-? | A novelist writes a novel of 5000 words
-? | A couple writes a thousand words
-? | A man dies in 40 words
-? | A man who speaks in 3 words
-? | A poet learns Spanish in 500 words
-? | a lighthouse keeper who finds a letter in 800 words
-? | a wizard trapped in 500 words
-? | a prophecy revealed in 20 words
-? | she dies in 300 words
- | the age of a fox in 20 words of Elvish
-? | The fox, the hen and 20 years. A life in 300 words
-? | a fox in 5 pages
-? | Tom dies in 5 pages.
- | a book in 300 pages of vellum
-? | Ein Fuchs in 40 Wörtern
"""
ENGLISH_ASKED = r"""
500 | Write a 500-word story about a fox.
500 | 500 words.
1500 | A dragon who bakes bread (word count: 1500)
300< | A haiku master retires, max 300 words please
800 | A fox learns to swim. It should be approximately 800 words long.
800 | Write a story about a lost dog in about 800 words, with a happy ending.
1750[1500,2000] | Write a story of 1500-2000 words about rain
1750[1500,2000] | 1500 to 2000 words
1750[1500,2000] | Between 1,500 and 2,000 words, please.
1750[1500,2000] | A noir story, 1500–2000 words
1750[1500,2000] | A noir story, 1500 – 2000 words
2500[2000,3000] | Write a story, 2 to 3 thousand words
2500[2000,3000] | 2-3k words about Mars
1750[1500,2000] | 2000-1500 words
1000> | Write a ghost story. At least 1,000 words.
10000> | A space opera, 10,000+ words
500< | Write a story about a fox in under 500 words.
500< | keep it under 500 words
300< | A sad clown. No more than 300 words.
300< | A sad clown, 300 words or less
3000 | 3.000 words
2500 | two and a half thousand words
500? | Write a 500-word story about a fox. 500 words max is the limit.
500 | "Write a 500-word story about a fox."
500 | In 500 words, tell me how the moon was made.
500< | Write a story about a fox and keep it under 500 words.
1500 | Genre: fantasy\nLength: 1500 words\nTone: dark
1500 | Genre: fantasy\nWord count: 1500\nTone: dark
1250[1000,1500] | At least 1000 but no more than 1500 words
600[500,700] | five hundred to seven hundred words
600[500,700] | between five hundred and seven hundred words
1500[1000,2000] | one to two thousand words
1200 | Please write a short story of roughly 1,200 words about two brothers who inherit a
    failing circus. The tone should be bittersweet.
2000 | I want a story that is about 2000 words.
500 | A 500-word story that will make me cry
800 | Generate an 800-word whimsical fairy tale for children aged six
800 | Your response should be around 800 words.
800< | Your answer must not exceed 800 words.
800< | Please limit your response to a maximum of 800 words.
800< | Limit: 800 words max
800> | The story needs to be at least 800 words.
800> | Minimum length: 800 words.
800> | Minimum 800 words
800> | 800 words minimum.
500 | Write a five hundred word story about a heist.
100 | Write exactly 100 words about snow.
1000? | Write a story about a robot that has read 1,000,000 words. About 1000 words.
2500[2000,3000] | I'm looking for a 2,000-3,000 word fantasy story with a female lead.
2500[2000,3000] | Length: 2000–3000 words
2500[2000,3000] | Length: between 2,000 and 3,000 words.
2500[2000,3000] | Word count: 2000-3000
2500[2000,3000] | from 2,000 to 3,000 words
1750[1500,2000] | Make it 1500 to 2000 words long.
1750[1500,2000] | It should be between 1500 and 2000 words long, and it should end sadly.
500? | Write a 500-word prologue set at sea and a 3000-word story
300 | Describe a sunset over the harbour in 300 words.
400 | Could you please tell me a bedtime story, about 400 words, with a dragon named Pim?
1000 | - 1000 words\n- first person\n- sad ending
1000 | # Request\nWrite a 1,000-word story about *rain*.
800> | Minimum word count: 800
2000< | Maximum length: 2,000 words
300 | Write a story of a man of 300 words
1500 | My grandmother left me a recipe of three words. Write a 1,500 word story about it.
700 | Tell a 700-word story from the point of view of a suitcase.
700 | Give me a funny 700 word story about a suitcase that hates airports!
700 | Suitcase noir (ca. 700 words)
700 | Short story about a suitcase, approximately 700 words in length.
700 | Short story about a suitcase. Desired word count: 700
700< | Short story about a suitcase (max. 700 words)
700< | Short story about a suitcase. Not more than 700 words!
700< | Short story about a suitcase. No longer than 700 words.
700> | Short story about a suitcase. No shorter than 700 words.
700> | Short story about a suitcase. It must be more than 700 words.
700> | Short story about a suitcase. 700 words or more.
700> | Short story about a suitcase, 700 words at least
850[700,1000] | Short story about a suitcase (700-1,000 words)
850[700,1000] | Short story about a suitcase, somewhere between 700 and 1,000 words
850[700,1000] | Short story about a suitcase, 700 to 1000 words long, please.
7500[5000,10000] | Write a novella chapter of 5,000-10,000 words
7500[5000,10000] | Write 5-10k words about a siege
7500[5000,10000] | Write 5k-10k words about a siege
7500[5000,10000] | Write five to ten thousand words about a siege
500? | A 1500-word letter. Write it in 500 words. Then write 800 words more.
500 | Write a 500-word story about a fox. Remember: 500 words.
600? | Write a story of about 600 words (500-700 words are fine).
550[500,600] | Write a story of 500-600 words. No more than 600 words!
400? | Write a poem and a 400-word essay on why the poem of 90 words failed
1200 | The year is 1999. A hacker of 16 finds 3 files. Write the story in 1200 words.
1200 | 1,200 words. Two sisters, 12 and 15, cross 300 miles of desert with 4 camels.
2000? | Write a 2000-word story about a man who has only 60 words left.
2000 | I need around 2000 words on a heist in a monastery
2000 | A heist in a monastery. Please write 2000 words.
2000 | A heist in a monastery... 2000 words...
2000 | A heist in a monastery — 2000 words — told by the abbot
2000 | A heist in a monastery\n\n2000 words
2000 | A heist in a monastery, two thousand words or so
1800 | In a drowned city, a courier on a rusted bicycle boat delivers letters nobody answers.
    One day a letter of 40 words arrives addressed to her. Please write this as a story of about
    1,800 words, in the present tense, with an open ending.
2500? | Hi! I'm planning a birthday surprise for my husband, who loves trains. Could you write
    a funny story (around 2,500 words) in which a night train refuses to stop? He knows about
    3,000 words of Japanese, so sprinkle some in.
1000 | Task: write a 1000-word story.\nCharacters: Ana (34), Tom (36).\nSetting: 1920s Lisbon,
    3 rooms.
1000< | Don't go over 1000 words.
40 | a fox in 40 words
40 | A fox in 40 words.
500 | two sisters and a violin in 500 words, please
250 | a fox in exactly 250 words
250 | the life of a fox in about 250 words
300 | a fox in precisely 300 words
300 | a fox in ~300 words
350[300,400] | a fox in 300-400 words
300< | a fox in under 300 words
300< | a fox in 300 words or less
250 | a fox told in two hundred and fifty words
1000< | Do not exceed 1000 words.
1000< | It should be no more than 1,000 words long.
1000< | Up to 1000 words.
1000< | Less than 1000 words please
1000< | <1000 words
1000> | More than 1000 words
1000> | It must be over 1000 words.
1000 | Story in 1,000 words about a toad who thinks he is the king
1000 | Write a story about a toad which should be 1000 words long.
1000 | Write a 1,000-word retelling of Orpheus.
1000 | Write, in about 1000 words, the story of a thief.
600 | Hey, could you do a 600 word cozy mystery set in a yarn shop?
1000 | Short horror piece. First person. Around a thousand words. Unreliable narrator.
2000 | craft a gripping, atmospheric 2000-word gothic tale set in Cornwall
1200 | Write a satirical news article of 1200 words on pigeons unionising.
1500 | Please produce a story (approx. 1,500 words) based on the following plan: a girl, a
    lamp, a lie.
350 | Write me something romantic. Keep it short, 350 words or so.
4000 | Fantasy. 4k words. Enemies to lovers.
4500[4000,5000] | Story outline below. Target 4-5k words.
5000 | Give me the first chapter of a thriller, 5000 words.
5000 | Write chapter one (5,000 words) of a thriller about an auditor.
500 | Write a story about a society where essays are illegal. Max length around 500 words.
300 | A micro-story of exactly 300 words about a lighthouse.
100 | 100-word drabble about regret
250 | Fable, 250 words, moral at the end.
900 | Imagine a world without colour and write a 900-word story set there.
900 | I have this idea: a world without colour. Can you turn it into a 900-word story?
1000 | Use the prompt "the door was never locked" to write a 1000 word story.
1000 | Write a story that begins with "The door was never locked" and is about 1000 words long.
1000 | Story idea: the door was never locked. Word target: 1000.
700 | Draft a quiet, melancholic piece of 700 words in which nothing happens
700 | Draft a quiet piece of roughly 700 words that ends with a door closing
700 | Two strangers share an umbrella. Make it sad. Make it 700 words.
1500 | Give me a heist gone wrong. 1,500 words, told backwards.
1500 | Write a story where a heist goes wrong. Use about 1,500 words.
1500 | Write about a heist in fifteen hundred words.
800 | Write a short story for a class of ten year olds. The length should be eight hundred words.
    It should have a moral.
800 | For a class of ten-year-olds: a story, 800 words, with a moral.
2250[2000,2500] | Sci-fi short. 2,000 to 2,500 words. Hard science, no FTL.
2250[2000,2500] | word count: 2,000 to 2,500
100 | Make a 100 word story for instagram about my cat Milo
5000 | Write a 5,000 word story. Title: The Last 40 Words.
5000? | Write a story called "The Last 400 Words". 5000 words.
1500 | The whole story should be told in about 1500 words.
200000 | Write a 200,000-word saga
1 | A story in 1 word
700 | Write a 700-word story. It should be 500 to 700 words long.
500 | Write me, please, a dark 500-word story.
500 | A heist in a monastery, 500 words long.
500 | Write a story 500 words about foxes
500 | Write 500 words of gothic dread
50 | 50 words about rain
500 | Write about a fox and make it 500 words.
500 | The old fox dreams. Write about a fox and make it 500 words.
500 | Write a story about a letter in 500 words
500 | Write a story about a fox, a hen and a dog in 500 words
500 | I would really like you to write about a fox in 500 words
500 | Dear robot write about a fox in 500 words
2000 | Write a 2000-word story about a fox. Use sentences under 15 words.
2000 | Write a 2000-word story about a fox. Give it a title of no more than 5 words.
500 | Give it a title of no more than 5 words and a length of 500 words
500< | Use sentences of at most 10 words and keep it under 500 words
2000 | Write a story with short paragraphs, 2000 words
5000 | Write a story in 5 chapters, 5000 words
5000 | Write a story with 5 chapters in 5000 words
1000 | Write a chapter of 1000 words about a fox
1000 | Write the first chapter of a novel in 1000 words
200 | Write a prologue in 200 words
500 | Write a story about a man in line at the bank, 500 words
500< | Write a story about a man in line and keep it under 500 words
500 | Write a story about the last sentences of a poet in 500 words
800< | Do not write more than 800 words.
800< | Don't exceed 800 words.
800> | It should exceed 800 words.
800> | It should not be less than 800 words.
800< | It should not be longer than 800 words.
800< | It can't be more than 800 words.
800< | Write a story about a fox but do not write more than 800 words.
800< | Write a story about a fox and don't exceed 800 words.
500> | Write not a poem but a story of more than 500 words
900[800,1000] | Write a story between 800 words and 1000 words
1000[800,1200] | 800 words to 1200 words
1900[800,3000] | Minimum 800 words, maximum 3000 words
1900[800,3000] | Max: 3000 words\nMin: 800 words
1550[100,3000] | at least 100 words and at most 3000 words
1250[1000,1500] | At least 1000, but no more than 1500 words
900[800,1000] | It should not be less than 800 or more than 1000 words.
1500 | 1500 words +/- 10%
1500 | 1500 words ± 10%
1500 | 1500 +/- 150 words
1500 | A story of 1500 ± 150 words
1500 | A story, 1500 words plus or minus 100 words
1500 | word count: 1500 +/- 10%
1500> | 1500+ words
2000 | Write a couple of thousand words about a fox
200 | A fox, about a couple hundred words
5000? | Write a 5000-word story in 1000-word chapters
5000 | Write a 5000-word novel about a fox
1900[800,3000] | Write at least 800 words about a fox. Do not write more than 3000 words.
1900[800,3000] | Do not write more than 3000 words. Write at least 800 words about a fox.
1250[1000,1500] | A fox. 1000 words minimum, 1500 words maximum
1250[1000,1500] | A fox. 1500 words maximum, 1000 words minimum
1000 | A fox. About 1000 words. 800 words minimum, 1500 words maximum
"""
GERMAN_PLOT = r"""
-? | Der Brief, der 300 Wörter lang ist, verändert alles.
- | Ein Papagei, der zwölf Wörter spricht
-? | Eine Frau findet einen Brief von 300 Wörtern
-? | Das Testament hat 2000 Wörter und kein Komma
- | Ein Mann, der nur noch zehn Wörter kennt
-? | In 500 Wörtern erklärte er ihr alles
-? | Er musste einen Aufsatz von 800 Wörtern schreiben
-? | Für 300 Wörter zahlte der Teufel eine Seele
-? | Auf dem Grabstein standen 100 Wörter
-? | Eine Dichterin verkauft ihre letzten 1.000 Wörter
-? | Schreibe eine Geschichte über einen Mann, der 5.000 Wörter auswendig kennt
-? | Die Prinzessin darf am Tag nur 100 Wörter sprechen.
-? | Ein Wörterbuch mit 3.000 Wörtern verschwindet aus der Bibliothek
-? | Nach 500 Wörtern brach die Nachricht ab
-? | Ein Schüler soll einen Aufsatz mit 500 Wörtern schreiben und flieht ans Meer
- | Sie sprach nur drei Worte
-? | Ein Roboter kennt 10.000 Wörter, aber keines für Heimweh.
-? | Schreibe eine Geschichte über einen Brief von 300 Wörtern
-? | Hundert Wörter trennten sie vom Tod
-? | Er verkaufte tausend Wörter für ein Pferd
-? | Mein Großvater schrieb jeden Tag 200 Wörter in sein Heft.
-? | Ein Dolmetscher vergisst jede Nacht 50 Wörter.
-? | Der Bär kennt 900 Wörter für Honig.
- | Schreibe eine Geschichte. Schreibe Sätze mit höchstens 12 Wörtern.
-? | Schreibe eine Geschichte mit 3 Kapiteln zu je 1000 Wörtern
"""
GERMAN_ASKED = r"""
500 | Schreib ein Märchen mit 500 Wörtern
500 | ein Märchen mit 500 Wörtern
3000 | Ein Drache lernt fliegen, etwa 3.000 Wörter
500 | Schreibe eine 500-Wörter-Geschichte über einen Fuchs
2000 | Zweitausend Wörter.
2000 | Eine Geschichte über einen Fuchs, zweitausend Wörter
500 | Schreibe eine Geschichte über einen Fuchs, die etwa 500 Wörter lang ist.
500 | Schreibe eine Geschichte über die Sonne in 500 Wörtern
500< | Eine Gutenachtgeschichte, höchstens 500 Wörter
600[500,700] | Eine Geschichte mit 500 bis 700 Wörtern
600[500,700] | Zwischen 500 und 700 Wörter bitte
2000 | Schreib mir bitte eine spannende Kurzgeschichte mit rund 2.000 Wörtern über einen
    Leuchtturm.
1500 | Ein Leuchtturmwärter hört nachts Stimmen. Länge: ca. 1500 Wörter.
1500 | Die Geschichte soll etwa 1500 Wörter lang sein.
1500 | Schreibe eine Geschichte über einen Bäcker mit ungefähr 1500 Wörtern.
1000> | Mindestens tausend Wörter, bitte.
1500[1000,2000] | Ein Krimi (1000-2000 Wörter)
500 | Schreib mir eine lustige 500-Wörter-Geschichte über zwei Schnecken
500 | Zwei Schnecken machen ein Wettrennen - 500 Wörter
500 | Zwei Schnecken machen ein Wettrennen. Bitte ca. 500 Wörter.
500 | Erzähl mir in 500 Wörtern, wie der Mond entstand
500 | Ich möchte eine Geschichte mit 500 Wörtern.
500 | Ich hätte gern ein Märchen von etwa 500 Wörtern über eine Hexe
2500 | Schreibe zweitausendfünfhundert Wörter über den Winter
350[300,400] | Eine Szene im Zug, 300-400 Wörter
500< | Nicht mehr als 500 Wörter.
500 | Wortanzahl: 500
1000 | Erzähle eine Gruselgeschichte, die ungefähr 1000 Wörter umfasst.
800 | Schreib eine Fabel über eine Eule und eine Maus. Umfang: ca. 800 Wörter
900 | Schreib eine Kindergeschichte (ca. 900 Wörter) über einen Bären, der nicht schlafen kann.
500< | Die Geschichte darf nicht länger als 500 Wörter sein.
500> | Der Text soll nicht weniger als 500 Wörter haben.
"""
FRENCH_PLOT = r"""
- | Un perroquet qui connaît douze mots
-? | Elle reçoit une lettre de 300 mots
-? | Il lui restait 800 mots à écrire avant l'aube
-? | Le testament de 800 mots ne disait rien
-? | En 300 mots, il avait tout perdu
-? | Une langue qui ne compte que 120 mots
-? | Un notaire lit les 500 mots d'un testament
-? | Écris une histoire sur un poète qui n'a plus que 500 mots
-? | Elle a gravé 365 mots sur le mur
- | Deux mots suffisent
-? | Un dictionnaire de 1 000 mots tombe du ciel
-? | Il vend 100 mots par jour au marché
-? | Elle doit rédiger un discours de 400 mots avant minuit
-? | Cent mots plus tard, la reine dormait
-? | Écris une histoire sur une lettre de 300 mots
-? | Le roi avait interdit deux cents mots
-? | Mon père parlait une langue de 5 000 mots
-? | Après 500 mots, le robot s'arrêta
-? | Chaque matin, la vieille écrivait 70 mots et les brûlait.
-? | L'ours connaît 900 mots pour dire miel.
- | Écris un conte. Donne-lui un titre de cinq mots.
-? | Écris une histoire en 3 chapitres de 500 mots
"""
FRENCH_ASKED = r"""
500 | Écris une histoire de 500 mots sur un renard
500 | une histoire de 500 mots
2000 | Un conte de Noël, environ 2 000 mots
2000 | deux mille mots
500 | Raconte-moi l'histoire d'un renard en 500 mots
2000 | Raconte-moi une histoire d'environ 2 000 mots
600[500,700] | Écris un conte de 500 à 700 mots
600[500,700] | Écris un conte, entre 500 et 700 mots
1500 | Nombre de mots : 1500
1500 | Rédige une nouvelle d'environ 1500 mots sur la mer
1500 | Peux-tu m'écrire un conte de 1 500 mots ?
800< | Une histoire triste, 800 mots maximum.
800< | moins de 800 mots
300 | Un renard et une cigogne, trois cents mots
1000> | Au moins mille mots.
500 | Deux escargots font la course. 500 mots.
500 | Deux escargots font la course (500 mots environ)
500 | Écrivez un récit de cinq cents mots sur deux escargots
500 | Je voudrais une histoire de 500 mots
500 | J'aimerais un conte d'environ 500 mots.
1250[1000,1500] | entre 1 000 et 1 500 mots
500< | Pas plus de 500 mots
1200 | Rédige une histoire d'horreur d'environ 1200 mots qui se passe à Lyon.
900 | J'ai besoin d'un conte pour enfants, environ 900 mots, avec un ours.
500> | pas moins de 500 mots
500< | Le texte ne doit pas faire plus de 500 mots.
"""
SPANISH_PLOT = r"""
- | Un loro que sabe doce palabras
-? | Una carta de 300 palabras cambia su vida
-? | El anciano guardaba 365 palabras en una caja
-? | Con 300 palabras compró su libertad
-? | Debía escribir un ensayo de 500 palabras antes del lunes
-? | Un poeta que solo tiene 500 palabras
-? | El juez leyó 500 palabras y se durmió
- | Dos palabras bastan
-? | Un diccionario de 1.000 palabras cae del cielo
-? | Vende 100 palabras al día en el mercado
-? | Cien palabras después, la reina dormía
-? | Escribe una historia sobre una carta de 300 palabras
-? | El rey había prohibido doscientas palabras
-? | Mi abuela hablaba una lengua de 5000 palabras
-? | Una máquina que escribe 500 palabras por minuto
-? | Cada noche el farero escribe 90 palabras y las lanza al mar.
-? | El oso conoce 900 palabras para decir miel.
-? | Escribe un cuento con una carta de 300 palabras
- | Escribe un cuento con frases de menos de 12 palabras.
"""
SPANISH_ASKED = r"""
500 | un cuento de 500 palabras
500 | Escribe un cuento de 500 palabras sobre un zorro
1500 | Un zorro que habla, unas 1.500 palabras
2000 | dos mil palabras
500 | Escribe una historia sobre un zorro en 500 palabras
500 | Escribe un cuento que tenga 500 palabras
600[500,700] | Escribe un relato de entre 500 y 700 palabras
300< | Un náufrago, máximo 300 palabras
1500 | Quiero un relato de terror de unas 1500 palabras
1500 | Cuéntame un cuento sobre un dragón con 1500 palabras
800< | Una historia de amor de menos de 800 palabras
800> | Por lo menos ochocientas palabras.
1500 | Longitud: 1.500 palabras
500 | Dos caracoles hacen una carrera. 500 palabras.
500 | Dos caracoles hacen una carrera (unas 500 palabras)
500 | Quisiera un cuento de quinientas palabras sobre dos caracoles
500 | Extensión: 500 palabras
1250[1000,1500] | entre 1.000 y 1.500 palabras
500< | No más de 500 palabras
900 | Escribe un relato de ciencia ficción de 900 palabras ambientado en Lima.
900 | Necesito un cuento infantil de aproximadamente 900 palabras con un oso.
500< | no debe tener más de 500 palabras
"""
CHINESE_PLOT = r"""
- | 他认识12个字
-? | 她收到一封300字的信
- | 老人一生只写过二十个字
-? | 他用300字写完了遗书
-? | 这份500字的合同毁了整个村庄
-? | 一个写了500字就停笔的作家
-? | 石碑上刻着128个字
-? | 一个只会说100个字的机器人
-? | 每天只能说100个字的城市
-? | 他每天背100个字
-? | 墙上写着五百字的咒语
-? | 一封三百字的遗书改变了全村
-? | 写一个关于300字遗书的故事
- | 他只说了三个字
-? | 国王禁止了两百个字
-? | 写一个只认识100个字的老人的故事
-? | 作家在写完3000字之后失踪了
-? | 他每分钟能打200个字
-? | 小熊认识900个字
"""
CHINESE_ASKED = r"""
2000 | 写一个2000字的故事
2000 | 一只狐狸学游泳，2000字左右
1500 | 题目：海边的灯塔。字数：1500
2000 | 请写一篇两千字的小说
800< | 写一个关于狐狸的故事，800字以内
1000> | 请写一篇童话，不少于1000字
1250[1000,1500] | 写一个故事，1000到1500字
800 | 请帮我写一篇800字左右的童话故事
3000 | 写一篇三千字的科幻小说
1250[1000,1500] | 字数要求：1000-1500字
10000 | 写一部1万字的小说
500 | 用500字讲述一个关于海的故事
500 | 两只蜗牛赛跑，500字。
500 | 讲一个500字的睡前故事
500 | 写一篇关于两只蜗牛赛跑的故事，约500字
5000 | 五千字短篇小说
600[500,700] | 500~700字
3000 | 全文3000字左右
1000 | 以"雨夜"为题写一篇1000字的短篇小说
800 | 写一个童话，主角是一只猫，字数800左右
900 | 请给我的孩子写一个关于小熊的睡前故事，大约900字。
600 | 请以“回家”为主题写一篇600字的作文
500 | 题目“风”500字
800< | 写一个故事，不要超过800字
800> | 写一个故事，不能少于800字
2500[2000,3000] | 写一篇两三千字的故事
1500[1000,2000] | 写一篇一两千字的故事
12500[12000,13000] | 写一篇一万二三千字的小说
"""

OTHER_PLOT = r"""
-? | Scrivi una storia su una lettera di 500 parole
-? | Un pappagallo che conosce 500 parole
-? | Raccontami una storia, al massimo 500 parole
-? | Escreva um conto sobre uma carta de 500 palavras
-? | Schrijf een verhaal over een brief van 500 woorden
-? | Papuga, która zna 500 słów
-? | Напиши рассказ о письме из 500 слов
-? | 2000文字の物語
-? | 2-page story
-? | Write a story about a fox, 5 pages.
-? | Eine Geschichte, 10 Seiten
-? | 写一个3页的故事
- | Write a story about a letter of 5 pages
- | A book of 300 pages that nobody read
"""
OTHER_ASKED = r"""
500 | 500 parole
500 | Scrivi una storia di circa cinquecento parole su una volpe
500 | Escreva um conto de 500 palavras sobre o mar
500 | Schrijf een verhaal van 500 woorden
500 | Napisz opowiadanie o lisie, 500 słów.
500 | Напиши рассказ о лисе, 500 слов
500 | 여우 이야기, 500단어
500? | Write a 500-word story. At most 2 pages.
"""

PLOT = ENGLISH_PLOT + GERMAN_PLOT + FRENCH_PLOT + SPANISH_PLOT + CHINESE_PLOT + OTHER_PLOT
ASKED = ENGLISH_ASKED + GERMAN_ASKED + FRENCH_ASKED + SPANISH_ASKED + CHINESE_ASKED + OTHER_ASKED


def rows(table: str) -> Iterator[tuple[str, str]]:
    for row in table.replace("\n    ", " ").strip("\n").split("\n"):
        expected, bar, premise = row.partition(" | ")
        if bar:
            yield expected, premise.replace("\\n", "\n")


def noted(reading: Reading) -> str:
    """The result in the notation of the tables."""
    length = reading.length
    text = str(length.words) if length else "-"
    if length and length.band:
        low, high = (round(ratio * length.words) for ratio in length.band)
        text += {(1.0, 1.2): ">", (0.8, 1.0): "<"}.get(length.band, f"[{low},{high}]")
    return text + "?" * bool(reading.doubtful)


@pytest.mark.parametrize(("expected", "premise"), [*rows(PLOT), *rows(ASKED)])
def test_a_length_is_read_if_the_sentence_asks_for_it(expected: str, premise: str) -> None:
    assert noted(read_length(premise)) == expected


def test_a_request_may_stand_behind_a_long_sentence_and_not_at_its_end() -> None:
    long = "the river froze and the boats stood in the ice and " * 6
    assert noted(read_length(f"{long}the men told tales. 900 words.")) == "900"
    assert noted(read_length(f"Write of a winter so long that {long}900 words")) == "-?"


@pytest.mark.parametrize(
    ("premise", "quote", "doubtful"),
    [
        ("A fox. Word count: 1,500!", "Word count: 1,500", ()),
        ("Tell a story in At Least  500 words.", "At Least  500 words", ()),
        ("Story, between 1,500 and 2,000 words", "between 1,500 and 2,000 words", ()),
        ("A fox (two and a half thousand words or so)", "two and a half thousand words or so", ()),
        ("写一个２０００字左右的故事", "２０００字左右", ()),
        ("Ein Fuchs, 500 Wo\u0308rter", "500 Wo\u0308rter", ()),
        ("500 words. It should be 800 words long.", None, ("500 words", "800 words")),
        ("A letter of 300 words. Tell it in 2k words.", "2k words", ("300 words",)),
    ],
)
def test_quotes_occur_in_the_premise(
    premise: str, quote: str | None, doubtful: tuple[str, ...]
) -> None:
    reading = read_length(premise)
    assert (reading.length and reading.length.quote) == quote
    assert reading.doubtful == doubtful


VOCABULARY = (
    "write a an 500 story word words - — . , ; : about 1,500 3 000 two thousand hundred and half a "
    "to k + at least no more than max 字 写 两 千 五百 个 mots Wörter palabras deux mille ½ ² ① ´ "
    '\u0301 “ ” " « » ( ) \n 0 99999999999999 2.5 in of that is long count length between 1e5 '
    "٣٠٠ ５００ İ ß ﷺ ﬁ — - ~"
)
SENTENCES = st.lists(st.sampled_from(VOCABULARY.split(" ")))
PREMISES = st.one_of(st.text(), SENTENCES.map(" ".join), SENTENCES.map("".join))


@given(PREMISES)
def test_any_text_is_read(premise: str) -> None:
    reading = read_length(premise)
    assert all(quote and quote in premise for quote in reading.doubtful)
    if reading.length:
        assert 1 <= reading.length.words <= MAX_WORDS
        assert reading.length.quote and reading.length.quote in premise
        low, high = reading.length.band or (1.0, 1.0)
        assert 0 < low <= 1 <= high


PLAIN = "the old fox sat by a river and sang while her brothers slept under stars in autumn"


@given(st.lists(st.sampled_from(PLAIN.split()), min_size=1), st.sampled_from(".!?"))
def test_a_sentence_without_a_number_changes_nothing(words: list[str], end: str) -> None:
    request = "Write a 500-word story about a fox."
    assert read_length(f"{' '.join(words).capitalize()}{end} {request}") == read_length(request)


@pytest.mark.bench
@pytest.mark.parametrize("part", ["1", " ", ",", "1 ", "word word word "])
def test_two_hundred_thousand_characters_take_less_than_a_second(part: str) -> None:
    premise = (part * 200_000)[:200_000]
    started = time.process_time()
    read_length(premise)
    assert time.process_time() - started < 1


@pytest.mark.bench
@pytest.mark.parametrize(
    "part",
    [
        "500 words ",
        "one hundred ",
        "two thousand words ",
        "五百字",
        "at least ",
        "500 words, ",
        "write a 500-word ",
        "length: 500 ",
        "500 words long ",
        "“„«",
        '"',
        "1,",
        "- ",
        "half a ",
        "1 000 ",
        "—",
    ],
)
def test_time_is_linear(part: str) -> None:
    premise = (part * 20_000)[:20_000]  # quadratic time would be half a minute
    started = time.process_time()
    read_length(premise)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(("premise", "loaded"), [("a 500-word story", False), ("ten words", True)])
def test_text2num_is_imported_only_for_spelled_out_numbers(premise: str, loaded: bool) -> None:
    program = (
        "import sys; from polaris_cli.request.premise import read_length; "
        f"read_length({premise!r}); assert ('text_to_num' in sys.modules) is {loaded}"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
