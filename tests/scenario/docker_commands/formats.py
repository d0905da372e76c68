"""``--format``: the part of Go's templates that people write in scripts, and docker's own functions."""

from __future__ import annotations

from collections.abc import Iterator

from tests.scenario.docker_commands.differences import SHOWS_THE_WAY
from tests.scenario.docker_commands.line import Line, Own

_LISTED = {  # of `ps -a --filter name=box`
    "table {{.Names}}": "NAMES\nbox\n",
    "table {{.Names}}\\t{{.State}}": "NAMES     STATE\nbox       exited\n",
    '{{.Names}}: {{.Label "tier"}}': "box: web\n",
    "{{.Names}}\\t{{.Image}}": "box\tmicrosoft/nanoserver\n",
    "{{upper .Names}} {{lower .State}} {{title .State}}": "BOX exited Exited\n",
    "{{json .Names}} {{json .Ports}}": '"box" ""\n',
    '{{split .Image "/"}}': "[microsoft nanoserver]\n",
    '{{join (split .Image "/") " and "}}': "microsoft and nanoserver\n",
    '{{range split .Image "/"}}<{{.}}>{{end}}': "<microsoft><nanoserver>\n",
    '{{range $i, $word := split .Image "/"}}{{$i}}={{$word}};{{end}}': "0=microsoft;1=nanoserver;\n",
    "{{len .Names}} {{slice .ID 0 0}}|": "3 |\n",
    "{{truncate .Names 2}} {{pad .Names 1 2}}|": "bo  box  |\n",
    '{{printf "%-5s|%8s|%q|%d|%v" .Names .State .Names 7 true}}': 'box  |  exited|"box"|7|true\n',
    "{{with .Mounts}}mounts {{.}}{{else}}no mounts{{end}}": "no mounts\n",
    '{{if eq .State "running"}}up{{else if eq .State "exited"}}down{{else}}?{{end}}': "down\n",
    '{{if and (ne .State "running") (not .Mounts)}}idle{{end}}': "idle\n",
    "{{if or .Mounts (gt (len .Names) 2)}}long{{end}}": "long\n",
    "{{$name := .Names}}{{with .State}}{{$name}} is {{.}}{{end}}": "box is exited\n",
    '{{/* nothing */}}{{.Names | upper | printf "%s!"}}': "BOX!\n",
    "{{- .Names -}}   {{- .State}}": "boxexited\n",
    "{{println .Names .State}}": "box exited\n\n",
    "{{print .Names 1 2 .State}}": "box1 2exited\n",
}

_INSPECTED = {  # of `inspect box`
    "{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}": "exited 0 false\n",
    "{{json .Args}}": '["3"]\n',
    "{{json .Config.Labels}}": '{"maker":"tests","tier":"web"}\n',
    "{{.Config.Labels}} {{.Config.Env}}": "map[maker:tests tier:web] [FROM_IMAGE=yes]\n",
    '{{index .Config.Labels "tier"}}{{index .Config.Labels "none"}}': "web\n",
    "{{.Config.Labels.tier}}": "web\n",
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}": "maker=tests tier=web \n",
    "{{range .Mounts}}{{.Source}}{{else}}none{{end}}": "none\n",
    "{{with index .Config.Env 0}}{{.}}{{end}}": "FROM_IMAGE=yes\n",
    '{{len .Args}} {{join .Args ","}}': "1 3\n",
    "{{range $i, $arg := .Args}}{{if $i}}, {{end}}{{$arg}}{{end}}": "3\n",
    "{{with .State}}{{.Status}}{{end}}": "exited\n",
    "{{with $c := .Config}}{{$c.Image}}{{end}}": "microsoft/nanoserver\n",
    "{{range $n, $conf := .NetworkSettings.Networks}}{{$n}}{{end}}": "nat\n",
    "{{.HostConfig.Memory}} {{.HostConfig.NetworkMode}}": "0 nat\n",
    "{{if gt .State.ExitCode 0}}failed{{else}}fine{{end}}": "fine\n",
    '{{if (index .NetworkSettings.Ports "80/tcp")}}open{{else}}closed{{end}}': "closed\n",
    '{{.Name}}{{"\\n"}}{{.Driver}}': "/box\nqcow2\n",
}


def _formats() -> Iterator[Line]:
    for template, out in _LISTED.items():
        # docker 28 takes Go 1.22 and newer, whose templates have all of these.
        yield Line(f"ps -a --filter name=box --format '{template}'", out=out)
    for template, out in _INSPECTED.items():
        yield Line(f"inspect -f '{template}' box", out=out)


FORMATS = (
    *_formats(),
    Line(
        "ps -a --format '{{.Nope}}'",
        code=1,
        needs=28,
        err='failed to execute template: template: :1:2: executing "" at <.Nope>: '
        "can't evaluate field Nope in type *formatter.ContainerContext\n",
        own=Own(
            SHOWS_THE_WAY,
            err='linwin: template: there is no field "Nope"\nthe fields here are ID, <any>\n',
        ),
    ),
    Line(
        "ps -a --format '{{'",
        code=1,
        needs=28,
        err="failed to parse template: template: :1: unclosed action\n",
        own=Own(SHOWS_THE_WAY, err="linwin: template: unclosed action\n<any>\n"),
    ),
    Line(
        "ps -a --format '{{nope .ID}}'",
        code=1,
        needs=28,
        err='failed to parse template: template: :1: function "nope" not defined\n',
        own=Own(SHOWS_THE_WAY, err='linwin: template: function "nope" not defined\n<any>\n'),
    ),
)
