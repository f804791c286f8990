"""Messages about a value that is none of those that exist, and how commands end."""

import subprocess
import sys

import pytest

from dgreid.errors import InputError, check_one_of, exit_code, nearest

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


def test_who_reads_no_further_is_no_error():
    command = [sys.executable, "-m", "dgreid", "list", "strategies"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as lister:
        lister.stdout.close()
        assert lister.stderr.read() == b""
    assert lister.returncode == 141


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(InputError("bad"), 1, "error: bad\n"), (KeyboardInterrupt(), 130, "stopped by the keyboard\n")],
)
def test_a_command_ends_in_a_line(error, code, said, capsys):
    def work():
        raise error

    assert exit_code(work) == code
    assert capsys.readouterr().err == said
    assert exit_code(lambda: None) == 0
    assert exit_code(lambda: 3) == 3


def test_what_nobody_can_mend_keeps_its_stack():
    with pytest.raises(KeyError):
        exit_code(lambda: {}["key"])
