"""Messages about a value that is none of those that exist."""

import pytest

from dgreid.errors import InputError, check_one_of, nearest

STRATEGIES = ("softmax_triplet", "fbf", "m3l")


@pytest.mark.parametrize(
    ("typed", "hint"), [("fbff", "did you mean 'fbf'? "), ("m3", "did you mean 'm3l'? "), ("zzz", ""), ("", "")]
)
def test_the_nearest_name_and_all_others(typed, hint):
    assert nearest(typed, STRATEGIES) == f"{hint}known: fbf, m3l, softmax_triplet"


@pytest.mark.parametrize(("value", "hint"), [("fbff", "did you mean 'fbf'. "), (None, ""), (7, ""), (["fbf"], ".*")])
@pytest.mark.parametrize("options", [STRATEGIES, dict.fromkeys(STRATEGIES)])
def test_a_value_that_is_none_of_the_options(value, hint, options):
    start = str(value).replace("[", r"\[")
    with pytest.raises(InputError, match=f"^strategy={start}: {hint}known: fbf, m3l, softmax_triplet$"):
        check_one_of("strategy", value, options)


@pytest.mark.parametrize("value", STRATEGIES)
def test_one_of_the_options(value):
    check_one_of("strategy", value, STRATEGIES)
