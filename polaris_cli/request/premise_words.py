"""The vocabulary of requests for a length, in English, German, French, Spanish and Chinese, and
that of the plainest requests in some other languages.

Data only; `premise` knows in which order the words make a request. All words are in lower case. The
languages share their lists, as a mix of them only matches sentences that nobody writes. An
apostrophe separates words ("d'environ").
"""

import re

from polaris_cli.characters import CJK

# Units, with the language of the spelled-out numbers before them ("": digits only).
UNITS = {
    **dict.fromkeys(("word", "words"), "en"),
    **dict.fromkeys(("wort", "worte", "worten", "wörter", "wörtern"), "de"),
    **dict.fromkeys(("mot", "mots"), "fr"),
    **dict.fromkeys(("palabra", "palabras"), "es"),
    **dict.fromkeys(("字", "个字", "個字", "词", "个词", "文字"), "zh"),
    **dict.fromkeys(("parola", "parole"), "it"),
    **dict.fromkeys(("palavra", "palavras"), "pt"),
    **dict.fromkeys(("woord", "woorden"), "nl"),
    **dict.fromkeys(("слово", "слова", "слов", "słowo", "słowa", "słów", "단어"), ""),
}
MULTIPLIERS = {
    **dict.fromkeys(("k", "thousand", "tausend", "mille", "mil", "千"), 1000),
    **dict.fromkeys(("hundred", "hundert", "百"), 100),
    **dict.fromkeys(("万", "萬"), 10_000),
}
DIGITS = {
    sign: value
    for value, signs in enumerate(("零〇", "一", "二两", *"三四五六七八九"))
    for sign in signs
}
PLACES = {"十": 10, "百": 100, "千": 1000}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# No number of words follows from a length in these, but it is told that they are not read.
OTHER_UNITS = _words(
    """page pages seite seiten página páginas pagina pagine bladzijden strona strony stron страница
    страницы страниц 页 頁 zeichen caractères caracteres caratteri tekens"""
)


def _phrases(**kinds: str) -> dict[str, str]:
    return {words.strip(): kind for kind, text in kinds.items() for words in text.split("|")}


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    return frozenset((pair.split()[0], pair.split()[1]) for pair in text.split("|"))


BEFORE = _phrases(
    about="""about | around | approximately | approx | roughly | circa | ca | c | some |
        nearly | almost | exactly | precisely | just | ~ | ≈ | ± | etwa | ungefähr | rund | zirka |
        genau | knapp | environ | à peu près | autour de | exactement | unos | unas |
        aproximadamente | aprox | alrededor de | cerca de | 大约 | 大概 | 约 | 約""",
    least="""at least | ≥ | minimum | minimum of | a minimum of | min | minimum : | min : |
        minimum length : | minimum word count : | more than | longer than | over | exceed |
        go over | mindestens | wenigstens | mind | mehr als | länger als | au moins |
        minimum de | plus de | al menos | por lo menos | mínimo | mínimo de | más de |
        como mínimo | 至少 | 不少于 | 不低于 | 最少 | 超过""",
    most="""at most | up to | under | below | less than | fewer than | shorter than | < | ≤ |
        maximum | maximum of | a maximum of | max | maximum : | max : | maximum length : |
        maximum word count : | höchstens | maximal | weniger als | kürzer als | bis zu | unter |
        au plus | au maximum | moins de | jusqu à | maximum de | como máximo | máximo |
        máximo de | menos de | hasta | 不超过 | 最多 | 至多 | 少于""",
    between="between | zwischen | entre | from | von | de | desde | d | 在",
)

# A negation turns these round: "do not write more than 500 words".
COMPARISONS = frozenset(
    phrase
    for phrase in BEFORE
    if re.fullmatch(r"(\w+ )?(than|als|over|under|below|exceed)|\w+s de|超过|少于", phrase)
)
NEGATIONS = _words("not t cannot never no nicht nie pas jamais nunca 不 别")
TOLERANCES = ("+ / -", "+ -", "±", "plus or minus", "give or take")

