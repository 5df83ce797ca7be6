import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptft.data.prose import Block, is_prose, plain_text, prose_blocks, split_sentences

NUMPY_STYLE = """
    Return the sum of the given values

    The values are added from left to right.

    >>> total([1, 2])
    3

    Parameters
    ----------
    values : array_like, optional
        The values that are to be added.

        They may have any shape.
    axis : int
        Axis along which the sum is taken.

    Returns
    -------
    total : float
        The sum of all of the values.

    Notes
    -----
    The result is :math:`\\sum_i x_i` in any case.
    The order of the values does not matter. An example::

        total([2, 1])

    ======  =======
    order   result is the same for all
    ======  =======

    References
    ----------
    .. [1] This is the title of a book that nobody reads.
"""
GOOGLE_STYLE = """Return the sum of the given values.

Args:
    values (`list[float]`, *optional*): The values that are to be added.
        They may have any sign.
    axis (`int`):
        Axis along which the sum is taken.

Returns:
    float: The sum of all of the values.

Raises:
    ValueError: If there is nothing to be added.
"""


def test_numpydoc_sections_items_and_types():
    assert prose_blocks(NUMPY_STYLE) == [
        Block("summary", "", "", ("Return the sum of the given values.",)),
        Block("description", "", "", ("The values are added from left to right.",)),
        Block(
            "parameters",
            "values",
            "array_like, optional",
            ("The values that are to be added.", "They may have any shape."),
        ),
        Block("parameters", "axis", "int", ("Axis along which the sum is taken.",)),
        Block("returns", "total", "float", ("The sum of all of the values.",)),
        Block("notes", "", "", ("The order of the values does not matter.",)),
    ]  # and nothing of the doctest, the formula, the literal block, the table, the reference


def test_google_sections_items_and_types():
    assert prose_blocks(GOOGLE_STYLE) == [
        Block("summary", "", "", ("Return the sum of the given values.",)),
        Block(
            "parameters",
            "values",
            "list[float], optional",
            ("The values that are to be added.", "They may have any sign."),
        ),
        Block("parameters", "axis", "int", ("Axis along which the sum is taken.",)),
        Block("returns", "", "float", ("The sum of all of the values.",)),
        Block("raises", "ValueError", "", ("If there is nothing to be added.",)),
    ]


def test_sphinx_fields():
    blocks = prose_blocks(
        "Add all of the values.\n\n"
        ":param list values: the values that are to be added\n"
        ":type values: list\n"
        ":returns: the sum of all of the values\n"
    )
    assert [(b.section, b.name, b.type) for b in blocks] == [
        ("summary", "", ""),
        ("parameters", "values", "list"),
        ("returns", "", ""),
    ]


@pytest.mark.parametrize(
    "untitled",
    [
        "size (`int`, *optional*):\n    The size of the result.",
        "size : int\n    The size of the result.",
    ],
)
def test_parameters_without_a_title(untitled):
    (block,) = prose_blocks(f"{untitled}\n")
    assert (block.section, block.name) == ("parameters", "size")


def test_admonition_is_kept_and_other_directives_are_dropped():
    blocks = prose_blocks(
        "Add all of the values.\n\n"
        ".. note::\n    This is slow for a long list.\n\n"
        ".. plot::\n    This is not a part of the text.\n\n"
        "```python\nthis is not a part of the text\n```\n"
    )
    assert [s for block in blocks for s in block.sentences] == [
        "Add all of the values.",
        "This is slow for a long list.",
    ]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("see :class:`~torch.nn.Linear` for it", "see Linear for it"),
        ("a ``code`` and a `name`_ and *this* one", "a code and a name and this one"),
        ("the [user guide](https://example.org/guide)", "the user guide"),
        ("the `user guide <https://example.org>`__", "the user guide"),
        ("as in [1]_ and **here**", "as in and here"),
        ("`~numpy.ndarray`\n  of 3 * n + 1", "ndarray of 3 * n + 1"),
    ],
)
def test_inline_markup_is_replaced_by_its_text(marked, plain):
    assert plain_text(marked) == plain


def test_sentences_are_not_split_at_abbreviations():
    text = "Use a filter, e.g. Gauss. It is fast. (It is cf. Smith the best.) Why not?"
    assert split_sentences(text) == [
        "Use a filter, e.g. Gauss.",
        "It is fast.",
        "(It is cf. Smith the best.)",
        "Why not?",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "too short.",
        "This line has no end",
        "sum(x) = {x: 1 for x in y} is what it is.",
        "See https://example.org for the rest of it.",
        "alpha beta gamma delta epsilon zeta eta.",
        "1 2 3 4 5 6 7 is in the of 8 9 10 11.",
    ],
)
def test_what_is_not_prose(line):
    assert not is_prose(line)


def test_what_is_prose():
    assert is_prose("The values are added from left to right (slowly).")


# Pieces that the parser treats in a special way, in any order and nesting.
_LINES = st.sampled_from(
    """Args:
Parameters
----------
x : int
  y (`int`): The size.
:param x: y
```
>>> f()
.. note::
.. [1] A
| a | b |
It is::

    deep
- It is one.
`a""".splitlines()
)


@given(st.text() | st.lists(_LINES | st.text(max_size=20)).map("\n".join))
def test_any_text_gives_blocks_of_prose(text):
    for block in prose_blocks(text):
        assert block.section and block.sentences
        assert all(is_prose(sentence) for sentence in block.sentences)
