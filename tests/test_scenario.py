"""Composing scenarios from files and overrides."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from celluler_sim.conf import choices
from celluler_sim.conf.composition import hydra_alone
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import registered
from celluler_sim.scenario import Scenario, compose

Write = Callable[[str, str], Path]


ONE_OF = "pricing must be one of eip1559, fixed, linear, performance, posted, sliding_window"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Make a folder of scenarios that is searched first; the function returned adds a file to it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("CELLULER_SCENARIOS", str(folder))
    monkeypatch.chdir(tmp_path)

    def add(name: str, text: str) -> Path:
        path = folder / f"{name}.yaml"
        path.write_text(text)
        return path

    add("plain", "description: nothing but defaults")
    return add


def refused(*overrides: str, scenario: str | None = "plain") -> str:
    with pytest.raises(ScenarioError) as caught:
        compose(scenario, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults(write: Write):
    scenario = compose("plain")
    assert (scenario.name, scenario.description) == ("plain", "nothing but defaults")
    assert (scenario.seed, scenario.ticks, scenario.tick_seconds) == (1, 1440, 60.0)
    assert scenario.mechanisms == {
        family: registered(family)[option]()
        for family, option in choices.base_choices().items()
        if family != "scenario"
    }
    assert type(scenario.pricing) is registered("pricing")["sliding_window"]
    assert scenario.agents.providers.count == 100


def test_overrides_and_references(write: Write):
    scenario = compose("plain", ["pricing=linear", "pricing.base_price=80", "seed=${ticks}", "+ticks=7"])
    assert type(scenario.pricing) is registered("pricing")["linear"]
    assert (scenario.pricing.base_price, scenario.seed, scenario.ticks) == (80.0, 7, 7)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tick=3", "unknown key tick; did you mean ticks?"),
        ("+unknown=1", "unknown key unknown; a scenario has name, description, seed"),
        ("base_price=3", "unknown key base_price; did you mean pricing.base_price?"),
        ("+pricing.typo=3", "unknown key pricing.typo; pricing=sliding_window has base_price, window_seconds, cycle"),
        ("pricing.base_prise=3", "unknown key pricing.base_prise; did you mean pricing.base_price?"),
        ("agents.consumer.count=3", "unknown key agents.consumer; did you mean agents.consumers?"),
        ("pricing._target_=os.getcwd", "unknown key pricing._target_"),
        ("+_target_=os.getcwd", "unknown key _target_"),
        ("+agents.consumers.behaviours._target_=1", "unknown key agents.consumers.behaviours._target_"),
        ("pricing.base_price=abc", "pricing.base_price must be a number, got 'abc'"),
        ('pricing.base_price="5"', "pricing.base_price must be a number, got '5'"),
        ("pricing.base_price=-5", "pricing.base_price must be > 0 PRANA per unit, got -5"),
        ("pricing.base_price=nan", "pricing.base_price must be a finite number, got nan"),
        ("pricing.cycle=sawtoth", "pricing.cycle must be one of sawtooth, smooth, none, got 'sawtoth'"),
        ("ticks=0", "ticks must be >= 1, got 0"),
        ("ticks=1.5", "ticks must be a whole number, got 1.5"),
        ("seed=-1", "seed must be >= 0, got -1"),
        ("tick_seconds=0", "tick_seconds must be > 0 s, got 0"),
        ("market.min_quality=2", "market.min_quality must be >= 0 and <= 1, got 2"),
        ("market=5", "market must be a mapping of keys to values, got 5"),
        ("agents.providers.count=0", "agents.providers.count must be >= 1, got 0"),
        ("agents.consumers.behaviours={truthfull: 1}", "agents.consumers.behaviours must name some of elastic"),
        ("progress=maybe", "progress must be auto or true or false, got 'maybe'"),
        ("name=a/b", "name must be made of letters, digits, '_', '-' and '.', got 'a/b'"),
        ("pricing=foo", f"{ONE_OF}; got 'foo'"),
        ("pricing=linaer", f"{ONE_OF}; got 'linaer'; did"),
        ("pricing=", f"{ONE_OF}; got ''"),
        ("pricing=null", f"{ONE_OF}; got null"),
        ("~pricing", f"{ONE_OF}; got null"),
        ("pricing.name=linear", "pricing.name=linear cannot change the rule: choose it with pricing=NAME"),
        ("pricing={name: linear}", "pricing={name: linear} cannot change the rule: choose it with pricing=NAME"),
        ("pricing=linear,fixed", "pricing=linear,fixed gives several values: add -m to run each of them"),
        ("foo bar", "'foo bar' cannot be read: write KEY=VALUE"),
        ("=3", "'=3' cannot be read: write KEY=VALUE"),
        ("a=b=c", "'a=b=c' cannot be read: write KEY=VALUE"),
        ("pricing@x=linear", "'pricing@x=linear' cannot be read: write KEY=VALUE"),
        ("seed=${tickz}", "seed: Interpolation key 'tickz' not found"),
        ("seed=${seed}", "seed: Recursive interpolation"),
        ("description=${oc.env:HOME}", "description may only refer to keys, as in ${seed}, got '${oc.env:HOME}'"),
        ("description='${a${b}:c}'", "description may only refer to keys"),
        ("hydra.foo=3", "hydra.foo: Could not override 'hydra.foo'"),
        ("plugins=[no_such_module]", "plugins: module 'no_such_module' cannot be imported: ModuleNotFoundError"),
        ("plugins=no_such_module", "plugins must be a list of texts, got 'no_such_module'"),
        ("plugins=[1]", "plugins[0] must be text, got 1"),
        ("variants={a: b}", "variants.a must be a list of texts, got 'b'"),
        ("scenario=other", "scenario is chosen twice: scenario=plain and scenario=other"),
    ],
)
def test_refusals_in_one_line(write: Write, override: str, message: str):
    assert refused(override).startswith(message)


def test_unknown_scenario(write: Write):
    assert refused(scenario="plane").endswith("got 'plane'; did you mean plain?")
    assert "there are " in refused(scenario="xyz")
    assert refused(scenario="./nowhere.yaml") == "scenario=./nowhere.yaml: there is no such file"


def test_composing_leaves_a_running_hydra_alone(write: Write):
    with hydra_alone():
        running = GlobalHydra.instance().hydra
        assert compose("plain", ["ticks=3"]).ticks == 3
        refused("ticks=0")
        assert GlobalHydra.instance().hydra is running
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    "text",
    ["defaults: [override /pricing: linear]", "pricing: linear", "pricing: {name: linear}", "pricing:\n  name: linear"],
)
def test_a_file_chooses_a_rule(write: Write, text: str):
    write("chosen", text)
    assert type(compose("chosen").pricing) is registered("pricing")["linear"]
    assert type(compose("chosen", ["pricing=fixed"]).pricing) is registered("pricing")["fixed"]


def test_a_rule_that_replaces_another_keeps_what_both_have(write: Write):
    """The scenario's price level applies to every rule, its cycle only to the rule that has one."""
    write("cyclic", "pricing: {base_price: 55, cycle: sawtooth}")
    fixed = compose("cyclic", ["pricing=fixed"])
    assert fixed.pricing == registered("pricing")["fixed"](base_price=55.0)
    assert compose("cyclic").mechanisms["pricing"].cycle == "sawtooth"
    message = refused("pricing=fixed", "pricing.cycle=smooth", scenario="cyclic")
    assert message == "unknown key pricing.cycle; pricing=fixed has base_price, window_seconds"


