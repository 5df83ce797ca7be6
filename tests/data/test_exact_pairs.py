import math

import pytest
import torch

from ptft.core.compute import generator
from ptft.data.exact_pairs import exact_documents, follows_log_odds
from ptft.data.language import exact_language
from ptft.data.limits import next_token_log_probs

LANGUAGE = exact_language()
TEXTS = exact_documents(LANGUAGE, 40, 3, generator(0))


def test_documents_are_whole_sentences():
    stop = LANGUAGE.words.index(".")
    for text in TEXTS:
        assert len(text) == 3
        for sentence in text:
            assert sentence.index(stop) == len(sentence) - 1


def test_odds_are_a_ratio_of_probabilities():
    a, b = TEXTS[0][0], TEXTS[1][2]

    def log_p(span):
        ids = torch.tensor([span])
        return next_token_log_probs(LANGUAGE, ids, LANGUAGE.sentence_start).sum().item()

    other = [TEXTS[2][0]]  # of another length, so that something is padded
    odds = follows_log_odds(LANGUAGE, [a, *other], [b, TEXTS[2][1]])
    assert odds[0].item() == pytest.approx(log_p(a + b) - log_p(a) - log_p(b), abs=1e-9)


def test_odds_know_who_follows_but_not_the_order():
    a, b = [text[0] for text in TEXTS], [text[1] for text in TEXTS]
    forth, back = follows_log_odds(LANGUAGE, a, b), follows_log_odds(LANGUAGE, b, a)
    torch.testing.assert_close(forth, back, atol=1e-9, rtol=0)
    strangers = follows_log_odds(LANGUAGE, a, b[1:] + b[:1])
    assert forth.mean() > 0.1 > -0.1 > strangers.mean()
    assert forth.max() < math.log(4 * 2) + 1e-9  # topic and sentiment, known for certain


def test_bad_input():
    with pytest.raises(ValueError, match="at least 1, got 0 and 3"):
        exact_documents(LANGUAGE, 0, 3, generator(0))
    for a, b in (([], []), ([[7]], []), ([[7]], [[]])):
        with pytest.raises(ValueError, match="as many spans"):
            follows_log_odds(LANGUAGE, a, b)
