"""check: the image store compared with itself.

The blobs have been read by then (:mod:`linwin.images.readings`); here their
digests, the records, the manifests, the index and the lists of unfinished pulls
are held against each other. What mends a problem without losing anything is
kept with it, and done when a repair is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from linwin.errors import InvalidRequest, LinwinError
from linwin.images import references
from linwin.images.blobs import BlobStore
from linwin.images.catalogue import Catalogue
from linwin.images.documents import Document
from linwin.images.durable import storing
from linwin.images.readings import Reading
from linwin.images.records import Entry, StoredLayer
from linwin.model.upkeep import Finding

_REPAIR = "Mend it with: linwin system check --repair"
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding, and what mends it where that is safe.

    ``mend`` returns what more there is to say of it: a blob that was moved
    aside is still missing, for one. None when all is well then.
    """

    subject: str
    problem: str
    remedy: str = _REPAIR
    mend: Callable[[], str | None] | None = None

    def finding(self, *, repair: bool) -> Finding:
        """Raises Unavailable for a full disk, Internal when the file system refuses the repair."""
        if not repair or self.mend is None:
            return Finding(self.subject, self.problem, self.remedy)
        with storing("the repair of the image store"):
            more = self.mend()
        problem = self.problem if more is None else f"{self.problem}; {more}"
        return Finding(self.subject, problem, self.remedy, repaired=more is None)


@dataclass(frozen=True, slots=True)
class Store:
    """What is compared. Nothing of it changes meanwhile but the blobs that arrive.

    ``bases`` are the ids of the templates' base images, ``pulled`` the blobs
    that unfinished pulls keep and ``pulls`` the folder of the files that say so.
    """

    catalogue: Catalogue
    blobs: BlobStore
    bases: Collection[str]
    pulled: Collection[str]
    pulls: Path

    def needed(self) -> set[str]:
        return self.catalogue.contents.live_blobs | set(self.bases) | set(self.pulled)

    def users(self, digest: str) -> list[str]:
        """The images that need a blob, as messages call them."""
        contents = self.catalogue.contents
        records = [entry.record for entry in contents.entries.values()]
        records += [image.record for image in contents.damaged.values() if image.record]
        return sorted({self.name(record.id) for record in records if digest in record.blobs})

    def name(self, image_id: str) -> str:
        names = self.catalogue.contents.names_of(image_id)
        return names[0] if names else image_id.removeprefix("sha256:")[:12]


def check_store(store: Store, readings: Mapping[str, Reading], *, repair: bool) -> list[Finding]:
    """Find what is wrong, and then mend what can be without losing anything. Runs in a thread, alone."""
    return [problem.finding(repair=repair) for problem in list(compare(store, readings))]


def compare(store: Store, readings: Mapping[str, Reading]) -> Iterator[Problem]:
    """Find what is wrong. A blob that is not among ``readings`` came after them, and was checked then."""
    yield from _index(store)
    yield from _records(store)
    yield from _damaged_images(store)
    yield from _references(store)
    yield from _blobs(store, readings)
    for entry in store.catalogue.contents.entries.values():
        yield from _image(store, entry, readings)
    yield from _strays(store)


# The catalogue's files


def _index(store: Store) -> Iterator[Problem]:
    catalogue, subject = store.catalogue, f"the image index {store.catalogue.index}"
    contents, mend = catalogue.contents, catalogue.write_index
    try:
        ids, names = catalogue.read_index()
    except (LinwinError, OSError) as error:
        yield Problem(subject, f"cannot be read: {_words(error)}", mend=mend)
    else:
        if set(ids) != contents.entries.keys() | contents.damaged.keys() or names != contents.references:
            yield Problem(subject, "does not list what the daemon knows", mend=mend)
    kept = catalogue.aside / catalogue.index.name
    if kept.exists():
        yield Problem(
            str(kept),
            "is an image index that could not be read, and all images lost their names with it",
            f"Name the images again with linwin tag, linwin pull or linwin load, then delete {kept}.",
        )


def _records(store: Store) -> Iterator[Problem]:
    for image_id, entry in store.catalogue.contents.entries.items():
        subject, mend = f"image {store.name(image_id)}", partial(store.catalogue.write_record, entry.record)
        try:
            found = store.catalogue.read_record(image_id)
        except (InvalidRequest, OSError) as error:
            yield Problem(subject, f"has a record that cannot be read: {_words(error)}", mend=mend)
        else:
            if found != entry.record:
                path = store.catalogue.record_path(image_id)
                yield Problem(subject, f"has a record that was changed: {path}", mend=mend)


def _damaged_images(store: Store) -> Iterator[Problem]:
    for image_id, damaged in store.catalogue.contents.damaged.items():
        name = store.name(image_id)
        yield Problem(f"image {name}", f"is damaged: {damaged.reason}", _again([name]))


def _references(store: Store) -> Iterator[Problem]:
    contents = store.catalogue.contents
    known = contents.entries.keys() | contents.damaged.keys() | set(store.bases)
    for name, image_id in contents.references.items():
        if image_id not in known:
            shown = references.familiar(name)
            yield Problem(
                f"the name {shown}",
                f"is that of image {image_id[7:19]}, which is not here",
                f"Build the template again that provided it, or drop the name with: linwin rmi {shown}",
            )


# Blobs


