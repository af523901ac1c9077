"""Files that somebody else made to do harm: they are refused in one line, or read as the data that they are.

Every payload would create the file ``owned`` in the current folder if it were executed.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from celluler_sim import branch, compose, foreign_tables, load_run, resume, simulate
from celluler_sim.__main__ import main
from celluler_sim.checkpoint import file, state
from celluler_sim.errors import ResultsError, ScenarioError, TraceError
from celluler_sim.experiments.replicates import same_job
from celluler_sim.experiments.sensitivity_journal import check
from celluler_sim.experiments.sweep_plan import read_plan, records
from celluler_sim.foreign_tables import compressed, read_arrow_stream
from celluler_sim.scenario import Scenario
from celluler_sim.trust import MOST_NODES, load_yaml, read_text
from celluler_sim.workloads import csvfile
from celluler_sim.workloads.readers import read_llm_requests
from tests.checkpoint.test_graph import forged

SMALL = ["ticks=4", "agents.providers.count=4", "agents.consumers.count=20", "agents.consumers.jobs_per_day=300"]


class Payload:
    """Unpickled, it creates a file."""

    def __reduce__(self):
        return os.system, ("touch owned",)


PICKLE = pickle.dumps(Payload())


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Work in an empty folder; whatever a test does, nothing may have been executed there."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    yield tmp_path / "home"
    assert not list(tmp_path.rglob("owned"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "run"
    simulate("compute_congestion", [*SMALL, "checkpoint_every=2"], folder=folder)
    return folder


@pytest.fixture
def foreign(finished, tmp_path) -> Path:
    """Return somebody else's run folder, to be tampered with."""
    return Path(shutil.copytree(finished, tmp_path / "foreign"))


