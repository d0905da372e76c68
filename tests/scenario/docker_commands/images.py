"""Images: listing, looking at, naming, removing, moving."""

from __future__ import annotations

from tests.scenario.docker_commands.differences import ONE_FORM, SHOWS_THE_WAY
from tests.scenario.docker_commands.line import Line, Own, refused

_APP = {
    "Containers": "N/A",
    "CreatedAt": "2024-02-29 12:00:00 <any>",
    "CreatedSince": "<span> ago",
    "Digest": "<none>",
    "ID": "<id>",
    "Repository": "team/app",
    "SharedSize": "N/A",
    "Size": "0B",
    "Tag": "1",
    "UniqueSize": "N/A",
}
_NO_IMAGE = "No such image: nobody:latest"
_LOAD = "<any>"

IMAGES = (
    Line(
        "images team/app",
        out="REPOSITORY   TAG       IMAGE ID       CREATED       SIZE\n"
        "team/app     1         <id>   <span> ago   0B\n",
    ),
    Line(
        "image ls --digests team/app",
        out="REPOSITORY   TAG       DIGEST    IMAGE ID       CREATED       SIZE\n"
        "team/app     1         <none>    <id>   <span> ago   0B\n",
    ),
    Line("images nobody", out="REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n"),
    Line("images -q team/app", out="<id>\n"),
    Line("image list --quiet --no-trunc team/app:1", out="sha256:<full>\n"),
    Line("images --filter reference=team/* --format {{.Repository}}:{{.Tag}}", out="team/app:1\n"),
    Line("images --filter dangling=true -q"),
    Line("images --filter label=maker=tests -q team/app", out="<id>\n"),
    Line("images --format json team/app", out=[_APP], needs=23),
    Line(
        "images --format 'table {{.Repository}}\\t{{.Tag}}' team/app",
        out="REPOSITORY   TAG\nteam/app     1\n",
    ),
    refused("images --filter nope=1", "invalid filter 'nope'", hint="<any>"),
    Line(
        "image inspect -f '{{.Id}} {{.Os}} {{.RepoTags}}' team/app:1",
        out="sha256:<full> windows [team/app:1]\n",
    ),
    Line("inspect --type image -f {{.Config.Cmd}} team/app:1", out="[echo loaded]\n"),
    refused("image inspect nobody", _NO_IMAGE, out="[]\n", hint=_LOAD),
    refused("inspect --type image box", "No such image: box:latest", out="[]\n", hint=_LOAD),
    Line(
        "history team/app:1",
        out="IMAGE          CREATED       CREATED BY    SIZE      COMMENT\n"
        "<id>   <span> ago   CMD echo      0B        \n"
        "<missing>      <span> ago   Apply image   0B        \n",
    ),
    Line("image history -q team/app:1", out="<id>\n<missing>\n"),
    Line("history --human=false --format '{{.CreatedAt}} {{.Size}}' team/app:1", out="<time> 0\n<time> 0\n"),
    refused("history nobody", _NO_IMAGE, hint=_LOAD),
    Line("tag team/app:1 other/app:2"),
    refused("image tag nobody x", _NO_IMAGE, hint=_LOAD),
    Line(
        "tag team/app:1 UPPER",
        code=1,
        needs=28,
        err='Error parsing reference: "UPPER" is not a valid repository/tag: '
        "invalid reference format: repository name (library/UPPER) must be lowercase\n",
        own=Own(
            SHOWS_THE_WAY,
            err="linwin: invalid reference format: repository name (library/UPPER) "
            "must be lowercase\n<any>\n",
        ),
    ),
    Line("rmi team/app:1", out="Untagged: team/app:1\nDeleted: sha256:<full>\n"),
    Line("image rm --force team/app:1", out="Untagged: team/app:1\nDeleted: sha256:<full>\n"),
    refused("rmi nobody", _NO_IMAGE, hint=_LOAD),
    refused("rmi -f nobody", _NO_IMAGE, hint=_LOAD, code=0),
    Line("image prune -f", out="Total reclaimed space: 0B\n"),
    Line(
        "image prune -af",
        out="Deleted Images:\nuntagged: team/app:1\ndeleted: sha256:<full>\n\nTotal reclaimed space: <any>\n",
    ),
    Line(
        "pull microsoft/nanoserver",
        out="Using default tag: latest\n<rest>"
        "Status: Image is up to date for microsoft/nanoserver:latest\n"
        "docker.io/microsoft/nanoserver:latest\n",
    ),
    Line("image pull -q microsoft/nanoserver", out="docker.io/microsoft/nanoserver:latest\n"),
    refused(
        "pull no/such",
        "pull access denied for no/such, repository does not exist or may require "
        "'docker login': denied: requested access to the resource is denied",
        out="Using default tag: latest\n",
    ),
    # docker says so within the stream; a status is what scripts can test.
    refused(
        "push nobody",
        "An image does not exist locally with the tag: nobody",
        out="Using default tag: latest\n",
        hint="<any>",
    ),
    Line("search nothing", out="NAME      DESCRIPTION   STARS     OFFICIAL\n", needs=28),
    refused("save nobody", _NO_IMAGE, hint=_LOAD),
    Line(
        "load",
        stdin="this is no archive",
        code=1,
        err="Error response from daemon: the archive is not a tar archive\n",
        hint="<any>",
    ),
    Line(
        "load -i /no/such/file",
        code=1,
        err="open /no/such/file: no such file or directory\n",
        own=Own(ONE_FORM, err="linwin: cannot open /no/such/file: No such file or directory\n"),
    ),
    Line("build -q -", out="sha256:<full>\n", stdin="FROM team/app:1\nENV A=b\n"),
    Line("image build --quiet -t x -", out="sha256:<full>\n", stdin="FROM team/app:1\nRUN echo hi\n"),
    Line(
        "builder build -q --force-rm -",
        code=3,
        stdin="FROM team/app:1\nRUN exit 3\n",
        err="<rest>Step 2/2 : RUN exit 3\n<rest>",
    ),
)
