"""Word lists for the stories that the demo model is trained on.

Lists of nouns, names and phrases; the ones that sentences use most are in `phrases.txt`. No entry
may occur in `unseen`, whose premises are for measuring. Does not know about sentences, stories or
training.
"""

from polaris_cli.demo.lists import PHRASES


def _entries(text: str) -> list[str]:
    return [" ".join(entry.split()) for entry in text.split(",")]


WOMEN = _entries(
    """Mara, Anna, Elin, Ruth, Nora, Ida, Clara, Hana, Leila, Sofia, Vera, Tess, Wren, Agnes,
    Odile, Priya, Amara, Yuki, Rosa, Ingrid, Marta, Lena, Greta, Iris, Hazel, Sunniva, Zara,
    Noor, Maeve, Bridie, Dalia, Esme, Faye, Gwen, Helga, Irena, Juno, Kaya, Lotte, Mina, Nell,
    Orla, Petra, Rhea, Selma, Thea, Ulla, Viola, Willa, Ximena, Ysolde, Zelda, Abena, Beatriz,
    Carmen, Dorothea, Edith, Fatima, Halima, Inez, Jadwiga, Katya, Lucia, Magda, Nadia, Olga,
    Pilar, Ramona, Saskia, Tamsin"""
)
MEN = _entries(
    """Tomas, Elias, Jonas, Karim, Viktor, Samuel, Henrik, Oskar, Luca, Mateo, Ravi, Kenji,
    Anton, Bruno, Cyril, Dario, Emil, Felix, Goran, Hugo, Ivan, Jasper, Kofi, Leo, Marek,
    Nils, Otto, Pavel, Quentin, Rafael, Stefan, Teodor, Umar, Vasco, Walter, Yusuf, Zoltan,
    Abel, Boris, Caspar, Dov, Edmund, Farid, Gideon, Hamid, Isak, Jakob, Kaspar, Lars, Milo,
    Noah, Orson, Piet, Rolf, Silas, Tariq, Ulrich, Vito, Wendell, Andrei, Benno, Cormac,
    Dmitri, Ewan, Florian, Gustav, Idris, Joaquin"""
)
SURNAMES = _entries(
    """Venn, Marlow, Okafor, Lindqvist, Hale, Moreau, Castell, Brandt, Novak, Rask, Teller,
    Quill, Farrow, Odum, Sato, Varga, Pell, Ashby, Dunmore, Kessler, Holm, Ibarra, Thorne,
    Wick, Zeller"""
)
TOWNS = _entries(
    """Harrow, Saltmere, Ostrava Bay, Kelm, Dunwick, Pellan, Marrowby, Vestry Hill, Oldhaven,
    Tarn, Greywater, Lindholm, Ashford Cross, Morrow, Castle Bray, Fenwick, Orrin, Stillwater,
    Brackley, Nareth, Sandling, Three Pines, Hollow End, Elsinor, Wexcombe, Port Amal, Cold
    Ferry, Isker, Thistledown, Varrick, Lower Mill, Quarry Bank, Sorrel, Upper Teign,
    Winterbourne, Yarrow"""
)
TRADES = _entries(
    """baker, clockmaker, carpenter, weaver, farmer, fisherman, nurse, teacher, miner, sailor,
    doctor, librarian, gardener, painter, potter, shepherd, blacksmith, tailor, cook, driver,
    pilot, clerk, soldier, judge, thief, singer, dancer, actor, poet, printer, beekeeper,
    postman, hunter, trapper, ferryman, lamplighter, bookbinder, watchman, lighthouse keeper,
    gravedigger, glassblower, cobbler, brewer, miller, mason, roofer, plumber, welder,
    engineer, scientist, surgeon, dentist, pharmacist, midwife, widow, orphan, student, pupil,
    apprentice, traveller, stranger, hermit, monk, nun, priest, king, queen, prince, princess,
    knight, witch, wizard, ghost, robot, detective, spy, smuggler, pirate, captain,
    cartographer, photographer, musician, violinist, drummer, composer, conductor, puppeteer,
    juggler, magician, acrobat, gambler, banker, merchant, pedlar, butcher, florist, barber,
    waiter, maid, butler, cleaner, janitor, mechanic, inventor, translator, editor,
    journalist, lawyer, mayor, governor, refugee, prisoner, guard, nightwatch, firefighter,
    diver, swimmer, climber, runner, boxer, chess player, archivist, historian, translator of
    letters, bell ringer, bus driver, train driver, tram conductor, radio operator, census
    taker, piano tuner, sign painter, map maker, toy maker, candle maker, rope maker, boat
    builder, well digger, chimney sweep, street sweeper, night nurse, school teacher, village
    doctor, grandmother, grandfather, mother, father, sister, brother, daughter, son, child,
    girl, boy, woman, man, neighbour, twin, bride, groom, tenant, landlady, innkeeper,
    housekeeper, forester, ranger"""
)
THINGS = _entries(
    """letter, key, lantern, clock, map, book, coin, ring, box, door, mirror, knife, rope, boat,
    bell, photograph, suitcase, umbrella, violin, piano, drum, flute, radio, telephone, lamp,
    candle, match, chair, table, blanket, coat, glove, boot, hat, scarf, ribbon, button,
    needle, thread, basket, bucket, kettle, cup, plate, spoon, bottle, jar, loaf, apple, pear,
    onion, egg, seed, stone, shell, feather, bone, nail, hammer, saw, shovel, axe, wheel,
    cart, bicycle, engine, compass, telescope, notebook, diary, envelope, stamp, ticket,
    passport, newspaper, poster, painting, statue, toy, kite, doll, puppet, mask, crown,
    sword, shield, flag, banner, net, hook, anchor, oar, sail, chest, trunk, cage, ladder,
    broom, brush, pencil, pen, ink bottle, seal, locket, bracelet, necklace, watch, music box,
    pocket watch, sewing machine, typewriter, camera, tape recorder, wardrobe, bench, curtain,
    carpet, pillow, quilt, shawl, apron, whistle, medal, badge, bundle, parcel, wallet, purse,
    hourglass, barometer, thermometer, weathervane, window, gate, fence, stove, oven, chimney,
    signpost"""
)
PLACES = _entries(
    """harbour, bridge, market, station, square, church, mill, forest, river, lake, beach, cliff,
    hill, valley, orchard, garden, field, barn, stable, cellar, attic, kitchen, library,
    school, hospital, tavern, inn, bakery, workshop, tower, castle, ruin, cemetery, chapel,
    crossroads, railway, tunnel, mine, quarry, island, lighthouse, pier, shipyard, warehouse,
    factory, theatre, museum, archive, courtroom, prison, post office, town hall, bus stop,
    platform, courtyard, alley, staircase, rooftop, balcony, greenhouse, meadow, marsh, moor,
    desert, canyon, cave, spring, well, fountain, canal, dam, ferry, road, path, village,
    city, palace, temple, monastery, camp, border, customs house, boathouse, windmill,
    vineyard, mountain, pass, glacier, shore, bay, lagoon, swamp, wood"""
)
EXTRA_NOUNS = _entries(
    """acorn, almanac, amber, ballad, bandit, banjo, basin, beacon, beetle, blizzard, bramble,
    canary, caravan, carousel, cello, cinder, circus, cloak, clover, cobweb, comet, coral,
    cricket, crumb, dagger, dragon, eclipse, elephant, ember, falcon, feast, fiddle, flood,
    fossil, fox, frost, garland, goblin, goose, harp, harvest, hedgehog, heron, horse, ice,
    ivy, jewel, jigsaw, kingdom, lemon, lion, locomotive, magnet, mammoth, maze, meteor, moth,
    mountain goat, mud, oak, ocean, octopus, opera, orchid, otter, owl, parrot, peacock,
    pebble, pepper, planet, plum, pumpkin, puzzle, rabbit, raven, recipe, rocket, rose,
    saddle, salmon, salt, scarecrow, secret, shadow, sheep, silence, silver, sleigh, snow,
    song, sparrow, spider, squirrel, star, storm, sugar, tide, tiger, toad, tortoise,
    treasure, treaty, tulip, turnip, valentine, volcano, waltz, wasp, whale, willow, wolf,
    wreck, zebra, winter, summer, loneliness, hope, revenge, memory, debt, promise, war,
    peace, luck, hunger, music"""
)
# Each word is rare in training, so that the model has to copy it token by token.
RARE_NOUNS = _entries(
    """astronomer, astrology, autumn, automaton, author, strategy, stranding, humidity,
    humbug, skill, skier, skipper, sky, skunk, mint, mining town, hammock, hamster, avalanche,
    avenue, aviator, award, awning, axle, baboon, bachelor, bagpipe, balloon, ballot, bamboo,
    bandage, bankruptcy, banquet, baptism, barricade, baseball, basement, bathtub, battery,
    battle, beard, beaver, bedroom, belief, berry, bicycle lane, billboard, biologist,
    birthday, biscuit tin, blackboard, blossom, blueprint, bodyguard, bonfire, bookmark,
    bookshop, border guard, botanist, bouquet, boxcar, boycott, breakfast, breeze, bricklayer,
    broadcast, bronze, brother-in-law, bubble, buffalo, builder, bullet, burglar, butterfly,
    cabbage, cactus, calendar, camel, campfire, canoe, cannon, cardinal, caretaker, carnival,
    carpetbag, cartoonist, cashier, caterpillar, cathedral, ceiling, celebration, cellist,
    centaur, ceremony, challenge, champion, chaplain, chariot, charity, chauffeur, cheese,
    chemist, cherry, chess set, chicken, choirboy, cigarette, cinema, clarinet, climate,
    clown, coach, cobra, coconut, coffee, collector, colonel, colony, comedian, commander,
    commuter, competition, computer, concert, confession, constable, contract, cookbook,
    copyist, corridor, cottage, councillor, counsellor, courier, cowboy, cradle, crane, crater
    lake, creature, crew, crime, criminal, critic, crossword, crystal, cuckoo, cupboard,
    curator, curse, customer, cutlery, daffodil, dairy, dancefloor, darkness, deadline,
    debate, decorator, deer, delivery, deputy, designer, dessert, diamond, dictator,
    dictionary, diplomat, director, disguise, dishwasher, divorce, dockworker, dolphin,
    donation, donor, doorbell, doorman, drawbridge, dreamer, dressmaker, drought, duchess,
    duel, duke, dungeon, dwarf, eagle, earthquake, echo, economist, eel, electrician, embassy,
    emperor, emigrant, empire, encyclopedia, engraver, envoy, epidemic, errand, escape,
    estate, evening, examiner, executioner, exile, expedition, explorer, explosion,
    eyewitness, factory girl, fairground, fairy, fanatic, fashion, father-in-law, fern,
    festival, fiancée, film, fingerprint, fireplace, firework, fisherwoman, flamingo,
    flatmate, flower, footprint, fortune, foundling, freckle, freedom, friendship, frog,
    funeral, furniture, galaxy, gallery, gangster, garage, gargoyle, geese, general, genius,
    geyser, giant, giraffe, gladiator, glacier guide, globe, godmother, gorilla, gossip,
    graduate, grain, grammar, granary, grape, grasshopper, graveyard, guest, guide, guitar,
    gymnast, hailstorm, haircut, hallway, handkerchief, handyman, hangover, harbourmaster,
    harvester, hatter, hawk, headache, heart, heiress, helicopter, herbalist, herdsman,
    heritage, hero, highway, hitchhiker, holiday, homework, honeymoon, horizon, hospital bed,
    hostage, hotel, housewife, hurricane, husband, hyena, iceberg, idol, illness, illusion,
    illustrator, immigrant, infant, inheritance, insect, inspector, instrument, insult,
    intruder, invasion, invention, invitation, jaguar, jailer, jellyfish, jeweller, jockey,
    joke, journey, jungle, juror, kangaroo, kayak, kidnapper, kitten, kiosk, labyrinth,
    labourer, ladybird, lamb, landscape, language, laundress, lavender, lawsuit, leader,
    lecture, legend, leopard, lemonade, librettist, lifeguard, lightning, linguist, liquid,
    lizard, lobster, locker, lodger, logbook, lottery, lullaby, lumberjack, lute, machine,
    magazine, magpie, mandolin, manuscript, maple, marathon, marionette, marriage, marsh
    light, masquerade, massacre, matchmaker, mathematician, mayfly, meadowlark, meal,
    medicine, melody, melon, mermaid, messenger, metal, microscope, migrant, milkmaid,
    millionaire, mineral, minister, miracle, missionary, mistake, mole, monarch, monastery
    cat, monkey, monster, monument, mosaic, mosquito, motel, motorcycle, mule, murderer,
    mushroom, mystery, narrator, necktie, neighbourhood, nephew, nightingale, nightmare,
    notary, novelist, nugget, nursery, oasis, oboe, observatory, obstacle, officer, ointment,
    omelette, onlooker, operator, oracle, orange, orator, organist, orphanage, ostrich,
    outlaw, oven mitt, overcoat, oyster, package, paddle, pajamas, palm, pamphlet, panther,
    parachute, parade, paradise, parasol, parking lot, parliament, passenger, pastry, patient,
    patrol, pavement, peasant, pedestrian, pelican, penguin, pensioner, phantom, philosopher,
    physicist, pianist, pickle, pickpocket, picnic, pigeon, pilgrim, pillar, pineapple,
    pioneer, plantation, plaster, playground, playwright, poison, polar bear, policeman,
    politician, pond, pony, porcelain, porcupine, postcard, poultry, prairie, preacher,
    president, printer's boy, prophecy, prophet, proposal, prosecutor, psychologist,
    publisher, puddle, pyramid, quarrel, question, rabbi, raccoon, racetrack, raft, railway
    clerk, rainbow, rebel, rebellion, receptionist, recorder, referee, reindeer, relic,
    rescue, reservoir keeper, restaurant, retirement, reunion, rhinoceros, riddle, rifle,
    rival, roommate, rooster, rumour, runaway, sabotage, saint, salesman, sandcastle,
    sandwich, satellite, saxophone, scandal, scholar, scooter, scorpion, screenwriter,
    sculpture garden, seagull, seamstress, season, secretary, senator, sentry, sermon,
    servant, settler, shark, shelter, sheriff, shipwreck, shopkeeper, signal, silhouette,
    skater, skyscraper, slave, sleepwalker, slipper, snowflake, snowstorm, sofa, solicitor,
    solstice, sorcerer, souvenir, spaceship, speech, sphinx, spinster, spaniel, sponge, stage,
    stamp collector, starfish, statistician, steamboat, stepmother, steward, stockbroker,
    stork, storyteller, strawberry, subway, suburb, sunflower, sunrise, superstition,
    survivor, swallow, swan, sweetheart, swordsman, symphony, synagogue, syrup, taxidermist,
    taxi driver, tea, telegram, telegraphist, television, tennis, tent, terrace, terrier,
    theory, thimble, thistle, throne, thunderstorm, tightrope walker, timetable, toast,
    tomato, tombstone, torch, tornado, tournament, trademark, traitor, tramp, translator,
    trapdoor spider, trawler, treasurer, trial, triangle, tribe, trophy, trout, truck,
    trumpet, tugboat, turtle, tutor, tycoon, typist, tyrant, undertaker, unicorn, uniform,
    universe, usher, vacation, vacuum, valet, vault, vegetable, verdict, veteran, viaduct,
    viceroy, villain, virus, viscount, visitor, vocabulary, volunteer, voyage, vulture,
    waitress, walnut, walrus, wanderer, warrior, wasteland, watermelon, weasel, wedding,
    werewolf, whirlpool, wheat, wigmaker, wilderness, windfall, wineglass, wish, woodcutter,
    woodpecker, workman, worm, wrestler, writer, yacht, yardstick, yearbook, yeast, yogurt,
    youth, zeppelin, zither, zoologist"""
)
NOUNS = [TRADES, THINGS, PLACES, EXTRA_NOUNS, RARE_NOUNS, RARE_NOUNS]
# Letter groups that otherwise occur only inside known words.
GROUPS = _entries(
    """abo, accid, acel, acelet, aces, ached, ackley, actly, adder, adio, adwig, af, afa, ag,
    ailor, alc, alf, alia, ally, alread, alt, amu, ands, anger, ans, antern, any, ap, approx,
    aqu, ar, ardrobe, arek, arf, arri, arrow, askia, asp, astle, asy, atched, ateful, ately,
    atf, ati, atient, atima, atriz, atya, aun, aut, bat, beaut, beca, bed, beg, belong, bis,
    bla, bod, body, bott, bourne, bout, bra, brid, bts, camer, cas, cept, cert, chan, chap,
    char, ched, child, cho, cid, cient, cket, ckl, cklace, cle, clos, coffe, corn, cough,
    court, croo, cted, cu, cuit, da, dau, daybre, dden, ddles, deal, ded, doctor, donk, dou,
    dre, dus, ead, eak, eart, edal, eep, ef, ek, eln, elve, eme, empt, ench, end, enj, entor,
    eper, eph, ephone, epped, ered, erhap, erhaps, ert, essed, eth, etra, ettle, eve, eyond,
    fac, fad, fail, fe, fest, ffe, fig, fin, fit, fle, fool, ford, forgott, fourt, fro, fron,
    fter, geant, ged, ght, ghter, gine, gn, god, gre, gro, grow, gry, hair, ham, hamed, happ,
    hat, haun, haven, hea, heav, hed, hen, hew, hief, hind, hing, hone, hool, hop, hopef, hum,
    iano, iary, ible, iced, ided, ieved, ife, iful, ighbour, iktor, ila, ild, iled, ima,
    imately, ime, imp, inary, indho, ines, iney, ingers, ipped, ir, irst, ished, isible, isin,
    ispered, itle, iva, kar, ked, kel, ken, kic, kor, lank, lanket, lator, laugh, lded, lden,
    ldhaven, lea, lear, ledown, leep, light, linter, litt, llar, lled, lm, lod, lon, loo, lri,
    lter, mat, mbre, mean, med, member, mere, milk, ming, mis, mometer, mong, morn, mory, mpt,
    mu, na, nam, nding, ndl, nductor, ned, nep, ney, nie, night, nod, ntry, nut, oaqu, obody,
    oken, old, olt, oltan, ombe, ome, ometer, oms, ona, oney, onse, ooks, oose, opened, ople,
    orang, ord, orot, orothea, orrel, orrow, orter, ose, osp, other, othing, ouble, oud, ould,
    oun, ounter, ourt, outed, oved, owed, owly, pected, penn, pered, pew, pie, pin, port,
    pour, pped, prin, quest, raid, ratched, red, reed, rel, rena, resp, ret, rew, ried, riest,
    rik, rious, ris, riz, robe, rom, roo, ror, ross, rost, rough, rox, rug, scen, searc, sec,
    self, set, sett, sext, sha, shad, shi, sho, shrug, simp, sin, sing, sinor, sist, sitt, sl,
    sme, sn, sold, some, son, spaper, stened, stle, stones, stra, stre, sudden, sus, swer,
    tak, ted, tery, thie, thim, thing, thir, tly, toget, tou, try, ty, uctor, ugar, uggl, ugh,
    ughed, ught, ugo, uler, ull, under, underst, une, unfin, unt, ustav, usted, utside, va,
    val, varn, very, vest, vio, wake, water, ways, ween, wh, whe, whi, wick, wig, wn, wra,
    ycle, yell, yes, ypew, ypewr, ywater, zen, zzle"""
)
# Verbs to copy; all regular.
RARE_VERBS = _entries(
    """transplant, transcribe, transport, transform, misspell, misplace, mispronounce, misjudge,
    investigate, instruct, construct, inspect, persuade, disguise, dismantle, assemble, resemble,
    decorate, estimate, illustrate, demonstrate, navigate, irrigate, cultivate, imitate,
    hypnotise, vandalise, memorise, summarise, classify, identify, magnify, fortify, petrify,
    purify, terrify, amplify, unscrew, underestimate, overestimate, outsmart, outlast, sharpen,
    straighten, strengthen, frighten, loosen, moisten, blacken, juggle, sprinkle, shuffle, muffle,
    swindle, rekindle, pickle, salvage, sabotage, ransack, blackmail, barter, slaughter, engineer,
    pioneer, mentor, tutor, censor, sponsor, monitor, harvest, telegraph, embroider, upholster,
    varnish, furnish, banish, abolish, demolish, extinguish, astonish, impress, harass, embarrass,
    possess, process, dissect, resurrect, detect, obstruct, distract, subtract, interrupt,
    intercept, confiscate, circumnavigate, dehydrate, administer, commandeer, puzzle, disinfect,
    disassemble, fascinate, assassinate, liquidate, misdirect, mistreat, mistrust, standardise,
    subsidise, ostracise, tranquillise"""
)
# Short words, which unseen nouns often begin with: "over" in "overcoat", "for" in "forceps".
COMMON_WORDS = _entries(
    """a, air, all, an, and, are, arm, as, ask, at, away, back, bad, be, been, big, book, but, by,
    call, came, can, car, clear, cold, come, could, day, did, do, door, down, each, ear, end, even,
    ever, eye, face, far, fire, for, found, four, from, full, gave, go, gold, good, had, half, hand,
    hard, has, he, head, her, high, him, his, hold, home, hour, how, hum, if, in, into, it, just,
    keep, key, knew, land, last, let, life, like, long, low, made, man, may, more, much, must, my,
    name, near, new, no, none, not, now, of, off, on, one, only, open, or, our, out, over, own,
    part, pass, past, place, pull, put, rain, ran, read, right, ring, room, sat, saw, say, sea,
    see, she, side, sit, small, so, soon, stood, sun, take, ten, than, that, the, them, then,
    there, they, time, to, too, took, top, two, up, us, wall, war, warm, was, way, we, well, went,
    were, what, when, white, who, with, word, work, year, you"""
)
LETTERS = "aaabcdeeeefghiiijklmnnooooppqrrsssttuuvwxyz"
STEMS = _entries(
    """salt, moth, wool, glass, copper, river, bone, star, paper, thorn, ash, honey, iron, frost,
    wind, cloud, chalk, coal, silk, tin, moss, reed, feather, amber, shadow, storm, pepper,
    marble, peat, wax, barley, apple, dream, ice, sand, pearl, lark, fog, ember, willow, snow,
    drift, leather"""
)
MAKERS = _entries(
    """keeper, maker, binder, seller, digger, catcher, carver, counter, reader, mender, thief,
    warden, picker, singer, cutter, dealer, finder, grinder, smith, walker, watcher, spinner,
    dyer, hauler"""
)
WARES = _entries(
    """box, wheel, jar, bell, cage, door, book, harp, knife, mask, mill, boat, cup, lamp, bridge,
    rope, hook, chair, drum, house, stone, needle, sack, clock, crown, whistle, basket,
    engine, gate, net"""
)
NUMBERS = _entries(
    "two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, twenty, forty"
)
# Roles that determine whether the hero is a woman or a man.
WOMENS_ROLES = _entries(
    """grandmother, mother, sister, daughter, girl, woman, bride, nun, queen, princess, widow,
    witch, maid, landlady, midwife"""
)
MENS_ROLES = _entries(
    """grandfather, father, brother, son, boy, man, groom, monk, king, prince, wizard, butler,
    postman, fisherman, ferryman, watchman"""
)
SYLLABLES = _entries(
    """ba, be, bri, bo, cal, cor, cu, da, del, dri, du, el, en, fa, fen, fi, fo, gar, gel, gi,
    gro, ha, hel, hi, ho, i, in, ja, jo, ka, kel, ki, kor, la, len, li, lo, lu, ma, mel, mi,
    mor, mu, na, nel, ni, no, o, or, pa, pel, pi, pol, qua, ra, rel, ri, ros, ru, sa, sel,
    shi, so, sta, ta, tel, ti, tor, tra, tu, u, ul, va, vel, vi, vo, wa, wel, wi, wo, ya, yel,
    za, zel, zi, zo, ff, rk, nd, st, x"""
)
ODD_WORDS = _entries(
    """crème, naïve, Zoë, Łukasz, Ōkami, señor, jalapeño, über, façade, piñata, Đorđe, Åse,
    Çelik, žába, книга, море, 灯台, 手紙, βιβλίο, كتاب, ספר, 🐙, 🚀, ☂, ½, °C, №7, R2-D2, C++,
    e-mail, x86, 3D printer, wi-fi, H₂O, rock'n'roll, jack-o'-lantern, mother-in-law, AI, UFO,
    DNA, GPS"""
)
ADJECTIVES = _entries(
    """old, young, tired, lonely, quiet, stubborn, clever, blind, proud, shy, brave, gentle,
    bitter, cheerful, clumsy, curious, famous, forgotten, retired, grieving, honest, jealous,
    kind, lazy, lost, nervous, patient, poor, rich, restless, sleepless, strange, homesick,
    ambitious, careful,
    aged, weary, fearless, greedy, silent, wounded, penniless, barefoot, one-eyed, cruel, humble,
    foreign, former, first, female, dying, drunken, dishonest, absent-minded, middle-aged, wealthy,
    superstitious, ordinary, exhausted, cowardly, pregnant, orphaned, bankrupt, wise, awkward"""
)
THING_ADJECTIVES = _entries(
    """old, broken, stolen, lost, hidden, red, blue, green, golden, rusty, silent, heavy, tiny,
    empty, locked, burning, frozen, haunted, invisible, ancient, forgotten, wooden, silver,
    cracked, wet, unopened, unfinished, borrowed, faded, crooked, magic, painted, sealed,
    second, missing, sunken"""
)
ADJ = PHRASES["ADJ"]
MOODS = PHRASES["MOODS"]
SMELLS = PHRASES["SMELLS"]
SOUNDS = PHRASES["SOUNDS"]
SKIES = _entries(
    """rain, fog, snow, sleet, drizzle, wind, frost, mist, thunder, heat, dusk, moonlight, hail,
    haze"""
)
TIMES = _entries(
    """dawn, noon, dusk, midnight, daybreak, sunset, six o'clock, first light, the turn of the
    tide, closing time, the end of the shift, supper, the third bell, the blue hour"""
)
DAYS = _entries(
    """on a Monday, on a Tuesday, on a Thursday, on a Friday, on a Sunday, in March, in April, in
    June, in September, in October, in November, in the first week of spring, at the end of
    summer, in the coldest week of the year, after the harvest, before the festival, in the
    year of the flood"""
)
SMALL = PHRASES["SMALL"]
ANIMALS = PHRASES["ANIMALS"]
COLOURS = _entries(
    """red, blue, green, yellow, grey, white, black, brown, silver, orange, violet, golden"""
)
MATERIALS = _entries(
    "oak, brass, iron, glass, clay, tin, stone, leather, wool, paper, copper, pine"
)
RELATIONS = _entries(
    """brother, sister, neighbour, cousin, old friend, uncle, aunt, teacher, daughter, son,
    rival, landlord, lodger, partner, godchild, nephew, niece"""
)
CROWD = PHRASES["CROWD"]
WISHES = PHRASES["WISHES"]
LINES = PHRASES["LINES"]
QUESTIONS = PHRASES["QUESTIONS"]
# Third person present | past | infinitive, with {thing} for "a letter" and {place} for "in the fog"
EVENTS = [
    tuple(part.strip() for part in line.split("|"))
    for line in """
    finds {thing} {place} | found {thing} {place} | find {thing} {place}
    finds {thing} | found {thing} | find {thing}
    loses {thing} | lost {thing} | lose {thing}
    loses {thing} {place} | lost {thing} {place} | lose {thing} {place}
    steals {thing} | stole {thing} | steal {thing}
    steals {thing} from {person} | stole {thing} from {person} | steal {thing} from {person}
    buys {thing} | bought {thing} | buy {thing}
    buys {thing} from {person} | bought {thing} from {person} | buy {thing} from {person}
    inherits {thing} | inherited {thing} | inherit {thing}
    discovers {thing} {place} | discovered {thing} {place} | discover {thing} {place}
    receives {thing} | received {thing} | receive {thing}
    repairs {thing} | repaired {thing} | repair {thing}
    builds {thing} | built {thing} | build {thing}
    breaks {thing} | broke {thing} | break {thing}
    hides {thing} {place} | hid {thing} {place} | hide {thing} {place}
    sells {thing} | sold {thing} | sell {thing}
    opens {thing} | opened {thing} | open {thing}
    paints {thing} | painted {thing} | paint {thing}
    carries {thing} {place} | carried {thing} {place} | carry {thing} {place}
    brings {thing} to {person} | brought {thing} to {person} | bring {thing} to {person}
    follows {thing} {place} | followed {thing} {place} | follow {thing} {place}
    hears {thing} {place} | heard {thing} {place} | hear {thing} {place}
    sees {thing} {place} | saw {thing} {place} | see {thing} {place}
    keeps {thing} | kept {thing} | keep {thing}
    meets {person} | met {person} | meet {person}
    meets {person} {place} | met {person} {place} | meet {person} {place}
    helps {person} | helped {person} | help {person}
    falls in love with {person} | fell in love with {person} | fall in love with {person}
    dreams of {thing} | dreamed of {thing} | dream of {thing}
    searches for {thing} {place} | searched for {thing} {place} | search for {thing} {place}
    refuses to sell {thing} | refused to sell {thing} | refuse to sell {thing}
    learns to use {thing} | learned to use {thing} | learn to use {thing}
    talks to {thing} | talked to {thing} | talk to {thing}
    writes about {thing} | wrote about {thing} | write about {thing}
    digs up {thing} {place} | dug up {thing} {place} | dig up {thing} {place}
    borrows {thing} | borrowed {thing} | borrow {thing}
    catches {thing} | caught {thing} | catch {thing}
    forgets {thing} {place} | forgot {thing} {place} | forget {thing} {place}
    guards {thing} | guarded {thing} | guard {thing}
    saves {person} | saved {person} | save {person}
    saves {thing} from a fire | saved {thing} from a fire | save {thing} from a fire
    remembers {thing} | remembered {thing} | remember {thing}
    returns {thing} to {person} | returned {thing} to {person} | return {thing} to {person}
    wins {thing} in a bet | won {thing} in a bet | win {thing} in a bet
    is afraid of {thing} | was afraid of {thing} | be afraid of {thing}
    must choose between {thing} and {person} | had to choose between {thing} and {person} | choose between {thing} and {person}
    cannot stop thinking of {thing} | could not stop thinking of {thing} | stop thinking of {thing}
    wakes up with {thing} | woke up with {thing} | wake up with {thing}
    waits for {person} {place} | waited for {person} {place} | wait for {person} {place}
    is always late | was always late | be on time
    is never wrong | was never wrong | be right for once
    is always tired | was always tired | rest
    is always cold {place} | was always cold {place} | keep warm {place}
    is secretly {person} | was secretly {person} | be {person}
    cannot sleep | could not sleep | sleep
    cannot swim | could not swim | swim
    cannot find {thing} | could not find {thing} | find {thing}
    cannot lie | could not lie | lie
    never speaks | never spoke | speak
    never leaves the house | never left the house | leave the house
    lives alone {place} | lived alone {place} | live alone {place}
    works {place} | worked {place} | work {place}
    dies {place} | died {place} | die {place}
    disappears {place} | disappeared {place} | disappear {place}
    gets lost {place} | got lost {place} | get lost {place}
    falls asleep {place} | fell asleep {place} | fall asleep {place}
    becomes {person} | became {person} | become {person}
    marries {person} | married {person} | marry {person}
    hires {person} | hired {person} | hire {person}
    kills {person} | killed {person} | kill {person}
    teaches {person} | taught {person} | teach {person}
    plays {thing} {place} | played {thing} {place} | play {thing} {place}
    collects {thing} | collected {thing} | collect {thing}
    draws {thing} | drew {thing} | draw {thing}
    eats {thing} | ate {thing} | eat {thing}
    drives {thing} {place} | drove {thing} {place} | drive {thing} {place}
    burns {thing} | burned {thing} | burn {thing}
    counts {thing} every night | counted {thing} every night | count {thing} every night
    makes {thing} | made {thing} | make {thing}
    gives {thing} away | gave {thing} away | give {thing} away
    stands {place} | stood {place} | stand {place}
    wants {thing} | wanted {thing} | have {thing}
    goes blind {place} | went blind {place} | go blind {place}
    hates {thing} | hated {thing} | hate {thing}
    loves {thing} | loved {thing} | love {thing}
    travels with {person} | travelled with {person} | travel with {person}
    """.strip().splitlines()  # noqa: E501
]
THING_CLAUSES = _entries(
    """that nobody can open, that never stops, that speaks at night, that belongs to no one, that
    grows, that was never sent, that comes back every year, that remembers everything, that
    cannot be sold, that only one person can see, that changes hands, that must not be broken,
    that brings bad luck, that arrives too late, nobody wants, everyone fears, with no owner,
    with a secret inside"""
)
PLACE_CLAUSES = _entries(
    """where nobody sleeps, where it always rains, where time stands still, without a name, under
    the sea, where the clocks run backwards, that appears on no map, where music is forbidden,
    in the clouds, where everyone tells the truth, on the last day of the war, during a flood,
    at the end of the world, where the dead come back once a year, that is slowly sinking,
    after the rain"""
)
TAILS = _entries(
    """and nothing is the same afterwards, but nobody believes it, and has one day to decide, and
    learns what courage means, before the winter comes, on the night of the festival, while
    the town sleeps, although everyone advises against it, and a secret comes to light, many
    years after the war, in the middle of a storm, with the help of a stranger"""
)
