"""Counts, TF-IDF and cosine against slow twins, against scikit-learn, and with bad input."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from ptft.text.bag_of_words import (
    TfIdf,
    Variant,
    cosine_similarity,
    count_matrix,
    inverse_document_frequency,
    unit_rows,
)
from ptft.text.words import Vocabulary, words

TEXTS = (
    "The dog bites the man.",
    "The man bites the dog!",
    "A cat, a cat: the cat sleeps.",
    "The man reads.",
)
DOCUMENTS = [words(text) for text in TEXTS]
VOCABULARY = Vocabulary.build(DOCUMENTS, min_count=1)


def columns(names: list[str]) -> list[int]:
    """Return where scikit-learn's columns are in ours; it sorts words, we sort by count."""
    return [VOCABULARY.ids[name] for name in names]


def test_counts_are_those_of_a_loop_and_of_scikit_learn() -> None:
    counts = count_matrix(DOCUMENTS, VOCABULARY)
    assert issparse(counts)
    assert counts.shape == (4, len(VOCABULARY))
    slow = [[Counter(document)[word] for word in VOCABULARY.words] for document in DOCUMENTS]
    np.testing.assert_array_equal(counts.toarray(), slow)
    theirs = CountVectorizer(analyzer=words)
    matrix = theirs.fit_transform(TEXTS).toarray()
    ours = counts.toarray()[:, columns(theirs.get_feature_names_out().tolist())]
    np.testing.assert_array_equal(ours, matrix)


@pytest.mark.parametrize("variant", ["smooth", "textbook"])
@pytest.mark.parametrize("unit", [True, False])
def test_tf_idf_is_that_of_a_loop(variant: Variant, unit: bool) -> None:
    ours = TfIdf.fit(DOCUMENTS, VOCABULARY, variant).transform(DOCUMENTS, unit).toarray()
    n = len(DOCUMENTS)
    for row, document in zip(ours, DOCUMENTS, strict=True):
        expected = []
        for word in VOCABULARY.words:
            df = sum(word in other for other in DOCUMENTS)
            idf = math.log((1 + n) / (1 + df)) + 1 if variant == "smooth" else math.log(n / df)
            expected.append(document.count(word) * idf)
        norm = math.hypot(*expected) if unit else 1
        np.testing.assert_allclose(row, np.array(expected) / norm, atol=1e-12)


def test_smooth_tf_idf_is_scikit_learns_also_on_new_documents() -> None:
    new = ["The cat bites the unseen dog", "unseen words only"]
    theirs = TfidfVectorizer(analyzer=words).fit(TEXTS)
    ours = TfIdf.fit(DOCUMENTS, VOCABULARY)
    order = columns(theirs.get_feature_names_out().tolist())
    for texts in (list(TEXTS), new):
        matrix = ours.transform([words(text) for text in texts]).toarray()[:, order]
        np.testing.assert_allclose(matrix, theirs.transform(texts).toarray(), atol=1e-12)


def test_a_word_of_all_documents_counts_only_if_smooth() -> None:
    counts = count_matrix(DOCUMENTS, VOCABULARY)
    the = VOCABULARY.ids["the"]
    assert inverse_document_frequency(counts, "textbook")[the] == 0
    assert inverse_document_frequency(counts, "smooth")[the] == 1


def test_a_word_of_no_document_has_no_textbook_weight() -> None:
    only_cat = count_matrix([["cat"]], VOCABULARY)
    with pytest.raises(ValueError, match="no document has word 0"):
        inverse_document_frequency(only_cat, "textbook")
    smooth = inverse_document_frequency(only_cat, "smooth")
    assert smooth[VOCABULARY.ids["dog"]] == pytest.approx(math.log(2) + 1)


def test_cosine_sees_words_and_not_their_order() -> None:
    vectors = TfIdf.fit(DOCUMENTS, VOCABULARY).transform(DOCUMENTS)
    cosine = cosine_similarity(vectors, vectors)
    assert cosine[0, 1] == pytest.approx(1)  # dog bites man, man bites dog
    np.testing.assert_allclose(np.diag(cosine), 1)
    words_alone = count_matrix([["dog"], ["cat"]], VOCABULARY)
    assert cosine_similarity(words_alone[[0]], words_alone[[1]]).item() == 0
    assert cosine_similarity(3 * vectors, vectors) == pytest.approx(cosine)


def test_a_document_without_known_words_is_a_row_of_zeros() -> None:
    counts = count_matrix([[], ["unseen"], ["dog"]], VOCABULARY)
    assert counts.sum(axis=1).tolist() == [0, 0, 1]
    assert np.isfinite(unit_rows(counts).toarray()).all()
    assert cosine_similarity(counts, counts)[0].tolist() == [0, 0, 0]


def test_a_vocabulary_of_one_word_is_enough() -> None:
    vocabulary = Vocabulary.build([["dog", "dog"]], min_count=1)
    assert TfIdf.fit([["dog"]], vocabulary).transform([["dog"] * 3]).toarray().tolist() == [[1]]


def test_bad_input_is_refused() -> None:
    with pytest.raises(TypeError, match="lists of words, got a string"):
        count_matrix("the dog", VOCABULARY)
    with pytest.raises(TypeError, match="got the string 'the dog'"):
        count_matrix(["the dog"], VOCABULARY)
    with pytest.raises(ValueError, match="at least one document"):
        TfIdf.fit([], VOCABULARY)
    with pytest.raises(ValueError, match="'smooth' or 'textbook', got 'log'"):
        TfIdf.fit(DOCUMENTS, VOCABULARY, "log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weights, got"):
        TfIdf(VOCABULARY, np.ones(2))
    with pytest.raises(ValueError, match="one vocabulary"):
        counts = count_matrix(DOCUMENTS, VOCABULARY)
        cosine_similarity(counts, counts[:, :2])