def test_a_misspelt_parameter_in_a_file_is_never_dropped(write: Write):
    write("misspelt", "pricing: {cylce: sawtooth}")
    assert refused("pricing=fixed", scenario="misspelt").startswith("unknown key pricing.cylce")
    write("misplaced", "pricing: {name: fixed, cycle: sawtooth}")
    assert refused(scenario="misplaced").startswith("unknown key pricing.cycle; pricing=fixed has")


def test_a_table_is_replaced_as_a_whole_and_edited_by_entry(write: Write):
    """Default {elastic 0.6, truthful 0.4}; a file's table replaces it, an override's replaces that, an entry edits."""

    def behaviours(scenario: str, *overrides: str) -> dict[str, float]:
        return compose(scenario, overrides).agents.consumers.behaviours

    write("timing", "agents: {consumers: {behaviours: {strategic_timing: 1.0}}}")
    key = "agents.consumers.behaviours"
    assert behaviours("plain") == {"elastic": 0.6, "truthful": 0.4}
    assert behaviours("timing") == {"strategic_timing": 1.0}
    assert behaviours("timing", f"{key}={{truthful: 2}}") == {"truthful": 2.0}
    assert behaviours("timing", f"{key}.elastic=2") == {"strategic_timing": 1.0, "elastic": 2.0}
    assert behaviours("timing", "agents={consumers: {behaviours: {truthful: 2}}}") == {"truthful": 2.0}
    assert behaviours("plain", f"{key}={{truthful: 2}}", f"{key}.elastic=1") == {"truthful": 2.0, "elastic": 1.0}