def _blobs(store: Store, readings: Mapping[str, Reading]) -> Iterator[Problem]:
    """The blobs that somebody needs: here, readable, and what they are called."""
    here, pulled = store.blobs.digests(), set(store.pulled)
    kept_by_images = store.catalogue.contents.live_blobs | set(store.bases)
    for digest in sorted(store.needed()):
        reading = readings.get(digest)
        if digest not in here:
            # Of a damaged image's config it is told already.
            if digest in kept_by_images - store.catalogue.contents.damaged.keys():
                problem = f"is missing; {_need(store, digest)}"
                yield Problem(f"blob {digest}", problem, _mending(store, digest))
        elif reading is not None:
            store.blobs.judge(digest, reading.inode, whole=reading.digest == digest)
            if not store.blobs.holds(digest):
                yield _corrupt(store, digest, reading, unfinished=digest in pulled - kept_by_images)


def _corrupt(store: Store, digest: str, reading: Reading, *, unfinished: bool) -> Problem:
    if reading.digest is None:
        what = f"cannot be read: {reading.failure}"
    else:
        what = f"is corrupt: its content has the digest {reading.digest}"

    def move() -> str | None:
        aside = store.blobs.set_aside(digest)
        contents = store.catalogue.contents
        if digest in contents.entries:
            store.catalogue.reread([digest])
        return None if aside is None or unfinished else f"it was moved to {aside}"

    return Problem(f"blob {digest}", f"{what}; {_need(store, digest)}", _mending(store, digest), move)


def _need(store: Store, digest: str) -> str:
    users = store.users(digest)
    if not users:
        if digest in store.bases:
            return "it is the config of a template's base image"
        return "an interrupted pull kept it"
    shown = ", ".join(users[:_NAMES_SHOWN])
    more = f" and {len(users) - _NAMES_SHOWN} more" if len(users) > _NAMES_SHOWN else ""
    return f"image {shown} needs it" if len(users) == 1 else f"images {shown}{more} need it"


def _mending(store: Store, digest: str) -> str:
    if users := store.users(digest):
        return _again(users)
    if digest in store.bases:
        return "Restart the daemon, which writes it again: linwin daemon stop, then any command."
    return "Pull the image again, which fetches it anew."


def _again(names: Collection[str]) -> str:
    commands = " or ".join(f"linwin pull {name}" for name in sorted(names)[:1])
    what = "it" if len(names) == 1 else "them"
    return f"Bring {what} back with: {commands}, or linwin load -i FILE"


# Images


def _image(store: Store, entry: Entry, readings: Mapping[str, Reading]) -> Iterator[Problem]:
    """One image's record against its config, its layers' blobs and its manifest."""
    record, name = entry.record, store.name(entry.record.id)
    subject, remedy = f"image {name}", _again([name])
    expected = entry.config.diff_ids[record.base_layers :]
    if tuple(layer.diff_id for layer in record.layers) != expected:
        yield Problem(subject, "has a record whose layers are not those of its config", remedy)
    for layer in record.layers:
        for problem in _layer(layer, readings.get(layer.digest)):
            yield Problem(subject, problem, remedy)
    if record.manifest and (reading := readings.get(record.manifest)) and reading.digest == record.manifest:
        for problem in _manifest(store, entry, record.manifest):
            yield Problem(subject, problem, remedy)


def _layer(layer: StoredLayer, reading: Reading | None) -> Iterator[str]:
    if reading is None or reading.digest != layer.digest:
        return  # it is missing or corrupt, which is told elsewhere
    if reading.size != layer.size:
        yield f"has a record by which blob {layer.digest} has {layer.size} bytes, but it has {reading.size}"
    if reading.diff_id != layer.diff_id:
        found = f"the diff id {reading.diff_id}" if reading.diff_id else "no content that can be decompressed"
        yield f"has a layer whose blob {layer.digest} has {found} instead of the diff id {layer.diff_id}"


def _manifest(store: Store, entry: Entry, digest: str) -> Iterator[str]:
    record, what = entry.record, f"manifest {digest}"
    try:
        document = Document.parse(store.blobs.path(digest).read_bytes(), what)
        layers = [(layer.text("digest"), layer.size("size")) for layer in document.objects("layers")]
        config = document.object("config").text("digest")
    except (InvalidRequest, OSError) as error:
        yield f"has a manifest that cannot be used: {_words(error)}"
        return
    stored = [(layer.digest, layer.size) for layer in record.layers]
    if config != record.id or layers[record.base_layers :] != stored:
        yield f"has a record that does not fit its {what}"


# What nobody needs


def _strays(store: Store) -> Iterator[Problem]:
    contents = store.catalogue.contents
    if contents.names_all_blobs:  # else any of them may be a damaged image's
        for digest in sorted(store.blobs.unclaimed(store.needed())):
            yield _stray(store.blobs.path(digest), f"blob {digest}")
    pulls = [path for path in sorted(store.pulls.iterdir()) if not _is_pull(path)]
    for path in [*store.catalogue.strays(), *store.blobs.foreign(), *pulls]:
        yield _stray(path, str(path))


def _is_pull(path: Path) -> bool:
    """Whether a file is what an unfinished pull wrote down, and is named for what it says."""
    try:
        document = Document.parse(path.read_bytes(), str(path), limit=path.stat().st_size)
        return path.name == f"{document.text('manifest').removeprefix('sha256:')}.json"
    except (InvalidRequest, OSError):
        return False


def _stray(path: Path, subject: str) -> Problem:
    def delete() -> str | None:
        if path.is_dir():
            return "it is a folder, which linwin never made"
        path.unlink(missing_ok=True)
        return None

    return Problem(subject, "belongs to no image", "Delete it with: linwin system check --repair", delete)


def _words(error: LinwinError | OSError) -> str:
    return error.message if isinstance(error, LinwinError) else (error.strerror or str(error))
