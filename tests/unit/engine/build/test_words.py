"""Variables in words: docker's cases, and Windows' two escapes."""

from __future__ import annotations

import pytest

from linwin.engine.build.words import Variables, expand
from linwin.errors import InvalidRequest

VARIABLES = Variables(["A=one", "Empty=", "PATH_=C:\\x"])


@pytest.mark.parametrize(
    ("word", "escape", "expected"),
    [
        ("plain", "\\", "plain"),
        ("$A", "\\", "one"),
        ("$a", "\\", "one"),  # Windows' names know no case
        ("${A}two", "\\", "onetwo"),
        ("$Atwo", "\\", ""),
        ("$A-two", "\\", "one-two"),
        ("x$", "\\", "x$"),
        ("$ A", "\\", "$ A"),
        ("\\$A", "\\", "$A"),
        ("`$A", "`", "$A"),
        ("\\$A", "`", "\\one"),
        ("'$A'", "\\", "$A"),
        ('"$A b"', "\\", "one b"),
        ('"\\"\\x"', "\\", '"\\x'),
        ('"`"`x"', "`", '"`x'),
        ("C:\\dir\\file", "`", "C:\\dir\\file"),
        ("C:\\dir", "\\", "C:dir"),
        ("C:\\\\dir", "\\", "C:\\dir"),
        ("$PATH_\\y", "`", "C:\\x\\y"),
        ("${B:-two}", "\\", "two"),
        ("${Empty:-two}", "\\", "two"),
        ("${Empty-two}", "\\", ""),
        ("${B-two}", "\\", "two"),
        ("${A:-two}", "\\", "one"),
        ("${A:+two}", "\\", "two"),
        ("${Empty:+two}", "\\", ""),
        ("${Empty+two}", "\\", "two"),
        ("${B+two}", "\\", ""),
        ("${B:-$A}", "\\", "one"),
        ("${B:-${A}s}", "\\", "ones"),
        ("${A:?no}", "\\", "one"),
        ("$1x", "\\", "x"),
    ],
)
def test_expansion(word: str, escape: str, expected: str) -> None:
    assert expand(word, VARIABLES, escape) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${A", "failed to process '${A': ${A is followed by '', which is none of -, + and ?"),
        ("${}", "failed to process '${}': ${ is not followed by a name"),
        ("${A#o}", "failed to process '${A#o}': ${A is followed by '#', which is none of -, + and ?"),
        ("${B:-x", "failed to process '${B:-x': it ends before the matching }"),
        ("'x", 'failed to process "\'x": it ends before the matching single quote'),
        ('"x', "failed to process '\"x': it ends before the matching double quote"),
        ("${B:?must be given}", "B: must be given"),
        ("${B?}", "B: not set"),
    ],
)
def test_mistakes(word: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        expand(word, VARIABLES, "\\")
    assert caught.value.message == message


def test_a_heredoc_keeps_its_quotes() -> None:
    text = "echo \"$A\" '$A' C:\\dir \\$A\n"
    assert expand(text, VARIABLES, "\\", quotes=True) == "echo \"one\" 'one' C:\\dir $A\n"


def test_no_word_becomes_too_long() -> None:
    many = Variables([f"X={'x' * 60_000}"])
    with pytest.raises(InvalidRequest, match="more than 1048576 characters"):
        expand("$X" * 20, many, "\\")