def test_a_scenario_may_start_from_another(write: Write):
    write("parent", "ticks: 10\nseed: 5\npricing: {name: linear, literal: true}\ndescription: of the parent")
    write("child", "defaults: [parent]\nticks: 20\npricing: fixed")
    child = compose("child")
    assert (child.name, child.ticks, child.seed) == ("child", 20, 5)
    assert child.pricing == registered("pricing")["fixed"]()
    write("round", "defaults: [round]")
    assert refused(scenario="round") == "scenario round starts from itself: round -> round"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ticks: [1", ", line 1: expected ',' or ']'"),
        ("a: 1\n b: 2", ", line 2: "),
        ("[1, 2]", "a scenario is a mapping of keys to values"),
        ("a: 1\na: 2", "found duplicate key a"),
        ("description: ${oc.env:HOME}", "description may only refer to keys, as in ${seed}, got '${oc.env:HOME}'"),
        ("variants: {a: ['seed=${now:%Y}']}", "variants.a[0] may only refer to keys"),
        ("hydra: {run: {dir: /tmp}}", "unknown key hydra; a scenario cannot configure Hydra"),
        ("defaults: [override /hydra/launcher: joblib]", "defaults may hold names of scenarios and override /pricing"),
        ("defaults: [override /pricing: linear]\npricing: fixed", "pricing is chosen twice, as fixed and as linear"),
        ("defaults: linear", "defaults must be a list"),
        ("name: other", "name must be that of the file, broken, or be left out, got 'other'"),
    ],
)
def test_a_broken_file_breaks_nothing_but_itself(write: Write, text: str, reason: str):
    path = write("broken", text)
    assert compose("plain").ticks == 1440
    message = refused(scenario="broken")
    assert message.startswith(f"scenario broken cannot be used: {path}")
    assert reason in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tickz: 3", "unknown key tickz; did you mean ticks?"),
        ("_target_: os.getcwd", "unknown key _target_"),
        ("pricing: {_target_: os.getcwd}", "unknown key pricing._target_"),
        ("pricing: linaer", f"{ONE_OF}; got 'linaer'; did"),
        ("pricing:", f"{ONE_OF}; got null"),
        (
            "defaults: [plane]",
            "scenario must be one of those that `celluler-sim list` shows, got 'plane'; did you mean",
        ),
        ("plugins: [no_such_module]", "plugins: module 'no_such_module' cannot be imported"),
    ],
)
def test_what_a_readable_file_may_not_say(write: Write, text: str, message: str):
    write("odd", text)
    assert refused(scenario="odd").startswith(message)


