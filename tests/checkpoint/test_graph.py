"""Objects into nodes and back: nothing is lost, nothing is executed."""

from __future__ import annotations

import enum
import json
import math
import sys
import types
from collections import OrderedDict, defaultdict, deque
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.agents.provider import Provider
from celluler_sim.checkpoint import classes, file, memory
from celluler_sim.checkpoint.classes import UnstorableError
from celluler_sim.checkpoint.graph import Encoder
from celluler_sim.checkpoint.rebuild import Decoder
from celluler_sim.consensus import hashgraph_state
from celluler_sim.errors import ResultsError
from celluler_sim.ledger import Amounts, Ledger
from celluler_sim.markets.rows import Rows
from celluler_sim.markets.window import UtilisationWindow


def stored(path: Path, value, given=()):
    """Write a value to a file and read it back."""
    encoder = Encoder([(entry, f"given {i}") for i, entry in enumerate(given)])
    held = encoder.add(value, "value")
    file.write(path, {"tick": 0}, {"value": held}, encoder)
    content = file.read(path)
    named = {f"given {i}": entry for i, entry in enumerate(given)}
    return Decoder(content.nodes, content.arrays, named).value(content.root["value"])


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.fractions(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(plain)
def test_plain_values_come_back_with_their_types(tmp_path_factory, value):
    """Whatever is made of Python's plain values: equal, and of the same types all the way down (repr tells)."""
    back = stored(tmp_path_factory.getbasetemp() / "plain.ckpt", value)
    assert repr(back) == repr(value)


def test_containers_and_numbers(tmp_path):
    """A deque keeps its length, a dict its order and keys of any kind, a NumPy number its type, NaN its being none."""
    value = {
        "deque": deque([(1.5, 2)], maxlen=3),
        "ordered": OrderedDict([("b", 1), ("a", 2)]),
        "default": defaultdict(list, {3: [1]}),
        (1, "x"): {1, 2},
        "frozen": frozenset({"a"}),
        "float": np.float64(0.1),
        "int": np.int8(-3),
        "bool": np.True_,
        "nan": math.nan,
        "big": 2**70,
        "text": np.array(["a", "bc"]),
        "objects": np.array([None, [1]], object),
        "minus": -0.0,
    }
    back = stored(tmp_path / "a.ckpt", value)
    assert list(map(str, back)) == list(map(str, value))
    assert (back["deque"], back["deque"].maxlen) == (value["deque"], 3)
    assert type(back["ordered"]) is OrderedDict
    back["default"][9].append(1)
    assert back["default"] == {3: [1], 9: [1]}
    assert (back[1, "x"], back["frozen"], back["big"]) == ({1, 2}, {"a"}, 2**70)
    for name in ("float", "int", "bool"):
        assert type(back[name]) is type(value[name])
        assert back[name] == value[name]
    assert math.isnan(back["nan"])
    assert math.copysign(1, back["minus"]) == -1
    assert back["text"].tolist() == ["a", "bc"]
    assert back["objects"].tolist() == [None, [1]]


def test_what_was_one_object_stays_one(tmp_path):
    """A list in two places, and one that holds itself."""
    shared: list = [1]
    shared.append(shared)
    back = stored(tmp_path / "a.ckpt", {"a": shared, "b": (shared,)})
    assert back["a"] is back["b"][0] is back["a"][1]


def test_arrays_that_share_memory_share_it_again(tmp_path):
    """A slice, a column, a reversed view and a transposed one see what is written through the whole; layout is kept."""
    whole = np.arange(24.0).reshape(4, 6)
    views = {"whole": whole, "row": whole[1], "column": whole[:, 2], "back": whole[::-1, ::2], "turned": whole.T}
    views["fixed"] = whole[2:]
    views["fixed"].flags.writeable = False
    back = stored(tmp_path / "a.ckpt", views)
    for name, view in views.items():
        np.testing.assert_array_equal(back[name], view)
        assert back[name].strides == view.strides
    back["whole"][1, 2] = -7.0
    assert back["row"][2] == back["column"][1] == back["turned"][2, 1] == -7.0
    assert not back["fixed"].flags.writeable
    assert back["row"].flags.writeable


def test_arrays_apart_stay_apart(tmp_path):
    """Empty ones, one with a repeated axis, Fortran order and structured records, aligned as the kernels want them."""
    fortran = np.asfortranarray(np.arange(6).reshape(2, 3))
    records = np.zeros(3, hashgraph_state.EVENT)
    records["round"] = [1, 2, 3]
    repeated = np.broadcast_to(np.int64(5), (3, 2))
    empty = np.empty((0, 4), np.int8)
    a, b, c, d = stored(tmp_path / "a.ckpt", (fortran, records, repeated, empty))
    assert a.flags.f_contiguous
    assert a.tolist() == fortran.tolist()
    assert b.dtype == records.dtype
    assert b.dtype.isalignedstruct
    assert b["round"].tolist() == [1, 2, 3]
    assert c.tolist() == repeated.tolist()
    assert (d.shape, d.dtype) == ((0, 4), np.dtype(np.int8))


def test_random_generators_go_on_where_they_were(tmp_path):
    """Both kinds draw what the originals draw next."""
    one, other = Random(3), np.random.default_rng(4)  # noqa: S311 - not for secrets
    one.gauss(0, 1), other.random(5)
    a, b = stored(tmp_path / "a.ckpt", (one, other))
    assert [a.random(), a.gauss(0, 1)] == [one.random(), one.gauss(0, 1)]
    assert b.random(3).tolist() == other.random(3).tolist()


def test_objects_of_the_simulator(tmp_path):
    """A ledger, rows, a window: their next answers are the original's."""
    ledger = Ledger()
    accounts = ledger.open_accounts(2, Amounts.from_prana([5.0, 1.0]))
    rows = Rows(blank={"end": np.inf}, job=np.int64, end=np.float64)
    rows.append(job=np.array([7, 8]), end=np.array([1.0, 5.0]))
    window = UtilisationWindow(3600)
    window.observe(0, 0.25)
    a, b, c, kind = stored(tmp_path / "a.ckpt", (ledger, rows, window, Provider))
    a.pay(accounts[:1], accounts[1:], Amounts.from_prana([2.0]))
    assert a.balance(accounts).tolist() == [3.0, 3.0]
    assert ledger.balance(accounts).tolist() == [5.0, 1.0]
    a.check(0)
    assert b.take(np.array([0]))["job"].tolist() == [7]
    assert len(rows) == 2
    assert c.mean(10) == 0.25
    assert kind is Provider


def test_given_objects_are_not_stored(tmp_path):
    """What the reader has already is the reader's own, whatever it is."""
    mine = object()
    assert stored(tmp_path / "a.ckpt", [mine, mine], given=[mine]) == [mine, mine]


# ---- what is refused on the way in ---------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (lambda: 1, "function"),
        (open, "builtin"),
        (Path("x"), "Path"),
        (Colour.RED, "Colour"),
        (types.SimpleNamespace(a=1), "SimpleNamespace"),
        (memoryview(b"x"), "memoryview"),
        (defaultdict(lambda: 1), "factory"),
        (frozenset({(1,)}), "frozenset"),
        (np.zeros(1, [("a", object)]), "Python objects"),
        (dict, "class"),
        (Ledger, "only classes of agents"),
        (iter([]), "list_iterator"),
    ],
)
def test_what_cannot_be_stored_is_named_by_its_path(value, says):
    """One line: where it is, what it is, what to do."""
    with pytest.raises(UnstorableError) as error:
        Encoder({}).add({"rule": [0, value]}, "economy")
    message = str(error.value)
    assert message.startswith("economy['rule'][1] ")
    assert says in message
    assert "keep it out of the state" in message
    assert "\n" not in message