AFTER = _phrases(
    about="""or so | odd | approximately | approx | roughly | environ | aproximadamente |
        左右 | 上下""",
    least="""+ | plus | or more | at least | minimum | min | oder mehr | mindestens | ou plus |
        au moins | au minimum | o más | como mínimo | mínimo | 以上 | 多 | 余""",
    most="""or less | or fewer | or under | at most | maximum | max | tops | oder weniger |
        höchstens | maximal | ou moins | au maximum | au plus | o menos | como máximo |
        máximo | 以内 | 以下 | 之内""",
)
BOUND = frozenset(word for phrase in (*BEFORE, *AFTER) for word in phrase.split())
TO = _words("- — ~ to or bis oder à a ou o 到 至")
AND = _words("and but und et y e 和")  # join a range, but only after "between" or a bound

IMPERATIVES = _words(
    """write tell create generate make compose craft draft produce give describe retell
    narrate summarize summarise explain continue pen rewrite spin develop imagine use turn want need
    schreib
    schreibe schreiben erzähl erzähle erzählen verfasse verfass erstelle erfinde gib möchte
    brauche hätte wünsche beschreibe écris écrivez écrire raconte racontez rédige rédigez
    invente crée donne voudrais aimerais veux décris escribe escribir escríbeme escriba
    cuenta cuéntame crea redacta inventa dame quiero necesito describe narra scrivi racconta escreva
    schrijf vertel napisz opowiedz напиши расскажи 写 寫 写一篇
    写一个 创作 编 讲 生成 来"""
)
FORM_NOUNS = _words(
    """story tale fairytale fable essay fiction piece novella script review scene chapter
    legend myth narrative anecdote vignette prose passage episode article parable saga
    adventure romance thriller mystery fantasy comedy satire sketch text monologue dialogue
    poem drabble retelling fanfiction fanfic podcast screenplay geschichte märchen erzählung
    fabel text aufsatz szene kapitel essay krimi gedicht novelle sage histoire conte nouvelle
    récit texte essai scène fable poème cuento historia relato fábula ensayo texto escena
    microrrelato poema storia racconto favola fiaba história conto verhaal sprookje opowiadanie
    bajkę рассказ сказку историю 故事 小说 小說 童话 童話 短文 文章 作文 散文 寓言 短篇"""
)
PIECES = _words(  # forms after an imperative; otherwise more likely things in the plot
    """letter speech study draft diary entry journal account report memoir eulogy prologue epilogue
    opening backstory biography novel interview sermon version introduction summary adaptation
    conversation description parody message lettre discours carta discurso brief rede"""
)
FORM_ENDINGS = ("geschichte", "märchen", "erzählung")
LIMITS = _words("limit maximum minimum max min target length count budget")
LABELS = _words(
    """target count wordcount length limit wortzahl wortanzahl länge umfang wörterzahl longueur
    longitud extensión 字数 字數 篇幅 长度"""
)
ARTICLES = _words("a an one ein eine einen einem einer un une una 一")
NOUN_STARTS = _words("a an one the two three four five some")  # "two sisters in 500 words"
LINKS = _words("in within using en of under mit de d con is s be tenga")
WITHIN = _words("in within using en")
REQUEST = (
    IMPERATIVES
    | FORM_NOUNS
    | LABELS
    | LIMITS
    | ARTICLES
    | LINKS
    | TO - {"—"}
    | frozenset(UNITS)
    | BOUND
) - {"c"} | _words(
    """: = the this it its i we you me us d ll m let lets please kindly so and then now ok
    okay hi hello can could would will should must may to are needs wants like love looking
    for keep aim ensure provide has have that which with by whole entire total overall final
    target desired approx your answer output response task request prompt premise short long
    number genre new complete full funny flash bedtime fairy original single try stay stick
    don t go not no never cannot ne any do come contain run cover there another go into micro
    told 为题 为主题 u pls plz approximate
    somewhere anywhere remember reminder note j gern gerne der die das dem den es er ich du
    mir uns bitte soll sollte sollen hat haben sein wäre ist wird darf im insgesamt kurze kurzes
    kurzer lange langes gute zum eure anzahl gesamt und dann also le la l les ce c qui que il
    elle je moi nous peux pourrais pouvez faire fasse doit devra est soit pour avec s te vous
    plaît courte petite petit longue nombre dans sur total puis el los las lo una puedes
    podrías quisiera que tenga debe tener ser sea por favor para corto corta breve largo
    número y unos me con di um uma een van na на 请 請 帮 帮我 给 我 给我 一个 一篇 一段
    一则 个 篇 段 的 短 要求 在 用 以 是 为 控制 关于 总 全文 需要 想 你 能 要 得 可以 不"""
)
CLOSERS = _words(
    """long length in total overall altogether only please thanks thank you max lang lange
    insgesamt bitte ist sein soll sollte haben hat umfassen umfasst werden longueur de long
    au s il te vous plaît total seulement merci longitud largo extensión por favor gracias
    solo 长 即可 吧 的 篇幅"""
)
TOPICS = _words("about on regarding über zu sur sobre acerca su 关于 關於 讲述 描写")
WIDER = _words(
    """of in with for describing featuring exploring set from between and including titled
    called using where told based inspired without von mit für aus in wo und avec pour dans
    où de et con para en donde de y"""
)
RELATIVES = _words("that which der die das qui que")
# A length after a clause belongs to the plot, as does that of a thing ("a letter of 300 words").
CLAUSES = _words(
    """who whom whose that which where when while must can could has had have because if he
    she him they written spoken said welche welcher wenn weil dass qui que dont où quand si
    quien cuando donde"""
)
EVERY = _words("each every per chaque cada je jeweils jede jeder jedes jedem jeden pro")
EACH = EVERY | _words("apiece a an par chacun")  # after a length that is not that of the whole
OF = _words("of mit von de d con")
THINGS = _words(
    """letter letters note message speech vocabulary dictionary diary journal manuscript
    language lexicon stories book contract confession telegram spell curse prophecy prayer
    treaty will testament oath apology manifesto sermon spells brief tagebuch nachricht rede
    wortschatz vokabular sprache buch vertrag lettre lettres discours journal vocabulaire
    langue livre message testament carta cartas discurso diario vocabulario lengua libro
    mensaje testamento"""
)
# Parts of a text: their length is not that of the whole.
SHORT_PARTS = _words(
    """title titles subtitle heading headings headline sentence sentences line lines paragraph
    paragraphs stanza stanzas verse verses titel überschrift satz sätze sätzen zeile zeilen
    absatz absätze absätzen titre titres phrase phrases ligne lignes paragraphe paragraphes
    título títulos frase frases oración oraciones línea líneas párrafo párrafos"""
)
MANY_PARTS = _words(
    """chapters parts sections scenes acts episodes kapiteln abschnitte abschnitten akte akten
    szenen teile teilen chapitres scènes actes parties capítulos escenas actos partes"""
)
PARTS = SHORT_PARTS | MANY_PARTS
ONE_PART = _words(  # may also be all that is asked for: "Write a chapter of 1000 words"
    "chapter part section scene act episode kapitel abschnitt akt szene teil chapitre capítulo"
)
ORDINALS = _words(
    """first second third last final erste ersten zweite zweiten letzte letzten premier première
    dernier dernière primer primera último última"""
)
FUNCTION = (
    CLAUSES
    | THINGS
    | PARTS
    | ARTICLES
    | AND
    | WIDER
    | TOPICS
    | _words(
        """the is was are were be been or by at my your our its his her their it i we you this
    per each every apiece"""
    )
)
# Word pairs that cannot be in a request: what follows is a topic, or a character's duty.
TELLS = _pairs(
    """about a | about an | about the | about one | on a | on the | the will | there are |
    i must | i have | we must | we have | über ein | über eine | sur un | sur une | sobre un |
    sobre una"""
)
OWNERS = _pairs("of a | with a | in the")  # before "500-word poem": a poem in the plot

GLUE = _words("and a half couple of et y und -")  # inside spelled-out numbers
TO_LABEL = _words(": = of is should be de von ist es — -")
KEEPERS = _words(
    """write make keep limit aim ensure it please do don never mach mache
    halte es fais fassent haz hazlo que"""
)
SPEAKERS = _words("he she they said and but er sie il elle ils él ella")
ENDERS = frozenset([*".!?。;\n", "..."])
BREAKS = ENDERS | frozenset(',、()[]{}【】|•/—"“”„«»「」')

CHINESE = sorted(
    {
        word
        for table in (UNITS, BEFORE, AFTER, REQUEST, CLOSERS, TOPICS, FORM_NOUNS)
        for word in table
        if re.match(f"[{CJK}]{{2,}}", word)
    },
    key=len,
    reverse=True,
)