def test_a_file_that_is_no_text(write: Write):
    write("binary", "").write_bytes(b"\xff\xfe\x00")
    assert refused(scenario="binary").startswith("scenario binary cannot be used: ")


def test_a_scenario_by_path(write: Write, tmp_path: Path):
    (tmp_path / "a b").mkdir()
    path = tmp_path / "a b" / "plain.yaml"
    path.write_text("ticks: 3\nname: special")
    assert (compose(path).name, compose(path).ticks) == ("special", 3)
    assert compose(None, [f"scenario={path}"]).ticks == 3
    assert compose("plain").ticks == 1440, "the name is not taken by the path"


def test_the_first_folder_wins(write: Write, tmp_path: Path):
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "plain.yaml").write_text("ticks: 3")
    (tmp_path / "scenarios" / "second.yaml").write_text("ticks: 4")
    assert compose("plain").ticks == 1440
    assert compose("second").ticks == 4


def test_yaml_and_back(write: Write, tmp_path: Path):
    """What `to_yaml` writes is a scenario file that composes to the same scenario."""
    write("rich", "pricing: {name: linear, base_price: 55}\nvariants: {a: [pricing=fixed]}\nseed: 9")
    scenario = compose("rich", ["agents.consumers.behaviours={truthful: 1}"])
    kept = tmp_path / "kept.yaml"
    kept.write_text(scenario.to_yaml())
    assert compose(kept) == scenario
    assert Scenario.from_mapping(OmegaConf.to_container(OmegaConf.load(kept))) == scenario  # type: ignore[arg-type]


def test_hash_covers_what_tables_depend_on(write: Write):
    base = compose("plain")
    same = [replace(base, results_dir="x"), replace(base, progress=True), replace(base, description="x")]
    assert {other.config_hash for other in same} == {base.config_hash}
    differing = [["seed=2"], ["pricing.base_price=101"], ["pricing=fixed"], ["agents.consumers.count=901"], ["ticks=2"]]
    hashes = {compose("plain", overrides).config_hash for overrides in differing}
    assert len(hashes | {base.config_hash}) == len(differing) + 1


def test_variant_by_name(write: Write):
    write(
        "contest",
        "pricing: {base_price: 55, cycle: sawtooth}\nvariants: {fixed: [pricing=fixed], short: [ticks=2]}",
    )
    base = replace(compose("contest", ["market.min_quality=0.5"]), seed=7, replicate=3)
    fixed, short = base.variant("fixed"), base.variant("short")
    assert fixed.pricing == registered("pricing")["fixed"](base_price=55.0)
    assert fixed.market.min_quality == 0.5
    assert (fixed.name, fixed.seed, fixed.replicate, fixed.variants) == ("contest.fixed", 7, 3, {})
    assert (short.ticks, short.pricing) == (2, base.pricing)


def test_a_variant_keeps_the_command_line_as_far_as_its_rules_know(write: Write):
    """The command line's price level is kept under the variant's rule, its choice and its cycle are not."""
    write("contest", "variants: {fixed: [pricing=fixed]}")
    base = compose("contest", ["pricing=sliding_window", "pricing.base_price=80", "pricing.cycle=smooth"])
    assert base.variant("fixed").pricing == registered("pricing")["fixed"](base_price=80.0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=3", "variants.odd: a variant may not set seed=3"),
        ("scenario=plain", "variants.odd: a variant may not set scenario=plain"),
        ("hydra.run.dir=/tmp", "variants.odd: a variant may not set hydra.run.dir=/tmp"),
        ("pricing=linear,fixed", "variants.odd: a variant may not set pricing=linear,fixed"),
        ("pricing=foo", "variants.odd: pricing must be one of eip1559"),
        ("pricing.cylce=none", "variants.odd: unknown key pricing.cylce; did you mean pricing.cycle?"),
        ("nonsense", "variants.odd: 'nonsense' cannot be read"),
    ],
)
def test_what_a_variant_may_not_say(write: Write, override: str, message: str):
    write("contest", f"variants: {{odd: ['{override}']}}")
    with pytest.raises(ScenarioError) as caught:
        compose("contest").variant("odd")
    assert str(caught.value).startswith(message)


