"""The words and the phrase grammar of the exact language, as plain tables.

A sentence walks from slot to slot (`GRAMMAR`), and each slot says a word (`word_probabilities`):

    the bright sailor beside the nets steers every boat in North Ashford because it was great .

Three hidden choices colour the words: the topic (nouns and verbs), the sentiment (adjectives and
evaluations) and the number (determiner, noun and verb of the subject agree). The determiners avoid
"a" and "an", and every object is singular, so that each sentence is grammatical English.
"""

TOPICS = ("sea", "lab", "music", "sport")
SENTIMENTS = ("positive", "negative")
NUMBERS = ("singular", "plural", "none")  # "none": from the object on, no word depends on it
ENTITY_TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

# People first: subjects take the nouns in this order, objects in the reverse one. Four nouns belong
# to two topics each (wave, net, scale, pitch): only their context says which one is meant.
NOUNS = {
    "sea": "sailor captain wave fisher boat island net storm harbor anchor",
    "lab": "engineer chemist scale student robot sensor wave magnet laser circuit",
    "music": "singer drummer pitch dancer violin choir scale concert song piano",
    "sport": "runner goalie net coach team helmet pitch medal ball trophy",
}
VERBS = {
    "sea": "steer load repair follow",
    "lab": "measure build test record",
    "music": "play tune record rehearse",
    "sport": "throw kick train follow",
}
ANY_VERBS = "watch like find"
ADJECTIVES = {
    "positive": "bright lovely clever gentle",
    "negative": "dull broken clumsy shabby",
}
ANY_ADJECTIVES = "small old new"
EVALUATIONS = {
    "positive": "great wonderful perfect",
    "negative": "terrible boring useless",
}
ANY_EVALUATIONS = "fine usual"
# Three names are both a person's and a city's: again, only the context decides.
FIRST_NAMES = "Boris Ada Florence Chen Sofia Omar Austin Emma"
LAST_NAMES = "Kato Novak Costa Petrov Hoang Moreau"
CITIES = "Ashford Florence Kingsport Austin Fairhaven Sofia Millfield Dunmore"
PREFIXES = "North New Upper"
DETERMINERS = {"singular": "the this every", "plural": "the these some"}

GRAMMAR: dict[str, dict[str, float]] = {
    "start": {"determiner": 0.7, "first_name": 0.3},
    "determiner": {"adjective": 0.4, "noun": 0.6},
    "adjective": {"noun": 1.0},
    # The noun of this phrase has a number of its own, yet the verb agrees with the subject.
    "noun": {"beside": 0.3, "verb": 0.7},
    "beside": {"beside_the": 1.0},
    "beside_the": {"beside_noun": 1.0},
    "beside_noun": {"verb": 1.0},
    "first_name": {"last_name": 0.5, "verb": 0.5},
    "last_name": {"verb": 1.0},
    "verb": {"object_determiner": 1.0},
    "object_determiner": {"object_adjective": 0.4, "object": 0.6},
    "object_adjective": {"object": 1.0},
    "object": {"in": 0.3, "because": 0.25, "stop": 0.45},
    "in": {"prefix": 0.4, "city": 0.6},
    "prefix": {"prefixed_city": 1.0},
    "city": {"because": 0.25, "stop": 0.75},
    "prefixed_city": {"because": 0.25, "stop": 0.75},
    "because": {"it": 1.0},
    "it": {"was": 1.0},
    "was": {"evaluation": 1.0},
    "evaluation": {"stop": 1.0},
    "stop": {"start": 1.0},
}
SLOTS = tuple(slot for slot in GRAMMAR if slot != "start")
NAME_SLOTS = ("first_name", "last_name")  # one person: always singular
NUMBERED_SLOTS = (
    *("determiner", "adjective", "noun", "beside", "beside_the", "beside_noun"),
    *(*NAME_SLOTS, "verb"),
)
ENTITY_TAG = {
    "first_name": "B-PER",
    "last_name": "I-PER",
    "city": "B-LOC",
    "prefix": "B-LOC",
    "prefixed_city": "I-LOC",
}
SAME_EVERYWHERE = {  # slots whose words depend on no hidden choice
    "beside": "beside behind",
    "beside_the": "the",
    "first_name": FIRST_NAMES,
    "last_name": LAST_NAMES,
    "in": "in near",
    "prefix": PREFIXES,
    "city": CITIES,
    "prefixed_city": CITIES,
    "because": "because",
    "it": "it",
    "was": "was",
    "stop": ".",
}
STAY = {"topic": 0.95, "sentiment": 0.95}  # probability that the next sentence keeps it


def with_s(word: str) -> str:
    """Return a noun in the plural or a verb in the third person: one spelling rule serves both."""
    if word.endswith("ch"):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("phy") else word + "s"


def word_probabilities(slot: str, topic: str, sentiment: str, number: str) -> dict[str, float]:
    """Return the distribution of the word that a hidden state says.

    Args:
        slot: One of `SLOTS`.
        topic: One of `TOPICS`.
        sentiment: One of `SENTIMENTS`.
        number: One of `NUMBERS`; it matters to the slots in `NUMBERED_SLOTS` only.

    Returns:
        Probability by word, positive and summing to one.
    """
    nouns, verbs = NOUNS[topic].split(), VERBS[topic].split()
    match slot:
        case "determiner":
            return _zipf(DETERMINERS[number].split())
        case "object_determiner":
            return _zipf(DETERMINERS["singular"].split())
        case "adjective" | "object_adjective":
            return _mixture((0.7, ADJECTIVES[sentiment].split()), (0.3, ANY_ADJECTIVES.split()))
        case "noun":
            return _zipf(_with_s(nouns, number == "plural"))
        case "beside_noun":
            return _mixture((0.5, nouns[::-1]), (0.5, _with_s(nouns[::-1])))
        case "object":
            return _zipf(nouns[::-1])
        case "verb":
            singular = number == "singular"
            topical, general = _with_s(verbs, singular), _with_s(ANY_VERBS.split(), singular)
            return _mixture((0.75, topical), (0.25, general))
        case "evaluation":
            return _mixture((0.8, EVALUATIONS[sentiment].split()), (0.2, ANY_EVALUATIONS.split()))
        case _:
            return _zipf(SAME_EVERYWHERE[slot].split())


def _with_s(words: list[str], wanted: bool = True) -> list[str]:
    return [with_s(word) for word in words] if wanted else words


def _zipf(words: list[str]) -> dict[str, float]:
    """Give the k-th word a probability proportional to 1/k, as in real text (Zipf's law)."""
    total = sum(1 / rank for rank in range(1, len(words) + 1))
    return {word: 1 / rank / total for rank, word in enumerate(words, start=1)}


def _mixture(*parts: tuple[float, list[str]]) -> dict[str, float]:
    """Mix Zipf distributions over disjoint word lists."""
    return {word: weight * p for weight, words in parts for word, p in _zipf(words).items()}