def test_an_attribute_in_place_of_a_method_is_refused():
    """A method put over by an instance's own attribute would come back as code under another name."""
    ledger = Ledger()
    ledger.check = 5
    with pytest.raises(UnstorableError, match=r"ledger has an attribute check in place of a method"):
        Encoder({}).add(ledger, "ledger")


# ---- what is refused on the way out --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "node",
    [
        ["object", "os:system", []],
        ["object", "subprocess:Popen", [["args", "touch owned"]]],
        ["object", "builtins:object", []],
        ["object", "celluler_sim.run_folder:RunFolder", [["path", "/"]]],
        ["object", "celluler_sim.recorder:Recorder", []],
        ["object", "celluler_sim.ledger:Ledger", [["check", 1]]],
        ["object", "celluler_sim.ledger:Ledger", [["__class__", 1]]],
        ["object", "celluler_sim.ledger:np.ndarray", []],
        ["object", "celluler_sim.ledger:operator", []],
        ["object", "celluler_sim.no_such:Thing", []],
        ["object", "celluler_sim.workloads.csvfile:gzip.GzipFile", []],
        ["class", "celluler_sim.ledger:Ledger"],
        ["class", "os:system"],
        ["record", "collections:namedtuple", [1]],
        ["member", "signal:Signals", "SIGKILL"],
        ["given", "os.system"],
        ["generator", "__init__", [0]],
        ["number", "|O8", "00"],
        ["pickle", "80049"],
        ["_keep", 1],
        ["tuple", [[0]]],
        ["tuple", [[99]]],
        ["fraction", 1, 0],
        [],
        "text",
        None,
    ],
)
def test_crafted_nodes_are_refused(node):
    """Names of code, of files, of classes elsewhere, of methods; kinds that are none; what refers to itself."""
    before = set(sys.modules)
    with pytest.raises(file.ERRORS):
        Decoder([node, ["dict", []]], {}, {})
    assert not {name for name in set(sys.modules) - before if "no_such" in name}


