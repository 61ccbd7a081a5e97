import errno
import os
import random
import resource
import socket
import stat
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from deskstore.adapters.file.names import encode
from deskstore.adapters.file.tree import TEMPORARY, StrangerInTree, Tree, flush

TICKET = "freshdesk/tickets/42.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "companies" / "acme"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def tree(root: Path) -> Iterator[Tree]:
    with Tree.open(root) as tree:
        yield tree


@pytest.fixture(autouse=True)
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file and a directory outside of the tree, that no test may change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "42.json").write_bytes(b"not yours")
    before = _digest(outside)
    yield outside
    assert _digest(outside) == before


def _digest(directory: Path) -> str:
    """All there is in a directory: names, kinds, rights, times and bytes."""
    found = sha256()
    for path in sorted([directory, *directory.rglob("*")]):
        status = path.lstat()
        found.update(repr((path.name, status.st_mode, status.st_mtime_ns, status.st_size)).encode())
        found.update(path.read_bytes() if stat.S_ISREG(status.st_mode) else b"")
    return found.hexdigest()


def _within_a_second(call: Callable[[], object]) -> BaseException | None:
    """What a call raised, in a thread of its own so that a call that hangs fails the test and not the run."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except (StrangerInTree, OSError) as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(1)
    assert not thread.is_alive()
    return raised[0] if raised else None


def _open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


# -- reading -------------------------------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(tree: Tree) -> None:
    bodies: dict[str, bytes | None] = {
        TICKET: b'{"id": 42}\n',
        "freshdesk/tickets/empty.json": b"",
        "zendesk/articles/~/7.json": bytes(range(256)) * 5_000,
    }

    tree.replace_many(bodies)

    assert {path: tree.read(path) for path in bodies} == bodies
    assert all(tree.exists(path) for path in bodies)


@pytest.mark.parametrize("path", [TICKET, "freshdesk/tickets/43.json", "other/tickets/42.json", "42.json"])
def test_a_missing_file_is_none(tree: Tree, path: str) -> None:
    tree.replace_many({"freshdesk/tickets/1.json": b"{}"})

    found = tree.read(path), tree.exists(path), tree.read_many([path])

    assert found == (None, False, [None])


def test_many_are_read_in_the_order_asked_for_and_a_bad_one_spoils_no_other(tree: Tree, root: Path) -> None:
    tree.replace_many({f"p{number % 3}/tickets/{number}.json": b"%d" % number for number in range(30)})
    (root / "p0/tickets/link.json").symlink_to("0.json")
    paths = [f"p{number % 3}/tickets/{number}.json" for number in range(30)]
    random.Random(7).shuffle(paths)
    too_long = f"p0/{'x' * 300}.json"

    found = tree.read_many(["p0/tickets/link.json", *paths, "p1/tickets/none.json", too_long])

    assert found[1:-2] == [path.rpartition("/")[2].removesuffix(".json").encode() for path in paths]
    assert isinstance(found[0], StrangerInTree)
    assert found[-2] is None
    assert isinstance(found[-1], OSError)
    assert found[-1].filename == str(root / too_long)


def test_a_file_that_holds_more_than_its_size_says_is_read_to_its_end() -> None:
    with Tree.open(f"/proc/{os.getpid()}") as process:
        found = process.read("limits")

    assert found == Path("/proc/self/limits").read_bytes()


def test_a_file_larger_than_any_record_is_not_read_into_memory(tree: Tree, root: Path) -> None:
    with (root / "42.json").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(StrangerInTree, match=r"42\.json has 1,099,511,627,776 bytes"):
        tree.read("42.json")


# -- strangers -----------------------------------------------------------------------------------------------------------------------------


def _link_to_file(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "42.json")


def _dangling_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "missing.json")


def _link_to_itself(path: Path, _outside: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path, _outside: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path, _outside: Path) -> None:
    path.mkdir()


def _socket(path: Path, _outside: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the address of a socket has room for 100 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


FILE_STRANGERS = [
    (_link_to_file, "is a symbolic link"),
    (_dangling_link, "is a symbolic link"),
    (_link_to_itself, "is a symbolic link"),
    (_pipe, "is a pipe"),
    (_directory, "is a directory"),
    (_socket, "is a socket"),
]
ACTS: list[Callable[[Tree, str], object]] = [
    lambda tree, path: tree.read(path),
    lambda tree, path: tree.exists(path),
    lambda tree, path: tree.make_durable([path]),
]
WRITES: list[Callable[[Tree, str], object]] = [
    lambda tree, path: tree.replace_many({path: b"{}"}),
    lambda tree, path: tree.replace_many({path: None}),
]


@pytest.mark.parametrize("act", ACTS, ids=["read", "exists", "make_durable"])
@pytest.mark.parametrize(("put", "reason"), FILE_STRANGERS)
def test_a_stranger_in_place_of_a_file_is_named_at_once(
    tree: Tree, root: Path, canary: Path, put: Callable[[Path, Path], None], reason: str, act: Callable[[Tree, str], object]
) -> None:
    tree.make_directory("freshdesk/tickets")
    put(root / TICKET, canary)

    raised = _within_a_second(lambda: act(tree, TICKET))

    assert isinstance(raised, StrangerInTree)
    assert (raised.path, raised.reason, str(raised)) == (TICKET, reason, f"{TICKET} {reason}")


@pytest.mark.parametrize("act", [*ACTS, *WRITES])
@pytest.mark.parametrize("place", ["freshdesk", "freshdesk/tickets"])
def test_nothing_is_read_or_written_through_a_linked_directory(
    tree: Tree, root: Path, canary: Path, place: str, act: Callable[[Tree, str], object]
) -> None:
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(canary, target_is_directory=True)

    raised = _within_a_second(lambda: act(tree, TICKET))

    assert isinstance(raised, StrangerInTree)
    assert (raised.path, raised.reason) == (place, "is a symbolic link")


@pytest.mark.parametrize("private", [".deskstore", ".deskstore/tmp"])
def test_temporary_files_are_not_written_through_a_link(tree: Tree, root: Path, canary: Path, private: str) -> None:
    (root / private).parent.mkdir(exist_ok=True)
    (root / private).symlink_to(canary, target_is_directory=True)

    raised = [_within_a_second(act) for act in (lambda: tree.replace_many({TICKET: b"{}"}), tree.wipe_temporary)]

    assert [str(each) for each in raised] == [f"{private} is a symbolic link"] * 2


@pytest.mark.parametrize("put", [_pipe, _socket])
def test_a_pipe_or_socket_in_place_of_a_directory_is_named_at_once(
    tree: Tree, root: Path, canary: Path, put: Callable[[Path, Path], None]
) -> None:
    put(root / "freshdesk", canary)

    raised = [_within_a_second(act) for act in (lambda: tree.read(TICKET), lambda: tree.replace_many({TICKET: b"{}"}))]

    assert [isinstance(each, StrangerInTree) for each in raised] == [True, True]


def test_a_file_in_place_of_a_directory_is_named(tree: Tree, root: Path) -> None:
    (root / "freshdesk").write_bytes(b"")

    with pytest.raises(StrangerInTree, match="freshdesk is a file where a directory belongs"):
        tree.replace_many({TICKET: b"{}"})


@pytest.mark.parametrize("put", [_link_to_file, _dangling_link, _link_to_itself, _pipe, _socket])
@pytest.mark.parametrize("body", [b"{}", None])
def test_a_link_or_pipe_gives_way_to_the_file_that_is_written(
    tree: Tree, root: Path, canary: Path, put: Callable[[Path, Path], None], body: bytes | None
) -> None:
    tree.make_directory("freshdesk/tickets")
    put(root / TICKET, canary)

    raised = _within_a_second(lambda: tree.replace_many({TICKET: body}))

    assert raised is None
    assert tree.read(TICKET) == body


@pytest.mark.parametrize("body", [b"{}", None])
def test_a_directory_in_place_of_a_file_is_not_replaced(tree: Tree, root: Path, body: bytes | None) -> None:
    (root / TICKET).mkdir(parents=True)

    with pytest.raises(StrangerInTree, match=r"42\.json is a directory"):
        tree.replace_many({TICKET: body})

    assert (root / TICKET).is_dir()
    assert os.listdir(root / TEMPORARY) == []


def test_the_message_about_a_name_that_is_no_text_can_be_printed(tree: Tree, root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.json")).write_bytes(b"{}")

    found = [str(stranger) for stranger in tree.strangers()]

    assert found == ["\\udcff.json has no name of a record"]


# -- writing -------------------------------------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_and_removed_and_a_missing_one_may_be_removed(tree: Tree, root: Path) -> None:
    tree.replace_many({TICKET: b"old", "freshdesk/tickets/43.json": b"old"})

    tree.replace_many({TICKET: b"new", "freshdesk/tickets/43.json": None, "none/tickets/1.json": None})

    assert tree.read_many([TICKET, "freshdesk/tickets/43.json"]) == [b"new", None]
    assert not (root / "none").exists()
    assert os.listdir(root / TEMPORARY) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_files_are_the_owners_alone_whatever_the_umask(tree: Tree, root: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        tree.replace_many({TICKET: b"{}", "p/summaries/articles/~/7/1.json": b"{}"})
        tree.make_directory("zendesk/tickets")
        tree.move(TICKET, ".deskstore/edited/42.json")
    finally:
        os.umask(before)

    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in root.rglob("*")} == {(True, 0o700), (False, 0o600)}


def test_no_value_of_an_id_reaches_anything_outside_of_the_tree(tree: Tree, root: Path, canary: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    source = random.Random(seed)
    pieces = ["..", "/", "\\", ".", "~", "%2e", str(canary), "42", ".json", ".deskstore", "é", "한", "A", " ", "con", '"', "😀"]
    identifiers = {"".join(source.choices(pieces, k=source.randint(1, 8)))[:255] for _ in range(2_000)}
    bodies: dict[str, bytes | None] = {f"{encode(each[:50])}/tickets/{encode(each)}.json": each.encode() for each in identifiers}

    tree.replace_many(bodies)

    assert dict(zip(bodies, tree.read_many([*bodies]), strict=True)) == bodies, f"seed {seed}"
    assert set(tree.walk()) == set(bodies), f"seed {seed}"
    assert [path.name for path in root.parent.iterdir()] == ["acme"], f"seed {seed}"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../acme/1.json",
        "a/../../1.json",
        "a//1.json",
        "a/./1.json",
        "a/",
        "a/..",
        ".",
        "./1.json",
        "a\0.json",
    ],
)
def test_a_path_that_could_lead_out_is_refused(tree: Tree, path: str) -> None:
    for act in [*ACTS, *WRITES]:
        with pytest.raises(ValueError, match=r"not a path inside a tree|null"):
            act(tree, path)

    assert [*tree.walk()] == []


def test_an_error_names_the_path_that_failed_and_those_before_it_are_done(tree: Tree, root: Path) -> None:
    too_long = f"freshdesk/tickets/{'7' * 300}.json"

    with pytest.raises(OSError, match="File name too long") as raised:
        tree.replace_many({"freshdesk/tickets/1.json": b"{}", too_long: b"{}", "freshdesk/tickets/9.json": b"{}"})

    assert raised.value.filename == str(root / too_long)
    assert [*tree.walk()] == ["freshdesk/tickets/1.json"]
    assert os.listdir(root / TEMPORARY) == []


def test_a_disk_that_takes_half_a_file_leaves_the_old_one_and_no_rest(tree: Tree, root: Path) -> None:
    tree.replace_many({TICKET: b"old"})

    with _file_size_limited_to(1_000), pytest.raises(OSError, match="File too large") as raised:
        tree.replace_many({TICKET: b"new" * 1_000})

    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(root / TICKET))
    assert tree.read(TICKET) == b"old"
    assert os.listdir(root / TEMPORARY) == []


@contextmanager
def _file_size_limited_to(size: int) -> Generator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_writers_of_one_tree_never_take_the_same_temporary_file(tree: Tree, root: Path) -> None:
    with Tree.open(root) as other:
        writers = [
            threading.Thread(
                target=each.replace_many, args=({f"p/tickets/{number}.json": b"%d" % writer * 5_000 for number in range(200)},)
            )
            for writer, each in enumerate([tree, tree, other, other])
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

    found = tree.read_many([f"p/tickets/{number}.json" for number in range(200)])
    assert set(found) <= {b"%d" % writer * 5_000 for writer in range(4)}
    assert os.listdir(root / TEMPORARY) == []


# -- durability ----------------------------------------------------------------------------------------------------------------------------


class _Disk:
    """Notes what was brought to the disk, and refuses what it was told to."""

    def __init__(self, refused: Path | None = None) -> None:
        self.flushed: list[Path] = []
        self._refused = refused

    def __call__(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path == self._refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(descriptor)
        self.flushed.append(path)


def test_files_are_made_durable_before_their_directories_and_all_of_these_up_to_the_one_above_the_root(root: Path) -> None:
    disk = _Disk()
    with Tree.open(root, flush=disk) as tree:
        tree.replace_many({TICKET: b"{}", "zendesk/articles/~/7.json": b"{}", "zendesk/tickets/other.json": b"{}"})

        tree.make_durable([TICKET, "zendesk/articles/~/7.json", TICKET, "zendesk/tickets/removed.json"])

    assert disk.flushed[:2] == [root / TICKET, root / "zendesk/articles/~/7.json"]
    directories = ["zendesk/tickets", "zendesk/articles/~", "zendesk/articles", "zendesk", "freshdesk/tickets", "freshdesk", ".", ".."]
    assert sorted(disk.flushed[2:]) == sorted((root / directory).resolve() for directory in directories)


def test_a_directory_that_was_removed_leaves_the_one_above_to_be_made_durable(root: Path) -> None:
    disk = _Disk()
    with Tree.open(root, flush=disk) as tree:
        tree.make_durable([TICKET])

    assert disk.flushed == [root, root.parent]


def test_a_missing_directory_makes_no_file_before_it_be_passed_over(root: Path) -> None:
    disk = _Disk()
    with Tree.open(root, flush=disk) as tree:
        tree.replace_many({TICKET: b"{}"})

        tree.make_durable([TICKET, "freshdesk/zero/removed.json"])

    assert disk.flushed == [root / TICKET, root / "freshdesk/tickets", root / "freshdesk", root, root.parent]


@pytest.mark.parametrize("place", [TICKET, "freshdesk/tickets", "freshdesk", ".", ".."])
def test_a_disk_that_refuses_is_reported_with_the_path(root: Path, place: str) -> None:
    with Tree.open(root, flush=_Disk(refused=(root / place).resolve())) as tree:
        tree.replace_many({TICKET: b"{}"})

        with pytest.raises(OSError, match="Input/output error") as raised:
            tree.make_durable([TICKET])

    assert Path(raised.value.filename).resolve() == (root / place).resolve()


def test_a_directory_is_made_with_those_above_it_and_each_of_these_is_durable(root: Path) -> None:
    disk = _Disk()
    with Tree.open(root, flush=disk) as tree:
        tree.make_directory("freshdesk/tickets")
        tree.make_directory("freshdesk/tickets")

    assert (root / "freshdesk/tickets").is_dir()
    assert disk.flushed == [root, root / "freshdesk"] * 2


# -- walking -------------------------------------------------------------------------------------------------------------------------------

RECORDS = [
    "freshdesk/articles/en/7.json",
    "freshdesk/articles/~/7.json",
    "freshdesk/summaries/tickets/42/1.json",
    "freshdesk/tickets/1.json",
    "freshdesk/tickets/10.json",
    "freshdesk/tickets/2.json",
    f"{encode('한글 desk')}/tickets/{encode('../A')}.json",
]
STRAYS = [
    *(
        "notes.txt",
        ".DS_Store",
        "freshdesk/.DS_Store",
        "freshdesk/tickets/.1.json.swp",
        "freshdesk/tickets/1.json~",
        "freshdesk/tickets/#1.json#",
    ),
    *("freshdesk/tickets/._1.json", "freshdesk/tickets/.tmp123.json", "freshdesk/tickets/1.json.tmp", "freshdesk/tickets/1.json.orig"),
    *(
        "freshdesk/tickets/1 (copy).json",
        "freshdesk/tickets/1.JSON",
        "freshdesk/tickets/#1#.json",
        "freshdesk/tickets/A1.json",
        "lost+found/1.json",
    ),
    *(
        ".git/config.json",
        "freshdesk/.deskstore/1.json",
        "freshdesk/tickets/con.json",
        "freshdesk/tickets/.json",
        "Thumbs.db",
        "Freshdesk/tickets/1.json",
    ),
]


def test_records_are_walked_in_order_and_strays_never_are(tree: Tree, root: Path, canary: Path) -> None:
    tree.replace_many(dict.fromkeys(RECORDS, b"{}"))
    tree.replace_many(dict.fromkeys(STRAYS, b"{}"))
    tree.replace_many({".deskstore/edited/1.json": b"{}", ".deskstore/company.json": b"{}"})
    (root / "freshdesk/tickets/3.json").symlink_to("1.json")
    (root / "linked").symlink_to(canary, target_is_directory=True)
    os.mkfifo(root / "freshdesk/tickets/4.json")

    records, strangers = [*tree.walk()], {stranger.path: stranger.reason for stranger in tree.strangers()}

    assert records == sorted(RECORDS)
    assert {path for path in strangers if strangers[path] == "is a symbolic link"} == {"freshdesk/tickets/3.json", "linked"}
    assert strangers["freshdesk/tickets/4.json"] == "is neither a file nor a directory"
    assert {path for path in STRAYS if not any(path == each or path.startswith(f"{each}/") for each in strangers)} == set()
    assert len(strangers) == len(STRAYS) + 3


def test_the_files_of_a_directory_come_before_those_below_it(tree: Tree) -> None:
    tree.replace_many(dict.fromkeys(["b/1.json", "a/z.json", "a/b/1.json", "a/c.json", "a-b/1.json", "z.json"], b"{}"))

    assert [*tree.walk()] == ["z.json", "a/c.json", "a/z.json", "a/b/1.json", "a-b/1.json", "b/1.json"]


def test_a_directory_as_deep_as_no_record_lies_is_a_stranger_and_not_walked(tree: Tree) -> None:
    deep = "/".join("d" * 400)
    tree.make_directory(deep)

    strangers = [*tree.strangers()]

    assert [(each.path, each.reason) for each in strangers] == [("/".join("d" * 9), "lies deeper than any record")]


def test_a_walk_goes_on_while_directories_disappear(tree: Tree, root: Path) -> None:
    tree.replace_many({f"p{number}/1.json": b"{}" for number in range(3)})

    walk = tree.walk()
    first = next(walk)
    (root / "p1/1.json").unlink()
    (root / "p1").rmdir()

    assert [first, *walk] == ["p0/1.json", "p2/1.json"]


# -- the tree itself -----------------------------------------------------------------------------------------------------------------------


def test_a_tree_is_not_opened_through_a_link_nor_on_a_file_nor_on_nothing(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StrangerInTree, match="link is a symbolic link"):
        Tree.open(tmp_path / "link")
    with pytest.raises(StrangerInTree, match="link is a symbolic link"):
        Tree.open(f"{tmp_path}/link/")
    with pytest.raises(StrangerInTree, match="file is a file where a directory belongs"):
        Tree.open(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="nothing"):
        Tree.open(tmp_path / "nothing")


def test_a_tree_knows_whether_another_directory_took_its_place(tree: Tree, root: Path) -> None:
    before = tree.is_still_at(root)
    moved = root.rename(root.parent / "moved")
    missing = tree.is_still_at(root)
    root.mkdir()
    replaced = tree.is_still_at(root)

    assert (before, missing, replaced, tree.is_still_at(moved), tree.is_still_at(root / "x" / "y")) == (True, False, False, True, False)


def test_work_goes_on_in_the_directory_that_was_opened_when_a_link_takes_its_path(tree: Tree, root: Path, canary: Path) -> None:
    moved = root.rename(root.parent / "moved")
    root.symlink_to(canary, target_is_directory=True)

    tree.replace_many({"42.json": b"mine"})

    assert tree.read("42.json") == (moved / "42.json").read_bytes() == b"mine"
    assert not tree.is_still_at(root)


def test_writing_into_a_tree_that_was_removed_fails_with_its_path(tree: Tree, root: Path) -> None:
    root.rmdir()

    with pytest.raises(FileNotFoundError) as raised:
        tree.replace_many({TICKET: b"{}"})

    assert raised.value.filename == str(root / ".deskstore")


def test_a_closed_tree_does_nothing_more(root: Path) -> None:
    with Tree.open(root) as tree:
        tree.replace_many({TICKET: b"{}"})
    tree.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        tree.read(TICKET)


def test_no_descriptor_is_left_open_by_success_or_failure(root: Path, canary: Path) -> None:
    before = _open_descriptors()

    with Tree.open(root, flush=_Disk(refused=root)) as tree:
        tree.replace_many({f"p/summaries/tickets/{number}/1.json": b"{}" for number in range(50)})
        (root / "linked").symlink_to(canary, target_is_directory=True)
        os.mkfifo(root / "p/pipe.json")
        tree.read_many(["p/pipe.json", "linked/42.json", "p/none.json", "p/summaries/tickets/1/1.json", "p/summaries"])
        next(tree.walk())
        failures = [
            _within_a_second(lambda: tree.make_durable(tree.walk())),
            _within_a_second(lambda: tree.replace_many({"p/a.json": b"{}", "p/summaries/tickets": b"{}"})),
            _within_a_second(lambda: tree.make_directory("linked/deep")),
            _within_a_second(lambda: tree.move("p/none.json", "q/r/none.json")),
        ]
        tree.wipe_temporary()

    assert None not in failures
    assert _open_descriptors() == before


def test_as_many_directories_as_a_process_may_open_files_are_no_limit(tree: Tree) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    paths = [f"p/summaries/tickets/{number}/1.json" for number in range(200)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (_open_descriptors() + 40, before[1]))
    try:
        tree.replace_many(dict.fromkeys(paths, b"{}"))
        tree.make_durable(paths)
        found = tree.read_many(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert found == [b"{}"] * 200


# -- setting aside -------------------------------------------------------------------------------------------------------------------------


def test_what_is_set_aside_never_takes_the_place_of_what_was_before(tree: Tree) -> None:
    moved: list[str] = []
    for body in (b"1", b"2", b"3"):
        tree.replace_many({TICKET: body})
        moved.append(tree.move(TICKET, ".deskstore/edited/42.json"))

    assert moved == [".deskstore/edited/42.json", ".deskstore/edited/42.json.2", ".deskstore/edited/42.json.3"]
    assert tree.read_many([*moved, TICKET]) == [b"1", b"2", b"3", None]


@pytest.mark.parametrize("put", [_link_to_file, _dangling_link, _pipe, _directory, _socket])
def test_a_stranger_is_set_aside_as_it_is(tree: Tree, root: Path, canary: Path, put: Callable[[Path, Path], None]) -> None:
    tree.make_directory("freshdesk/tickets")
    put(root / TICKET, canary)
    kind = stat.S_IFMT((root / TICKET).lstat().st_mode)

    moved = tree.move(TICKET, ".deskstore/edited/42.json")

    assert stat.S_IFMT((root / moved).lstat().st_mode) == kind
    assert tree.read(TICKET) is None


def test_nothing_is_set_aside_when_nothing_stands_there_or_a_link_leads_away(tree: Tree, root: Path, canary: Path) -> None:
    tree.make_directory("freshdesk/tickets")
    (root / "linked").symlink_to(canary, target_is_directory=True)

    with pytest.raises(FileNotFoundError, match=TICKET):
        tree.move(TICKET, ".deskstore/edited/42.json")
    with pytest.raises(StrangerInTree, match="linked is a symbolic link"):
        tree.move("linked/42.json", ".deskstore/edited/42.json")


def test_temporary_files_of_writers_that_died_are_wiped_and_nothing_else(tree: Tree, root: Path, canary: Path) -> None:
    tree.replace_many({TICKET: b"{}", f"{TEMPORARY}/left": b"half", f"{TEMPORARY}/behind": b"half"})
    (root / TEMPORARY / "link").symlink_to(canary / "42.json")
    (root / TEMPORARY / "directory").mkdir()

    tree.wipe_temporary()

    assert os.listdir(root / TEMPORARY) == ["directory"]
    assert tree.read(TICKET) == b"{}"


def test_wiping_where_nothing_was_written_yet_does_nothing(tree: Tree, root: Path) -> None:
    tree.wipe_temporary()

    assert os.listdir(root) == []
