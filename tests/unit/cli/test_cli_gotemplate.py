"""Go templates, the part of them that linwin reads."""

from __future__ import annotations

import pytest

from linwin.cli.gotemplate import compile_template
from linwin.errors import InvalidRequest

VALUE = {
    "ID": "12",
    "Up": True,
    "Down": False,
    "Code": 7,
    "None": None,
    "Args": ["/c", "ver"],
    "Labels": {"b": "2", "a.x": "1"},
    "State": {"Status": "running", "Nets": {"nat": {"IP": "1.2.3.4"}, "alt": {"IP": "5.6.7.8"}}},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.ID}}", "12"),
        ("{{ .State.Status }}!", "running!"),
        ("{{.Up}} {{.Down}} {{.Code}} {{.None}}", "true false 7 <no value>"),
        ("{{.Args}} {{.Labels}}", "[/c ver] map[a.x:1 b:2]"),
        (r"{{.ID}}\t{{.Code}}\n", "12\t7\n"),
        ("{{json .Args}}", '["/c","ver"]'),
        ('{{index .Labels "a.x"}}{{index .Labels "absent"}}', "1"),
        ("{{index .Args 1}}", "ver"),
        ("{{len .Args}} {{upper .State.Status}} {{.ID | json}}", '2 RUNNING "12"'),
        ("{{if .Up}}yes{{else}}no{{end}} {{if .Down}}yes{{else}}no{{end}} {{if .None}}x{{end}}", "yes no "),
        ('{{if eq .State.Status "running"}}runs{{end}}', "runs"),
        ("{{range .Args}}<{{.}}>{{end}}", "</c><ver>"),
        ("{{range .State.Nets}}{{.IP}} {{end}}", "5.6.7.8 1.2.3.4 "),
        ("{{range .None}}x{{else}}none{{end}}", "none"),
        ('{{join .Args ","}} {{join (split "a-b" "-") "+"}}', "/c,ver a+b"),
        ("{{json (index .State.Nets `nat`)}}", '{"IP":"1.2.3.4"}'),
        ("a {{- .ID -}} b", "a12b"),
        ("{{with_no_braces", None),
        ("{{}}", None),
    ],
)
def test_renders(template: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(InvalidRequest):
            compile_template(template)
    else:
        assert compile_template(template)(VALUE) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.ID", "template: unclosed action"),
        ("{{}}", "template: missing value for command"),
        ("{{foo .ID}}", 'template: function "foo" not defined'),
        ("{{$x := .ID}}", 'template: "$x := .ID" is not supported'),
        ("{{end}}", "template: unexpected {{end}}"),
        ("{{if .ID}}x", "template: if has no {{end}}"),
        ("{{range}}{{end}}", "template: missing value for range"),
        ("{{json (.ID}}", "template: unclosed left paren"),
        ("{{.Nope}}", 'template: there is no field "Nope"'),
        ("{{.ID.Nope}}", 'template: there is no field "Nope"'),
        ("{{range .ID}}{{end}}", "template: range can't iterate over 12"),
        ("{{index .Args 9}}", "template: bad arguments: list index out of range"),
        ('{{.ID "x"}}', "template: can't give argument to non-function"),
    ],
)
def test_refuses(template: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        compile_template(template)(VALUE)
    assert caught.value.message == message
