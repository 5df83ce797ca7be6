"""Documents as counts of their words: bag of words, TF-IDF and the cosine between documents.

Matrices are sparse, since a document has few of the words that there are: one row per document, one
column per word of a `Vocabulary`. Words outside it are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array, diags_array

from ptft.text.words import Vocabulary

Variant = Literal["smooth", "textbook"]


def count_matrix(documents: Sequence[Sequence[str]], vocabulary: Vocabulary) -> csr_array:
    r"""Count the words of each document: $\mathrm{tf}_{dt}$, the bag of words.

    Args:
        documents: N lists of words; an empty one gives a row of zeros.
        vocabulary: V words, the columns.

    Returns:
        (N, V) float64, sparse.

    Raises:
        TypeError: If `documents` or one of them is a string.
        ValueError: If there is no document.

    Source:
        Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), section 6.2.

    Example:
        >>> dogs = [["dog", "bites", "dog"]]
        >>> count_matrix(dogs, Vocabulary.build(dogs, min_count=1)).toarray()
        array([[2., 1.]])
    """
    if isinstance(documents, str):
        raise TypeError("documents must be lists of words, got a string")
    rows = [vocabulary.encode(document) for document in documents]
    if not rows:
        raise ValueError("expected at least one document, got none")
    d = np.repeat(np.arange(len(rows)), [len(row) for row in rows])  # (tokens,)
    t = np.array([word for row in rows for word in row], dtype=np.int64)  # (tokens,)
    ones = coo_array((np.ones(len(t)), (d, t)), shape=(len(rows), len(vocabulary)))
    return ones.tocsr()  # adds up what has the same place: (N, V)


def inverse_document_frequency(
    counts: csr_array, variant: Variant = "smooth"
) -> npt.NDArray[np.float64]:
    r"""Weight each word by how few documents have it; $\mathrm{df}_t$ is how many do.

    - "textbook": $\ln(N / \mathrm{df}_t)$, which is 0 for a word that all documents have.
    - "smooth": $\ln((1 + N) / (1 + \mathrm{df}_t)) + 1$, scikit-learn's default, always positive.

    Args:
        counts: (N, V), as `count_matrix` returns them.
        variant: "smooth" or "textbook".

    Returns:
        (V,) weights.

    Raises:
        ValueError: If `variant` is unknown, or it is "textbook" and no document has some word.

    Source:
        Spärck Jones, "A statistical interpretation of term specificity and its application in
        retrieval" (1972); Manning et al. 2008, section 6.2.1, equation 6.7.
    """
    if variant not in get_args(Variant):
        raise ValueError(f"variant must be 'smooth' or 'textbook', got {variant!r}")
    n_documents = counts.shape[0]
    df = (counts > 0).sum(axis=0)  # (V,)
    if variant == "smooth":
        return np.log((1 + n_documents) / (1 + df)) + 1
    if not df.all():
        missing = int(np.argmin(df))
        raise ValueError(f"no document has word {missing}: its textbook weight would be infinite")
    return np.log(n_documents / df)


def unit_rows(matrix: csr_array) -> csr_array:
    """Divide each row by its Euclidean norm; a row of zeros stays as it is."""
    norms = np.sqrt(matrix.multiply(matrix).sum(axis=1))  # (N,)
    return csr_array(diags_array(1 / np.where(norms > 0, norms, 1)) @ matrix)


def cosine_similarity(a: csr_array, b: csr_array) -> npt.NDArray[np.float64]:
    r"""Return the cosine of each row of `a` with each row of `b`; 0 if one has zeros only.

    $\cos(x, y) = x \cdot y / (\lVert x \rVert \lVert y \rVert)$

    Args:
        a: (N, V) sparse.
        b: (M, V) sparse.

    Returns:
        (N, M), dense.

    Raises:
        ValueError: If the numbers of columns differ.

    Source:
        Salton and McGill, "Introduction to Modern Information Retrieval" (1983), chapter 4;
        Manning et al. 2008, section 6.3.1, equation 6.10.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"rows must be over one vocabulary, got {a.shape} and {b.shape}")
    return (unit_rows(a) @ unit_rows(b).T).toarray()


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class TfIdf:
    r"""Counts weighted by inverse document frequency: $w_{dt} = \mathrm{tf}_{dt} \mathrm{idf}_t$.

    Attributes:
        vocabulary: V words, the columns.
        idf: (V,) weights.

    Raises:
        ValueError: If there is not one weight per word.

    Source:
        Manning et al. 2008, section 6.2.2, equation 6.8.
    """

    vocabulary: Vocabulary
    idf: npt.NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        if self.idf.shape != (len(self.vocabulary),):
            raise ValueError(f"expected {len(self.vocabulary)} weights, got {self.idf.shape}")

    @classmethod
    def fit(
        cls,
        documents: Sequence[Sequence[str]],
        vocabulary: Vocabulary,
        variant: Variant = "smooth",
    ) -> "TfIdf":
        """Take the weights from the documents; errors are those of the functions above."""
        counts = count_matrix(documents, vocabulary)
        return cls(vocabulary, inverse_document_frequency(counts, variant))

    def transform(self, documents: Sequence[Sequence[str]], unit: bool = True) -> csr_array:
        """Return the vectors of documents, new ones or those of `fit`.

        Args:
            documents: N lists of words.
            unit: Whether each row is divided by its norm, as in scikit-learn.

        Returns:
            (N, V) float64, sparse.

        Raises:
            TypeError: If `documents` or one of them is a string.
            ValueError: If there is no document.
        """
        weighted = count_matrix(documents, self.vocabulary) @ diags_array(self.idf)  # (N, V)
        return unit_rows(weighted) if unit else csr_array(weighted)
