import pytest
import torch

from ptft.models.inputs import check_attend, check_ids

IDS = torch.tensor([[3, 4, 0], [1, 0, 0]])
ATTEND = torch.tensor([[True, True, False], [True, False, False]])


def test_what_is_right_passes():
    check_ids(IDS, 5)
    check_ids(IDS.where(ATTEND, -100), 5, ATTEND)  # padding may hold anything
    check_attend(IDS, ATTEND)
    check_attend(torch.zeros(2, 3, 7), ATTEND)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (IDS.float(), TypeError, "words must be integers, got torch.float32"),
        (IDS > 0, TypeError, "words must be integers, got torch.bool"),
        (IDS[0], ValueError, r"words must be \(B, T\) with at least one token, got \(3,\)"),
        (IDS[:, :0], ValueError, r"got \(2, 0\)"),
        (IDS + 1, ValueError, r"words must be in \[0, 5\), got 1 to 5"),
        (IDS - 1, ValueError, "got -1 to 3"),
    ],
)
def test_what_is_no_ids(ids, error, message):
    with pytest.raises(error, match=message):
        check_ids(ids, 5, name="words")


@pytest.mark.parametrize(
    ("ids", "attend", "message"),
    [
        (IDS, ATTEND.long(), r"bool of shape \(2, 3\), got torch.int64 \(2, 3\)"),
        (IDS, ATTEND[:, :2], r"got torch.bool \(2, 2\)"),
        (IDS[0], ATTEND[0], r"with at least one token, got \(3,\)"),
        (IDS[:, :0], ATTEND[:, :0], r"with at least one token, got \(2, 0\)"),
        (IDS, ATTEND.flip(1), "empty or padded elsewhere"),
        (IDS, ATTEND & False, "empty or padded elsewhere"),
        (IDS, torch.tensor([[True, False, True], [True, True, True]]), "padded elsewhere"),
    ],
)
def test_what_is_no_mask(ids, attend, message):
    with pytest.raises(ValueError, match=message):
        check_attend(ids, attend)