def test_a_variant_travels_with_its_scenario(write: Write):
    """Composed once, it needs neither files nor Hydra again: in another process they may be missing."""
    path = write("contest", "variants: {fixed: [pricing=fixed]}")
    base = compose("contest")
    fixed = base.variant("fixed")
    path.unlink()
    far = pickle.loads(pickle.dumps(base))  # noqa: S301 - our own
    assert far == base
    assert far.variant("fixed") == fixed
    assert replace(far, seed=4).variant("fixed") == replace(fixed, seed=4)


def test_unknown_variant(write: Write):
    write("contest", "variants: {smooth: [pricing.cycle=smooth]}")
    with pytest.raises(ScenarioError, match="variant 'smoth' is not in scenario contest; did you mean smooth"):
        compose("contest").variant("smoth")


OWN_RULE = (
    "from dataclasses import dataclass\n"
    "from celluler_sim.mechanisms.base import register\n"
    "@register('pricing', '{name}')\n"
    "@dataclass(frozen=True)\n"
    "class Own:\n"
    "    '''A rule of my own.'''\n"
    "    base_price: float = 3.0\n"
    "    window_seconds: float = 60.0\n"
)


def test_plugin_named_on_the_command_line(write: Write, tmp_path: Path):
    (tmp_path / "own_rule_a.py").write_text(OWN_RULE.format(name="own_a"))
    scenario = compose("plain", ["plugins=[own_rule_a]", "pricing=own_a", "pricing.base_price=4"])
    assert scenario.pricing.base_price == 4.0
    assert scenario.plugins == ("own_rule_a",)


def test_plugin_named_in_the_scenario(write: Write, tmp_path: Path):
    (tmp_path / "own_rule_b.py").write_text(OWN_RULE.format(name="own_b"))
    write("outside", "plugins: [own_rule_b]\npricing: own_b")
    assert compose("outside").pricing.base_price == 3.0


def test_plugin_that_fails(write: Write, tmp_path: Path):
    (tmp_path / "own_rule_c.py").write_text("1 / 0\n")
    message = "plugins: module 'own_rule_c' cannot be imported: ZeroDivisionError: division by zero"
    assert refused("plugins=[own_rule_c]") == message


def test_entry_points(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another package's rule is found by its entry point; a broken one is named where a rule is missing."""
    (tmp_path / "own_rule_d.py").write_text(OWN_RULE.format(name="own_d"))
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[celluler_sim.mechanisms]\nown = own_rule_d\nbad = own_rule_missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    choices.import_entry_points.cache_clear()
    try:
        assert compose("plain", ["pricing=own_d"]).pricing.base_price == 3.0
        assert "entry point bad is broken: own_rule_missing: ModuleNotFound" in refused("pricing=foo")
    finally:
        choices.import_entry_points.cache_clear()


def test_a_new_family_needs_no_more_than_its_default(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A family that conf/config.yaml names is composed, checked and kept like the others."""
    monkeypatch.setattr(
        choices, "base_choices", lambda: {"pricing": "fixed", "consumer_behaviour": "elastic", "scenario": "x"}
    )
    mapping = {"name": "x", "pricing": {"name": "fixed"}, "consumer_behaviour": {"name": "truthful"}}
    scenario = Scenario.from_mapping(mapping)
    assert type(scenario.mechanisms["consumer_behaviour"]) is registered("consumer_behaviour")["truthful"]
    with pytest.raises(ScenarioError, match=r"unknown key consumer_behaviour\.x"):
        Scenario.from_mapping(mapping | {"consumer_behaviour": {"name": "truthful", "x": 1}})