def stopped(folder: Path) -> Path:
    """Let a finished run look as if it had been killed at its end."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "outcome": "running"}))
    return folder


def test_the_payload_would_work(tmp_path):
    """Unpickled it does what it says: the tests below would notice."""
    pickle.loads(PICKLE)  # noqa: S301 - our own
    Path("owned").unlink()


# ---- scenarios -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: !!python/object/apply:os.system ['touch owned']", "a tag on line 1"),
        ("ticks: !!python/object/new:os.system ['touch owned']", "a tag on line 1"),
        ("seed: 1\nname: !!python/name:os.system", "a tag on line 2"),
        ("market: {unit: !!python/module:os }", "a tag"),
        ("name: ${oc.env:HOME}", "may only refer to keys"),
        ("description: 'x ${oc.env:HOME,none}'", "may only refer to keys"),
        ("results_dir: ${oc.decode:1}", "may only refer to keys"),
        ("pricing: {base_price: '${oc.create:1}'}", "may only refer to keys"),
        ("variants: {a: ['pricing.base_price=${oc.env:HOME}']}", "may only refer to keys"),
        ("_target_: os.system", "unknown key _target_"),
        ("workload: {_target_: os.system, _args_: ['touch owned']}", "unknown key workload._target_"),
        ("agents: {consumers: {behaviours: {_target_: 1}}}", "_target_"),
        ("hydra: {launcher: {_target_: os.system}}", "unknown key hydra"),
        ("defaults: [override /hydra/launcher: joblib]", "defaults may hold names of scenarios"),
        ("defaults: ['../../elsewhere']", "defaults may hold names of scenarios"),
        ("variants: {a: ['hydra.launcher._target_=os.system']}", "variant"),
        ("variants: {a: ['plugins=[os]']}", "a variant may not set plugins=[os]"),
        ("variants: {'../../up': ['ticks=1']}", "must be made of letters"),
        ("name: ../../up", "must be made of letters"),
        ("name: ..", "must be made of letters"),
        ("name: /tmp/up", "must be made of letters"),
        ("results_dir: /tmp/up", "results_dir of a scenario file must be below the current folder"),
        ("results_dir: ../up", "results_dir of a scenario file must be below the current folder"),
        ("results_dir: ~/up", "results_dir of a scenario file must be below the current folder"),
        ("description: ../../up\nresults_dir: ${description}", "must be below the current folder"),
        ("a: &a [x]\nb: &b [*a,*a]\nname: *b\n", ""),
        ("[" * 5000, ""),
        ("x: " + "9" * 2**20, "more than 1048576 bytes"),
    ],
)  # fmt: skip
def test_crafted_scenarios(text, says, capsys):
    """Tags, resolvers, targets, names that climb, results elsewhere, nesting: one line, nothing written."""
    Path("foreign.yaml").write_text(text + "\n")
    assert main(["scenario=./foreign.yaml", "ticks=1"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert "Traceback" not in err
    assert [path.name for path in Path.cwd().iterdir()] == ["foreign.yaml"]


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
MERGES = "m0: &m0 {x: 1}\n" + "".join(f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}\n" for i in range(1, 40))


@pytest.mark.parametrize("text", [LAUGHS, MERGES, "a: &a [*a]", "a: &a {b: *a}"])
def test_aliases_that_explode_or_never_end(text, foreign):
    """A thousand million laughs, the same by merging, and a list in itself, in a scenario and in a run."""
    Path("foreign.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=f"at most {MOST_NODES} values|that holds itself"):
        compose("./foreign.yaml")
    (foreign / "scenario.yaml").write_text(text)
    with pytest.raises(ResultsError, match=r"scenario\.yaml must be a file of a run, got YAML must"):
        load_run(foreign)


def test_harmless_aliases_are_read():
    assert load_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}


def test_references_that_double_each_other():
    """Thirty texts, each twice the one before: refused by their number; long ones by their length."""
    texts = ["v0: ['ticks=1']"] + [f"v{i}: ['${{variants.v{i - 1}.0}}${{variants.v{i - 1}.0}}']" for i in range(1, 30)]
    Path("foreign.yaml").write_text(f"variants:\n{textwrap.indent(chr(10).join(texts), '  ')}\n")
    with pytest.raises(ScenarioError, match="may refer to keys at most 20 times"):
        compose("./foreign.yaml")
    Path("foreign.yaml").write_text(f"description: '{'x' * 2000}${{name}}'\n")
    with pytest.raises(ScenarioError, match="at most 1000 letters"):
        compose("./foreign.yaml")


# ---- plugins -------------------------------------------------------------------------------------------------------


@pytest.fixture
def evil(home, monkeypatch):
    """Put a module into the current folder that leaves a trace when it is imported."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(home))])
    (home / "evil.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    yield home / "imported"
    sys.modules.pop("evil", None)


def test_a_foreign_scenario_imports_nothing_untold(evil, capsys):
    """Named by its path, its plugins are refused; named on the command line as well, they are imported."""
    Path("foreign.yaml").write_text("plugins: [evil]\n")
    assert main(["scenario=./foreign.yaml", *SMALL]) == 1
    err = capsys.readouterr().err
    assert "foreign.yaml names the module 'evil', which is code and would be run" in err
    assert "plugins=[evil]" in err
    assert not evil.exists()
    with pytest.raises(ScenarioError, match="names the module 'evil'"):
        simulate("./foreign.yaml", SMALL)
    assert not evil.exists()
    run = simulate("./foreign.yaml", [*SMALL, "plugins=[evil]"])
    assert evil.exists()
    assert run.manifest["plugins"] == ["evil"]


def test_a_scenario_of_this_machine_may_name_plugins(evil, capsys, monkeypatch):
    """One that is found by its name, in a folder for scenarios: its plugins are imported, and the run says so."""
    monkeypatch.setattr("celluler_sim.report.write_report", lambda run: run.folder / "report.html")
    Path("scenarios").mkdir()
    Path("scenarios/mine.yaml").write_text("plugins: [evil]\n")
    assert main(["scenario=mine", *SMALL]) == 0
    assert "plugins: evil (imported: their code has been run)" in capsys.readouterr().out
    assert evil.exists()


def test_foreign_folders_import_nothing_untold(evil, foreign, capsys):
    """load_run and report import nothing; resume and branch refuse, unless the module is named to them."""
    text = (foreign / "scenario.yaml").read_text().replace("plugins: []", "plugins: [evil]")
    (foreign / "scenario.yaml").write_text(text)
    stopped(foreign)
    assert load_run(foreign).config["plugins"] == ["evil"]
    for arguments in (["resume", str(foreign)], ["branch", str(foreign), "--at", "1"]):
        assert main(arguments) == 1
        assert "names the module 'evil', which is code and would be run" in capsys.readouterr().err
    for call in (lambda: resume(foreign), lambda: branch(foreign, 1)):
        with pytest.raises(ScenarioError, match="names the module 'evil'"):
            call()
    assert not evil.exists()
    shutil.rmtree(foreign / "checkpoints")  # they are of the configuration without
    branch(foreign, 1, plugins=["evil"], to="out")
    assert evil.exists()


def test_the_current_folder_is_searched_only_for_plugins(evil, monkeypatch):
    """Without a plugin to import, the folder one works in does not become a place for code."""
    compose("compute_congestion", SMALL)
    assert str(Path.cwd()) not in sys.path


# ---- run folders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["manifest.json", "summary.json"])
@pytest.mark.parametrize(
    "content",
    [PICKLE, b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"__import__('os').system('touch owned')", b"\xff"],
)
def test_json_that_is_none(foreign, name, content):
    (foreign / name).write_bytes(content)
    with pytest.raises(ResultsError, match=f"{name} must be a file of a run"):
        load_run(foreign)


def test_a_file_without_end(foreign, monkeypatch):
    """A manifest larger than the limit is refused without being read to its end; a pipe is not waited for."""
    with (foreign / "manifest.json").open("r+b") as sparse:
        sparse.truncate(2**33)
    with pytest.raises(ResultsError, match="more than 67108864 bytes"):
        load_run(foreign)
    (foreign / "manifest.json").unlink()
    os.mkfifo(foreign / "manifest.json")
    with pytest.raises(ResultsError):
        load_run(foreign)


@pytest.mark.parametrize("name", ["markets.parquet", "scenario.yaml", "summary.json", "manifest.json"])
def test_links_that_leave_the_folder(foreign, tmp_path, name):
    """A table, a configuration, figures that are elsewhere: refused by name, whatever is there."""
    target = tmp_path / f"secret-{name}"
    (foreign / name).rename(target)
    (foreign / name).symlink_to(target)
    with pytest.raises(ResultsError, match=f"{name} must stay within .*, got a link that leads to"):
        load_run(foreign).tables["markets"]


def test_links_within_the_folder_are_harmless(foreign):
    (foreign / "markets.parquet").rename(foreign / "kept.data")
    (foreign / "markets.parquet").symlink_to("kept.data")
    assert len(load_run(foreign).tables["markets"]) == 4


def test_a_variant_that_is_elsewhere(foreign, finished):
    (foreign / "variants").mkdir()
    (foreign / "variants" / "x").symlink_to(finished)
    with pytest.raises(ResultsError, match="variants/x must stay within"):
        load_run(foreign)


def test_pipes_and_devices_are_not_read(foreign):
    """A table that is a pipe would be waited for without end."""
    (foreign / "markets.parquet").unlink()
    os.mkfifo(foreign / "markets.parquet")
    with pytest.raises(ResultsError, match="must be a file, got a device or a pipe"):
        load_run(foreign).tables["markets"]


def test_writing_follows_no_links(foreign, tmp_path, monkeypatch):
    """The names under which a report and a manifest are first written lead to a file elsewhere: it stays as it is."""
    monkeypatch.setattr("celluler_sim.report.worth_drawing", lambda _: ["price"])
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("report.html.partial", "report.html", "manifest.json.partial", "summary.json.partial"):
        (foreign / name).symlink_to(victim)
    for name in ("jobs.parquet.partial", "jobs.parquet.sorting", ".lock"):
        (foreign / name).symlink_to(victim)
    load_run(foreign).report()
    (foreign / "figures").rename(foreign / "old")
    outside = tmp_path / "outside"
    outside.mkdir()
    (foreign / "figures").symlink_to(outside)
    with pytest.raises(ResultsError, match="figures must stay within"):
        load_run(foreign).report()
    assert not list(outside.iterdir())
    (foreign / "figures").unlink()
    resume(stopped(foreign))
    assert load_run(foreign).manifest["outcome"] == "finished"
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("where", ["stream", "checkpoints", "checkpoint", "variant"])
def test_resume_and_branch_stay_within_the_folder(foreign, tmp_path, where):
    """A stream to cut, checkpoints to remove, a variant to fill, all of them links to elsewhere: nothing is changed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = outside / "victim"
    victim.write_bytes(b"x" * 10**6)
    stopped(foreign)
    link, target = {
        "stream": (foreign / "markets.arrows", victim),
        "checkpoints": (foreign / "checkpoints", outside),
        "checkpoint": (foreign / "checkpoints" / "tick-000000004.ckpt", victim),
        "variant": (foreign / "variants", outside),
    }[where]
    if where == "checkpoints":
        shutil.rmtree(link)
        (outside / "tick-000000002.ckpt").write_bytes(b"x")
    if where == "checkpoint":
        link.unlink()
    if where == "variant":
        manifest = json.loads((foreign / "manifest.json").read_text())
        config = (foreign / "scenario.yaml").read_text()
        text = json.dumps({**manifest, "outcome": "finished", "variants": {"x": config}})
        (foreign / "manifest.json").write_text(text)
    link.symlink_to(target)
    before = sorted((path, path.stat().st_size) for path in outside.iterdir())
    with pytest.raises(ResultsError, match="must stay within"):
        resume(foreign)
    assert sorted((path, path.stat().st_size) for path in outside.iterdir()) == before


@pytest.mark.parametrize("name", ["../../up", "..", "a/b", "/up", ""])
def test_variants_in_a_manifest_cannot_climb(foreign, tmp_path, name):
    """What resume would create has a plain name, or nothing is created."""
    manifest = json.loads((foreign / "manifest.json").read_text())
    text = json.dumps({**manifest, "variants": {name: (foreign / "scenario.yaml").read_text()}})
    (foreign / "manifest.json").write_text(text)
    with pytest.raises(ResultsError, match="must list variants by plain names"):
        resume(foreign)
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize("variants", [{"x": "!!python/object/apply:os.system ['touch owned']"}, {"x": 5}, [1], "x"])
def test_crafted_plans_of_variants(foreign, variants):
    manifest = json.loads((foreign / "manifest.json").read_text())
    (foreign / "manifest.json").write_text(json.dumps({**manifest, "variants": variants}))
    with pytest.raises(ResultsError, match=r"manifest\.json must"):
        resume(foreign)


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def crafted_checkpoint(folder: Path, change) -> None:
    """Rewrite the newest checkpoint with a changed header whose checksums are right; remove the other."""
    [old, path] = sorted((folder / "checkpoints").iterdir())
    old.unlink()
    content = path.read_bytes()
    _, length, _, _ = file.PREFIX.unpack(content[: file.PREFIX.size])
    header = json.loads(content[file.PREFIX.size : file.PREFIX.size + length])
    start = file.PREFIX.size + length
    tail = content[start + -start % 64 :]
    change(header)
    forged(path, header, b"")
    text = json.dumps(header).encode()
    # the checksum of the blocks does not depend on the header
    _, _, _, check = file.PREFIX.unpack(content[: file.PREFIX.size])
    prefix = file.PREFIX.pack(file.MAGIC, len(text), zlib.crc32(text), check)
    path.write_bytes(prefix + text + b"\0" * (-(len(prefix) + len(text)) % 64) + tail)


def add(node):
    """Return a change that hangs a node into the economy."""

    def change(header):
        header["nodes"].append(node)
        header["root"]["extra"] = [len(header["nodes"]) - 1]

    return change


def shadow(name):
    def change(header):
        header["root"][name] = [0]

    return change


@pytest.mark.parametrize(
    "change",
    [
        add(["object", "subprocess:Popen", [["args", "touch owned"]]]),
        add(["object", "os:system", []]),
        add(["class", "celluler_sim.run_folder:RunFolder"]),
        add(["object", "celluler_sim.recorder:Recorder", []]),
        add(["object", "evil:Thing", []]),
        add(["pickle", PICKLE.hex()]),
        shadow("step"),
        shadow("act"),
        shadow("recorder"),
        shadow("_user_step"),
        shadow("__class__"),
        shadow("ledger"),
        lambda header: header["root"].pop("ledger"),
    ],
)
def test_crafted_checkpoints(foreign, evil, change):
    """Classes, methods, code in a checkpoint whose checksums are right: refused, nothing imported."""
    crafted_checkpoint(foreign, change)
    [path] = (foreign / "checkpoints").iterdir()
    scenario = Scenario.from_mapping(load_run(foreign).config)
    with pytest.raises(ResultsError, match=r"checkpoint .* must be whole, got "):
        state.restore(file.read(path), path, scenario, state.silent())
    assert not evil.exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    "content", [PICKLE, b"PK\x03\x04" + PICKLE, b"", b"\x93NUMPY\x01\x00v\x00{'descr': 'O'}" + PICKLE]
)
def test_checkpoints_that_are_something_else(foreign, content):
    """A pickle, a zip of pickles, an array of objects: passed over; the run begins anew instead."""
    before = (foreign / "markets.parquet").read_bytes()
    for path in (foreign / "checkpoints").iterdir():
        path.write_bytes(content)
    assert resume(stopped(foreign)).manifest["outcome"] == "finished"
    assert (foreign / "markets.parquet").read_bytes() == before


# ---- tables --------------------------------------------------------------------------------------------------------


def with_metadata(extension: bytes, payload: bytes) -> pa.Schema:
    about = {b"ARROW:extension:name": extension, b"ARROW:extension:metadata": payload}
    return pa.schema([pa.field("tick", pa.int64(), metadata=about)], metadata={b"pandas": payload, b"pickle": payload})


@pytest.mark.parametrize("extension", [b"arrow.py_extension_type", b"evil"])
def test_pickles_in_metadata_stay_what_they_are(foreign, extension):
    """In the schema of a Parquet file and of a stream, where Arrow once unpickled them (CVE-2023-47248)."""
    schema = with_metadata(extension, PICKLE)
    table = pa.table([pa.array([1, 2])], schema=schema)
    for name in ("markets", "jobs"):
        (foreign / f"{name}.parquet").unlink()
    pq.write_table(table, foreign / "markets.parquet")
    with pa.OSFile(str(foreign / "jobs.arrows"), "wb") as out, pa.ipc.new_stream(out, schema) as writer:
        writer.write_table(table)
    run = load_run(foreign)
    for name in ("markets", "jobs"):
        with _either():
            assert run.tables.arrow(name)["tick"].to_pylist() == [1, 2]
        with _either():
            run.tables[name]  # pandas metadata that is none


class _either:  # noqa: N801 - reads as a word
    """Let a table be refused in one line, or read."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        return isinstance(error, ResultsError)


def test_a_parquet_file_of_endless_rows(foreign, monkeypatch):
    """Rows without number in a few kilobytes: refused by what the footer says, before a page is unpacked."""
    assert foreign_tables.MOST_BYTES == 4 * 2**30
    monkeypatch.setenv("CELLULER_MOST_TABLE_BYTES", str(2**24))
    path = foreign / "markets.parquet"
    pq.write_table(pa.table({"tick": np.zeros(2**22, np.int64)}), path, compression="zstd")
    assert path.stat().st_size < 2**16
    with pytest.raises(ResultsError, match=f"{2**25} bytes in memory, more than {2**24}"):
        load_run(foreign).tables["markets"]


def test_a_parquet_file_of_endless_text(foreign, monkeypatch):
    """A text of a megabyte a hundred thousand times is small as a dictionary and 100 GB written out."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 2**20]))
    table = pa.table({"name": words})
    schema = pa.schema([("name", pa.string())])
    path = foreign / "markets.parquet"
    pq.write_table(table, path, compression="zstd", store_schema=False)
    assert pq.read_schema(path) == schema
    assert path.stat().st_size < 2**20
    with pytest.raises(ResultsError, match="bytes in memory, more than"):
        load_run(foreign).tables["markets"]
    monkeypatch.setenv("CELLULER_MOST_TABLE_BYTES", "100")
    with pytest.raises(ResultsError, match="more than 100"):
        load_run(foreign).tables["jobs"]


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_compressed_streams_are_refused(foreign, kind):
    """Sixty-four megabytes of zeros in some kilobytes: nothing is unpacked."""
    path = foreign / "jobs.arrows"
    (foreign / "jobs.parquet").unlink()
    schema = pa.schema([("job", pa.int64())])
    options = pa.ipc.IpcWriteOptions(compression=kind)
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, schema, options=options) as writer:
        writer.write_table(pa.table({"job": np.zeros(2**23, np.int64)}))
    assert path.stat().st_size < 2**20
    with pytest.raises(ResultsError, match="compressed batches"):
        load_run(foreign).tables["jobs"]


def test_plain_streams_are_not_taken_for_compressed(tmp_path):
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.array(["a", None])], ["a", "b"])
    path = tmp_path / "a.arrows"
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    assert read_arrow_stream(path).to_pylist() == [{"a": 1, "b": "a"}, {"a": 2, "b": None}]
    for garbage in (b"", b"\0" * 8, b"\xff" * 64):
        with pytest.raises(ValueError, match="message"):
            compressed(garbage)


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.null(), pa.binary()])
def test_columns_of_other_types_are_refused(foreign, kind):
    """Nested and untyped columns can claim rows that are nowhere."""
    table = pa.table({"tick": pa.array([None], kind)})
    pq.write_table(table, foreign / "markets.parquet")
    with pytest.raises(ResultsError, match="column 'tick' of type"):
        load_run(foreign).tables["markets"]


# ---- traces --------------------------------------------------------------------------------------------------------


def test_a_trace_that_unpacks_without_end(tmp_path, monkeypatch):
    """A gzip bomb is refused at the limit, which the message states; the real limit is 1 GiB."""
    assert csvfile.SIZE_LIMIT == 2**30
    monkeypatch.setattr(csvfile, "SIZE_LIMIT", 2**22)
    path = tmp_path / "AzureLLMInferenceTrace_conv.csv.gz"
    with gzip.open(path, "wb") as bomb:
        bomb.write(b"TIMESTAMP,ContextTokens,GeneratedTokens\n" + b"0" * 2**24)
    assert path.stat().st_size < 2**16
    with pytest.raises(TraceError, match=f"must unpack to at most {2**22} bytes"):
        read_llm_requests(path)


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "__import__('os').system('touch owned')", "@SUM(1)", "0x10"])
def test_a_trace_is_numbers(tmp_path, cell):
    path = tmp_path / "AzureLLMInferenceTrace_conv.csv"
    path.write_text(f'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,"{cell}",4\n')
    with pytest.raises(TraceError, match="column ContextTokens: must be a whole number"):
        read_llm_requests(path)


def test_a_pickle_is_no_trace(tmp_path):
    path = tmp_path / "AzureLLMInferenceTrace_conv.csv"
    path.write_bytes(PICKLE)
    with pytest.raises(TraceError):
        read_llm_requests(path)


# ---- experiments ---------------------------------------------------------------------------------------------------


def endless(path):
    """Make a file of 8 GiB that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as sparse:
        sparse.truncate(2**33)
    return path


@pytest.mark.parametrize("verb", ["replay", "validate"])
def test_a_case_file_without_end(verb, capsys):
    """Eight gigabytes of nothing are refused by their size, in one line, without being read."""
    assert main([verb, str(endless(Path("cases.json")))]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "more than 67108864 bytes" in err


def test_a_case_file_may_come_through_a_pipe(tmp_path):
    """What the user names may be a pipe, as shells make them; it is read up to the limit."""
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", "cat /dev/zero > pipe"], cwd=tmp_path) as writer:
        with pytest.raises(ValueError, match="more than 1024 bytes"):
            read_text(tmp_path / "pipe", 1024, pipes=True)
        writer.kill()


def test_a_plan_of_a_sweep_without_end(tmp_path):
    endless(tmp_path / "sweep.json")
    with pytest.raises(ResultsError, match=r"sweep\.json must be the plan of a sweep"):
        read_plan(tmp_path)


def test_a_plan_of_a_sweep_that_is_elsewhere(tmp_path):
    """A link that leads out of the sweep is not followed."""
    (tmp_path / "mine.json").write_text('{"name": "x", "jobs": []}')
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").symlink_to(tmp_path / "mine.json")
    with pytest.raises(ResultsError, match="must stay within"):
        read_plan(tmp_path / "sweep")


def test_notes_of_jobs_do_not_lead_out_of_a_sweep(tmp_path):
    """Folders that climb, huge notes, notes that are none: left out, and the good one is read."""
    home = tmp_path / ".jobs"
    endless(home / "0.json")
    for number, text in enumerate(["[1]", '{"folder": "../up"}', '{"folder": "/etc"}', "[" * 9999, "{"], start=1):
        (home / f"{number}.json").write_text(text)
    (home / "word.json").write_text("{}")
    (home / "6.json").write_text('{"folder": "6_a", "error": null}')
    assert records(tmp_path) == {6: {"folder": "6_a", "error": None}}


@pytest.mark.parametrize("text", [LAUGHS, "a: !!python/object/apply:os.system ['touch owned']", "[" * 9999, None])
def test_another_configuration_is_another_job(foreign, text):
    """A scenario file that explodes, that would run code, or is endless belongs to no job of ours."""
    path = foreign / "scenario.yaml"
    assert same_job(foreign, compose("compute_congestion", [*SMALL, "checkpoint_every=2"]))
    endless(path) if text is None else path.write_text(text)
    assert not same_job(foreign, compose("compute_congestion", [*SMALL, "checkpoint_every=2"]))


def test_a_plan_of_an_analysis_without_end(tmp_path):
    endless(tmp_path / "sensitivity.plan.json")
    with pytest.raises(ResultsError, match=r"sensitivity\.plan\.json must be the plan of an analysis"):
        check(tmp_path, compose("compute_congestion", SMALL))
