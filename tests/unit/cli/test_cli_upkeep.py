"""history, prune, system df and system check: docker's words and columns (28.2.2's)."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import pytest

from tests.unit.cli.fake_daemon import Reply, error

A, B = "ab" * 32, "cd" * 32
ASKED = "Are you sure you want to continue? [y/N] "


@pytest.fixture
def steps(daemon: Any) -> Any:
    newest = {
        "Id": f"sha256:{A}",
        "Created": int(time.time()) - 50 * 3600,
        "CreatedBy": "cmd /S /C powershell -Command $ErrorActionPreference = 'Stop'",
        "Tags": ["a:latest"],
        "Size": 1234567,
        "Comment": "",
    }
    base = {"Id": "<missing>", "Created": 0, "CreatedBy": "Apply\timage\x1b", "Tags": None, "Size": 0}
    daemon.on("GET /images/a/history", [newest, {**base, "Comment": "x"}])
    return daemon


def test_history(steps: Any, linwin: Any) -> None:
    assert linwin("history", "a").out == (
        "IMAGE          CREATED      CREATED BY                                      SIZE      COMMENT\n"
        "abababababab   2 days ago   cmd /S /C powershell -Command $ErrorActionPr…   1.23MB    \n"
        "<missing>      N/A          Apply image                                     0B        x\n"
    )
    assert linwin("history", "-q", "a").out == "abababababab\n<missing>\n"
    assert linwin("history", "-q", "--no-trunc", "a").out == f"sha256:{A}\n<missing>\n"
    assert "$ErrorActionPreference = 'Stop'" in linwin("image", "history", "--no-trunc", "a").out


@pytest.mark.parametrize("flag", ["--human=false", "-H=false", "--no-human"])
def test_history_in_exact_figures(steps: Any, linwin: Any, flag: str) -> None:
    head, newest, base = linwin("history", flag, "a").out.splitlines()
    assert head == (
        "IMAGE          CREATED AT             CREATED BY                                      SIZE      "
        "COMMENT"
    )
    assert " 1234567 " in newest
    assert base.startswith("<missing>      1970-01-01T00:00:00Z   Apply image ")
    assert linwin("history", flag, "--format", "{{.CreatedSince}} {{.Size}}", "a").out.endswith(
        "\n1970-01-01T00:00:00Z 0\n"
    )
    assert linwin("history", "--human=true", "-H", "a").out == linwin("history", "a").out


def test_history_formats(steps: Any, linwin: Any) -> None:
    row = json.loads(linwin("history", "--format", "json", "a").out.splitlines()[1])
    assert row == {
        "ID": "<missing>",
        "CreatedAt": "1970-01-01T00:00:00Z",
        "CreatedSince": "N/A",
        "CreatedBy": "Apply image ",
        "Size": "0B",
        "Comment": "x",
    }


def test_history_of_nothing(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /images/b/history", error(404, "No such image: b:latest"))
    result = linwin("history", "b")
    assert (result.code, result.out, result.err) == (1, "", "linwin: No such image: b:latest\n")


@pytest.fixture
def pruning(daemon: Any) -> Any:
    deleted = [{"Untagged": "a:latest"}, {"Deleted": f"sha256:{A}"}]
    daemon.on("POST /containers/prune", {"ContainersDeleted": [B], "SpaceReclaimed": 212})
    daemon.on("POST /networks/prune", {"NetworksDeleted": ["n"]})
    daemon.on("POST /volumes/prune", {"VolumesDeleted": ["v"], "SpaceReclaimed": 5})
    daemon.on("POST /images/prune", {"ImagesDeleted": deleted, "SpaceReclaimed": 1234567})
    daemon.on("POST /build/prune", {"CachesDeleted": ["c"], "SpaceReclaimed": 7})
    return daemon


CONTAINERS = f"Deleted Containers:\n{B}\n\n"
IMAGES = f"Deleted Images:\nuntagged: a:latest\ndeleted: sha256:{A}\n\n"
DANGLING = f"WARNING! This will remove all dangling images.\n{ASKED}"
UNUSED = f"WARNING! This will remove all images without at least one container associated to them.\n{ASKED}"
STOPPED = f"WARNING! This will remove all stopped containers.\n{ASKED}"


@pytest.mark.parametrize(
    ("words", "question", "answer", "route", "filters"),
    [
        (["image", "prune"], DANGLING, f"{IMAGES}Total reclaimed space: 1.235MB\n", "POST /images/prune",
         {"dangling": ["true"]}),
        (["image", "prune", "-a"], UNUSED, f"{IMAGES}Total reclaimed space: 1.235MB\n", "POST /images/prune",
         {"dangling": ["false"]}),
        (["image", "prune", "--filter", "until=24h", "--filter", "label!=x"], DANGLING,
         f"{IMAGES}Total reclaimed space: 1.235MB\n", "POST /images/prune",
         {"until": ["24h"], "label!": ["x"], "dangling": ["true"]}),
        (["container", "prune"], STOPPED, f"{CONTAINERS}Total reclaimed space: 212B\n",
         "POST /containers/prune", None),
        (["container", "prune", "--filter", "label=x"], STOPPED,
         f"{CONTAINERS}Total reclaimed space: 212B\n", "POST /containers/prune", {"label": ["x"]}),
    ],
)  # fmt: skip
def test_prune_asks_first(
    pruning: Any,
    linwin: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    question: str,
    answer: str,
    route: str,
    filters: dict[str, list[str]] | None,
) -> None:
    for said in ("", "n\n", "yes please\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        result = linwin(*words)
        assert (result.code, result.out, result.err) == (0, question, "")
    assert pruning.requests == []
    monkeypatch.setattr(sys, "stdin", io.StringIO(" Y \n"))
    result = linwin(*words)
    assert (result.code, result.out, result.err) == (0, question + answer, "")
    query = pruning.asked(route).query
    assert (json.loads(query["filters"]) if "filters" in query else None) == filters
    assert linwin(*words, "-f").out == answer


def test_prune_of_nothing(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /images/prune", {"ImagesDeleted": None, "SpaceReclaimed": 0})
    daemon.on("POST /containers/prune", {"ContainersDeleted": None, "SpaceReclaimed": 0})
    for noun in ("image", "container"):
        assert linwin(noun, "prune", "-f").out == "Total reclaimed space: 0B\n"


def test_system_prune(pruning: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    result = linwin("system", "prune")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "WARNING! This will remove:\n"
        "  - all stopped containers\n"
        "  - all networks not used by at least one container\n"
        "  - all dangling images\n"
        "  - unused build cache\n"
        f"\n{ASKED}"
        f"{CONTAINERS}Deleted Networks:\nn\n\n{IMAGES}Deleted build cache objects:\nc\n\n"
        "Total reclaimed space: 1.235MB\n"
    )
    assert pruning.routes == [
        "POST /containers/prune",
        "POST /networks/prune",
        "POST /images/prune",
        "POST /build/prune",
    ]


def test_system_prune_of_everything(pruning: Any, linwin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    words = ["system", "prune", "-a", "--volumes", "--filter", "label=x", "--filter", "label!=b"]
    assert linwin(*words).out == (
        "WARNING! This will remove:\n"
        "  - all stopped containers\n"
        "  - all networks not used by at least one container\n"
        "  - all anonymous volumes not used by at least one container\n"
        "  - all images without at least one container associated to them\n"
        "  - all build cache\n\n"
        "  Items to be pruned will be filtered with:\n"
        "  - label!=b\n"
        "  - label=x\n"
        f"\n{ASKED}"
    )
    assert linwin(*words, "-f").out == (
        f"{CONTAINERS}Deleted Networks:\nn\n\nDeleted Volumes:\nv\n\n{IMAGES}"
        "Deleted build cache objects:\nc\n\nTotal reclaimed space: 1.235MB\n"
    )
    assert pruning.asked("POST /build/prune").query["all"] == "1"
    filters = json.loads(pruning.asked("POST /images/prune").query["filters"])
    assert filters == {"label": ["x"], "label!": ["b"], "dangling": ["false"]}


def test_system_prune_where_there_are_no_networks(pruning: Any, linwin: Any) -> None:
    for noun in ("networks", "volumes", "build"):
        pruning.on(f"POST /{noun}/prune", error(501, f"linwin does not support {noun}"))
    result = linwin("system", "prune", "-f", "--volumes")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{CONTAINERS}{IMAGES}Total reclaimed space: 1.235MB\n"


def test_system_prune_that_fails_half_way(pruning: Any, linwin: Any) -> None:
    pruning.on("POST /images/prune", error(409, "a prune operation is already running"))
    result = linwin("system", "prune", "-f")
    assert (result.code, result.err) == (1, "linwin: a prune operation is already running\n")


def test_volumes_cannot_be_pruned_by_age(pruning: Any, linwin: Any) -> None:
    result = linwin("system", "prune", "--volumes", "--filter", "until=1h", "-f")
    assert (result.code, result.out) == (1, "")
    assert result.err == 'linwin: The "until" filter is not supported with "--volumes"\n'
    assert pruning.requests == []


@pytest.fixture
def usage(daemon: Any) -> Any:
    now = int(time.time())
    image = {"RepoDigests": [], "Size": 2000000, "SharedSize": 1000000, "Labels": {}}
    used = {**image, "Id": f"sha256:{A}", "RepoTags": ["h:5000/a:1", "a:2"], "Containers": 2}
    unused = {**image, "Id": f"sha256:{B}", "RepoTags": [], "Containers": 0}
    container = {
        "Id": A,
        "Names": ["/web"],
        "Image": "a",
        "ImageID": f"sha256:{A}",
        "Command": "cmd /c echo a long command line here",
        "Created": now - 100,
        "SizeRw": 212,
        "SizeRootFs": 2000212,
        "State": "running",
        "Status": "Up 2 minutes",
        "Mounts": [{"Type": "volume", "Driver": "local"}],
    }
    ended = {**container, "Id": B, "Names": ["/old"], "SizeRw": 1000, "State": "exited", "Command": r"C:\x"}
    answer = {
        "LayersSize": 3000000,
        "Images": [{**used, "Created": now - 90000}, {**unused, "Created": now - 900000}],
        "Containers": [container, {**ended, "Status": "Exited (0) 2 minutes ago", "Mounts": []}],
        "Volumes": [{"Name": "v", "Driver": "local", "UsageData": {"Size": 5, "RefCount": 0}}],
        "BuildCache": [],
    }
    daemon.on("GET /system/df", answer)
    return daemon


def test_system_df(usage: Any, linwin: Any) -> None:
    assert linwin("system", "df").out == (
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          2         1         3MB       2MB (66%)\n"
        "Containers      2         1         1.212kB   1kB (82%)\n"
        "Local Volumes   1         0         5B        5B (100%)\n"
        "Build Cache     0         0         0B        0B\n"
    )
    assert linwin("system", "df", "--format", r"table {{.Type}}\t{{.Size}}").out.splitlines()[:2] == [
        "TYPE            SIZE",
        "Images          3MB",
    ]
    rows = [json.loads(line) for line in linwin("system", "df", "--format", "json").out.splitlines()]
    assert rows[1] == {
        "Type": "Containers",
        "TotalCount": "2",
        "Active": "1",
        "Size": "1.212kB",
        "Reclaimable": "1kB (82%)",
    }


def test_system_df_of_nothing(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /system/df", {"LayersSize": 0, "Images": None, "Containers": [], "Volumes": None})
    assert linwin("system", "df").out == (
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          0         0         0B        0B\n"
        "Containers      0         0         0B        0B\n"
        "Local Volumes   0         0         0B        0B\n"
        "Build Cache     0         0         0B        0B\n"
    )


def test_system_df_in_detail(usage: Any, linwin: Any) -> None:
    assert linwin("system", "df", "-v").out == (
        "Images space usage:\n\n"
        "REPOSITORY   TAG       IMAGE ID       CREATED        SIZE      SHARED SIZE   UNIQUE SIZE   "
        "CONTAINERS\n"
        "h:5000/a     1         abababababab   25 hours ago   2MB       1MB           1MB           2\n"
        "<none>       <none>    cdcdcdcdcdcd   10 days ago    2MB       1MB           1MB           0\n"
        "\nContainers space usage:\n\n"
        "CONTAINER ID   IMAGE     COMMAND                  LOCAL VOLUMES   SIZE      CREATED              "
        "STATUS                     NAMES\n"
        'abababababab   a         "cmd /c echo a long …"   1               212B      About a minute ago   '
        "Up 2 minutes               web\n"
        r'cdcdcdcdcdcd   a         "C:\\x"                  0               1kB       About a minute ago   '
        "Exited (0) 2 minutes ago   old\n"
        "\nLocal Volumes space usage:\n\n"
        "VOLUME NAME   LINKS     SIZE\n"
        "v             0         5B\n"
        "\nBuild cache usage: 0B\n\n"
        "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n"
    )
    details = json.loads(linwin("system", "df", "-v", "--format", "json").out)
    assert [item["ID"] for item in details["Images"]] == [f"sha256:{A}", f"sha256:{B}"]
    assert details["Containers"][0]["Command"] == '"cmd /c echo a long command line here"'
    assert details["Volumes"] == [{"Name": "v", "Links": "0", "Size": "5B"}]


def finding(subject: str, *, repaired: bool) -> dict[str, Any]:
    return {
        "aux": {
            "Subject": subject,
            "Problem": "does not match its digest",
            "Remedy": "pull the image again",
            "Repaired": repaired,
        }
    }


CHECKING = {"status": "Reading", "id": "blobs", "progressDetail": {"current": 1, "total": 2}}


def test_system_check_of_what_is_well(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /linwin/check", Reply(lines=[CHECKING]))
    result = linwin("system", "check")
    assert (result.code, result.out, result.err) == (0, "No problems found.\n", "blobs: Reading\n")
    assert daemon.asked("POST /linwin/check").query == {"repair": "0"}
    assert linwin("system", "check", "-q").err == ""


def test_system_check_tells_what_is_wrong(daemon: Any, linwin: Any) -> None:
    lines = [CHECKING, finding("blob sha256:12", repaired=True), finding("blob sha256:34", repaired=False)]
    daemon.on("POST /linwin/check", Reply(lines=lines))
    result = linwin("system", "check", "--repair")
    assert daemon.asked("POST /linwin/check").query == {"repair": "1"}
    assert (result.code, result.err) == (1, "blobs: Reading\n")
    assert result.out == (
        "blob sha256:12 does not match its digest\n"
        "  repaired\n"
        "blob sha256:34 does not match its digest\n"
        "  to mend it: pull the image again\n"
        "2 problems found, 1 repaired, 1 left.\n"
    )
    assert linwin("system", "check", "--format", "{{.Subject}} {{.Repaired}}").out == (
        "blob sha256:12 true\nblob sha256:34 false\n"
    )
    assert linwin("system", "check", "--format", "table").out.splitlines()[0].split() == [
        "SUBJECT",
        "PROBLEM",
        "REMEDY",
        "REPAIRED",
    ]


def test_system_check_that_repaired_all(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /linwin/check", Reply(lines=[finding("chain 12", repaired=True)]))
    result = linwin("system", "check", "--repair", "-q")
    assert result.code == 0
    assert result.out.endswith("\n1 problem found, 1 repaired, 0 left.\n")


def test_system_check_that_cannot_go_on(daemon: Any, linwin: Any) -> None:
    lines = [finding("x", repaired=True), {"errorDetail": {"code": 503, "message": "the disk is full"}}]
    daemon.on("POST /linwin/check", Reply(lines=lines))
    result = linwin("system", "check", "-q")
    assert (result.code, result.out, result.err) == (1, "", "linwin: the disk is full\n")


def test_inspect_within_groups_keeps_to_its_kind(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /images/a/json", {"Id": "sha256:1"})
    daemon.on("GET /containers/a/json", error(404, "No such container: a"))
    assert linwin("image", "inspect", "-f", "{{.Id}}", "a").out == "sha256:1\n"
    result = linwin("container", "inspect", "a")
    assert (result.code, result.out, result.err) == (1, "[]\n", "linwin: No such container: a\n")


def test_second_names(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /containers/json", [])
    daemon.on("GET /images/json", [])
    daemon.on("DELETE /containers/a", Reply(204))
    daemon.on("DELETE /images/a", [{"Untagged": "a:latest"}])
    assert linwin("container", "ls").out == linwin("container", "list").out == linwin("ps").out
    assert linwin("container", "ps", "-a").code == 0
    assert linwin("image", "ls").out == linwin("image", "list").out == linwin("images").out
    assert linwin("container", "rm", "a").out == linwin("container", "remove", "a").out == "a\n"
    assert linwin("image", "rm", "a").out == linwin("image", "remove", "a").out == "Untagged: a:latest\n"