def test_own_modules_that_open_files_are_no_state():
    """No module that writes, runs or composes is among those whose classes a checkpoint may name."""
    risky = {"run", "run_folder", "recorder", "results", "report", "trust", "table_files", "foreign_tables", "__main__"}
    names = {name.split(".")[1] for name in classes.own_modules() if "." in name}
    assert not names & (risky | {"cli", "conf", "checkpoint", "docs", "experiments", "validation", "analysis"})


@pytest.mark.parametrize(
    ("dtype", "shape", "strides", "offset"),
    [
        ("<f8", [5], [8], 0),  # 40 bytes in 32
        ("<f8", [4], [8], 8),
        ("<f8", [4], [8], -8),
        ("<f8", [2**40], [0], 0),
        ("<f8", [2**62, 2**62], [0, 0], 0),
        ("<f8", [-1], [8], 0),
        ("|O", [4], [8], 0),
        ({"names": ["a"], "formats": ["|O"], "offsets": [0], "itemsize": 8, "aligned": False}, [4], [8], 0),
        ("<f8", [1.5], [8], 0),
    ],
)
def test_crafted_arrays_are_refused(dtype, shape, strides, offset):
    """Beyond the memory there is, repeated without end, or of Python objects."""
    with pytest.raises(file.ERRORS):
        memory.array_in(np.zeros(32, np.uint8), offset, memory.dtype_from(dtype), shape, strides, writeable=True)


# ---- the file ------------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path):
    encoder = Encoder({})
    held = encoder.add([np.arange(100), "a"], "value")
    file.write(tmp_path / "a.ckpt", {"tick": 3}, {"value": held}, encoder)
    return tmp_path / "a.ckpt"


def test_a_whole_file_leaves_nothing_beside_it(whole):
    assert [path.name for path in whole.parent.iterdir()] == ["a.ckpt"]
    assert file.read_about(whole) == {"tick": 3}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_is_one_error(tmp_path_factory, data):
    """A byte changed anywhere, or an end cut off anywhere, is refused in one line that names the file, or harmless."""
    path = tmp_path_factory.getbasetemp() / "damage.ckpt"
    encoder = Encoder({})
    held = encoder.add([np.arange(20), "a"], "value")
    file.write(path, {"tick": 3}, {"value": held}, encoder)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = file.read(path)
        [back, text] = Decoder(found.nodes, found.arrays, {}).value(found.root["value"])
    except ResultsError as error:
        assert str(error).startswith(f"checkpoint {path} must be whole, got ")  # noqa: PT017
    else:  # a byte of padding
        assert (back.tolist(), text) == (list(range(20)), "a")


def forged(path: Path, header: object, tail: bytes = b"") -> Path:
    """Write a file that is whole by its checksums and says what it likes."""
    import zlib

    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    prefix = file.PREFIX.pack(file.MAGIC, len(text), zlib.crc32(text), zlib.crc32(tail))
    start = prefix + text
    path.write_bytes(start + b"\0" * (-len(start) % memory.ALIGNMENT) + tail)
    return path


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        {"about": {}, "root": {}, "nodes": [["array"]], "arrays": {}, "blocks": []},
        {"about": {}, "root": {}, "nodes": [], "arrays": {}, "blocks": [[2**60, 0]]},
        {"about": {}, "root": {}, "nodes": [], "arrays": {}, "blocks": [[-1, 0]]},
        {"about": {}, "root": {}, "nodes": [], "arrays": {}, "blocks": [["9" * 10, 0]]},
        {"about": {}, "root": {}, "nodes": [["array", "<f8", [9], [8], True]], "arrays": {"0": [5, 0]}, "blocks": []},
        {"about": {}, "root": 5, "nodes": 7, "arrays": {}, "blocks": []},
        b"[" * 100_000,
        b"\x80\x04\x95cposix\nsystem\n",
        b'{"about": ' + b"9" * 5000 + b"}",
    ],
)
def test_forged_headers_are_refused(tmp_path, header):
    """Sizes beyond the file are refused before memory is asked for; nesting without end and pickles are no JSON."""
    with pytest.raises(ResultsError, match="must be whole"):
        file.read(forged(tmp_path / "a.ckpt", header))


def test_a_header_of_terabytes_is_refused_unread(tmp_path):
    path = tmp_path / "a.ckpt"
    path.write_bytes(file.PREFIX.pack(file.MAGIC, 2**45, 0, 0) + b"x")
    with pytest.raises(ResultsError, match=f"a header of {2**45} bytes, more than {file.MOST_HEADER}"):
        file.read(path)


def test_fractions_come_back(tmp_path):
    assert stored(tmp_path / "a.ckpt", Fraction(2, 3)) == Fraction(2, 3)
