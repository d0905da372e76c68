"""Go templates, the part of them that linwin reads."""

from __future__ import annotations

import pytest

from linwin.cli.gofunctions import HEADING_FUNCTIONS
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
        ("{{/* a note */}}{{- /* and one */ -}} x", "x"),
        ("{{with .State}}{{.Status}}{{end}}{{with .None}}x{{else}}-{{end}}", "running-"),
        ("{{with .None}}x{{else with .ID}}{{.}}{{end}}", "12"),
        ("{{if .Down}}a{{else if .None}}b{{else if .Up}}c{{else}}d{{end}}", "c"),
        ("{{if .Down}}a{{else if .None}}b{{else}}d{{end}}!", "d!"),
        ("{{$x := .ID}}{{range .Args}}{{$x}}{{.}} {{end}}{{$.Code}}", "12/c 12ver 7"),
        ("{{$x := 1}}{{if .Up}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if .Up}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ("{{range $i, $a := .Args}}{{if $i}}, {{end}}{{$i}}={{$a}}{{end}}", "0=/c, 1=ver"),
        ("{{range $a := .Args}}{{$a}}{{end}}", "/cver"),
        ("{{range $k, $v := .State.Nets}}{{$k}}:{{$v.IP}} {{end}}", "alt:5.6.7.8 nat:1.2.3.4 "),
        ('{{(index .State.Nets "nat").IP}}', "1.2.3.4"),
        ('{{with $n := index .State.Nets "alt"}}{{$n.IP}}{{end}}', "5.6.7.8"),
        ("{{.Labels.absent}} {{if .State.Health}}x{{end}}{{.State.Health}}", "<no value> <no value>"),
        ('{{if and .State.Health (eq .State.Health.Status "healthy")}}x{{else}}-{{end}}', "-"),
        ("{{or .None .ID}}{{and .Up .Code}}", "127"),
        ("{{lt .Code 8}}{{le 7 .Code}}{{gt .Code 8}}{{ge .Code 8}}{{ne .Code 7}}", "truetruefalsefalsefalse"),
        (
            '{{printf "%-4s|%4d|%04d|%+d|%x|%.2f|%q|%t|%%" .ID .Code .Code .Code 255 1.5 .ID .Up}}',
            '12  |   7|0007|+7|ff|1.50|"12"|true|%',
        ),
        ('{{printf "%v %v" .Args .Labels}}{{printf "%.1s" .State.Status}}', "[/c ver] map[a.x:1 b:2]r"),
        ('{{print 1 2 "a" 3}}|{{print .ID .Code}}|{{println .ID .Code}}', "1 2a3|127|12 7\n"),
        (
            '{{title "a b-c dE"}} {{pad .ID 1 2}}| {{pad "" 3 3}}{{truncate .State.Status 3}}',
            "A B-C DE  12  | run",
        ),
        ("{{slice .State.Status 1 3}}{{slice .Args 1}}{{len .None}}", "un[ver]0"),
        ('{{html "<a>"}}{{urlquery "a b&"}}', "&lt;a&gt;a+b%26"),
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
        ("{{$x}}", "template: undefined variable: $x"),
        ("{{$x = .ID}}", "template: undefined variable: $x"),
        ("{{$x, $y := .ID}}", "template: too many declarations in command"),
        ("{{with $x, $y := .ID}}{{end}}", "template: too many declarations in with"),
        ("{{if .ID}}{{else range .Args}}{{end}}", 'template: "else range .Args" is not supported'),
        ("{{if .ID}}{{else}}{{else}}{{end}}", "template: unexpected {{else}}"),
        ("{{define}}{{end}}", 'template: function "define" not defined'),
        ("{{with $x := .ID}}{{end}}{{$x}}", "template: undefined variable: $x"),
        ('{{printf "%d" .ID}}', "template: printf: %d does not show 12"),
        ('{{printf "%s"}}', "template: printf: no value for %s"),
        ('{{printf "x" .ID}}', 'template: printf: nothing in "x" shows 12'),
        ('{{"\\q"}}', 'template: "\\q" is not a quoted string'),
        ("{{lower .Code}}", "template: bad arguments"),
        ("{{slice .ID 1 9}}", "template: bad arguments: slice bounds 1 to 9 of 2"),
        ("{{lt .ID 3}}", "template: bad arguments"),
        ("{{.State.Health.Status}}", 'template: there is no field "Status"'),
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
    assert caught.value.message.startswith(message)


def test_listings_alone_read_escapes() -> None:
    assert compile_template(r"{{.ID}}\t", escapes=True)(VALUE) == "12\t"
    assert compile_template(r"{{.ID}}\t", escapes=False)(VALUE) == r"12\t"
    assert compile_template(r'{{"\t"}}', escapes=False)(VALUE) == "\t"


def test_headings_stay_as_they_are() -> None:
    form = '{{lower .ID}} {{json .Ports}} {{join .Names ","}} {{truncate .Image 2}}'
    headings = {"ID": "CONTAINER ID", "Ports": "PORTS", "Names": "NAMES", "Image": "IMAGE"}
    rendered = compile_template(form, functions=HEADING_FUNCTIONS)(headings)
    assert rendered == "CONTAINER ID PORTS NAMES IMAGE"


@pytest.mark.parametrize(
    "template",
    [
        "{{if .Up}}" * 5000 + "{{end}}" * 5000,
        "{{" + "(" * 5000 + ".ID" + ")" * 5000 + "}}",
        "{{.ID" + " | json" * 5000 + "}}",
        '{{printf "%c" 1114112}}',
        "{{" + "9" * 5000 + "}}",
        "{{9223372036854775808}}",
        "{{and}}",
        "{{or}}",
    ],
    ids=["blocks", "parentheses", "pipes", "character", "digits", "overflow", "and", "or"],
)
def test_what_breaks_a_naive_reader_is_refused(template: str) -> None:
    with pytest.raises(InvalidRequest, match="template: "):
        compile_template(template)(VALUE)


def test_integers_are_as_wide_as_those_of_go() -> None:
    text = "{{-9223372036854775808}} {{9223372036854775807}} {{007}}"
    assert compile_template(text)({}) == "-9223372036854775808 9223372036854775807 7"
