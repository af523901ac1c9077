"""A scenario: everything a run depends on, typed, checked and composed from files and overrides by Hydra."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast

from omegaconf import OmegaConf

from celluler_sim.agents.config import ConsumerConfig, ProviderConfig
from celluler_sim.audit.config import AuditRules, Claim, Disturbance
from celluler_sim.conf import choices, composition, files
from celluler_sim.conf.choices import import_mechanisms
from celluler_sim.conf.overrides import with_variant
from celluler_sim.config_build import build, did_you_mean, keys, show, to_mapping, unknown_key
from celluler_sim.consensus.base import Consensus
from celluler_sim.errors import ScenarioError, require
from celluler_sim.experiments.config import SensitivityConfig
from celluler_sim.experiments.executors import ExecutorRule
from celluler_sim.mechanisms.base import Allocation, Pricing, registered
from celluler_sim.workloads.base import Workload

__all__ = ["AgentsConfig", "MarketRules", "RecordRules", "Scenario", "Source", "compose", "import_mechanisms"]

NO_KEY: Mapping[str, bool] = {"key": False}
PRESENTATION = (
    "name", "description", "results_dir", "progress", "variants", "checkpoint_every", "executor", "together",
    "sensitivity", "claims", "audit",
)  # do not change what a run computes  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MarketRules:
    """What is traded, in which unit, and who may offer it."""

    name: str = "compute"  # of the market, in tables
    unit: str = "FLOP-seconds"  # in which work is measured
    unit_size: float = 1.0e18  # how many of them make a unit; prices are PRANA per unit
    min_quality: float = 0.8  # offers below this quality are not admitted, [0, 1]
    split: bool = True  # whether several providers may serve one request together

    def __post_init__(self) -> None:
        """Check ranges."""
        require("market.unit_size", self.unit_size, above=0)
        require("market.min_quality", self.min_quality, at_least=0, at_most=1)


@dataclass(frozen=True, kw_only=True)
class RecordRules:
    """How much is written down."""

    agents_every: int = 60  # ticks between two samples of every agent; 0: never
    optimum_every: int = 10  # ticks between two comparisons with the welfare optimum; 0: never
    transfers: bool = True  # whether every movement of PRANA gets its row

    def __post_init__(self) -> None:
        """Check ranges."""
        require("record.agents_every", self.agents_every, at_least=0)
        require("record.optimum_every", self.optimum_every, at_least=0)


@dataclass(frozen=True, kw_only=True)
class AgentsConfig:
    """Who takes part."""

    providers: ProviderConfig = field(default_factory=ProviderConfig)
    consumers: ConsumerConfig = field(default_factory=ConsumerConfig)

    def __post_init__(self) -> None:
        """Check that every behaviour named exists."""
        for f in keys(type(self)):
            known = registered(f"{f.name.removesuffix('s')}_behaviour")
            for name in getattr(getattr(self, f.name), "behaviours", ()):
                if known and name not in known:
                    hint = did_you_mean(name, known)
                    key = f"agents.{f.name}.behaviours"
                    raise ScenarioError(f"{key} must name some of {', '.join(known)}; got {show(name)}{hint}")


@dataclass(frozen=True)
class Source:
    """What a scenario was composed from, so that it can be composed again with a difference."""

    overrides: tuple[str, ...] = ()
    variants: dict[tuple[str, tuple[str, ...]], Scenario] = field(default_factory=dict)  # composed already


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What to run. `mechanisms` holds the chosen rule of every family; the usual ones have a property as well."""

    name: str  # the results of its runs are kept under this name
    description: str = ""  # one line
    seed: int = 1  # root of every random stream
    replicate: int = 0  # number of the random world: same number, same world, whatever the rules
    replicates: int = 1  # worlds to run, numbered from `replicate`; of several, figures are kept and no tables
    until_width: dict[str, float] = field(default_factory=dict)  # figure: 95 % interval narrow enough to stop early
    replicate_tables: bool = False  # whether every replicate's tables are kept as well
    worlds: Literal["distinct", "common"] = (
        "distinct"  # of a sweep's jobs with replicates: each its own, or all the same
    )
    together: tuple[str, ...] = ()  # keys of a sweep whose values go pairwise instead of in every combination
    ticks: int = 1440  # length of the run
    tick_seconds: float = 60.0  # length of a tick, s
    results_dir: str = "results"  # folder under which runs are kept
    progress: Literal["auto"] | bool = "auto"  # whether to show a bar; auto: on a terminal
    market: MarketRules = field(default_factory=MarketRules)
    agents: AgentsConfig = field(default_factory=AgentsConfig)
    record: RecordRules = field(default_factory=RecordRules)
    checkpoint_every: int = 0  # ticks between two checkpoints, from which `resume` and `branch` go on; 0: never
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)  # name: overrides; run on the same world
    sensitivity: SensitivityConfig = field(default_factory=SensitivityConfig)
    claims: dict[str, Claim] = field(default_factory=dict)  # name: conclusion; `audit` puts them to the test
    audit: AuditRules = field(default_factory=AuditRules)
    disturb: Disturbance = field(default_factory=Disturbance)
    plugins: tuple[str, ...] = ()  # modules imported before mechanisms are looked up
    mechanisms: Mapping[str, Any] = field(default_factory=dict, metadata=NO_KEY)
    source: Source = field(default_factory=Source, metadata=NO_KEY, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check ranges and names."""
        require("seed", self.seed, at_least=0)
        require("replicate", self.replicate, at_least=0)
        require("replicates", self.replicates, at_least=1)
        for name, width in self.until_width.items():
            require(f"until_width.{name}", width, above=0)
        require("ticks", self.ticks, at_least=1)
        require("checkpoint_every", self.checkpoint_every, at_least=0)
        require("tick_seconds", self.tick_seconds, above=0, unit="s")
        for key, name in (("name", self.name), *((f"variants.{name}", name) for name in self.variants)):
            if not files.NAME.fullmatch(name):
                raise ScenarioError(f"{key} must be made of letters, digits, '_', '-' and '.', got {show(name)}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], source: Source | None = None) -> Scenario:
        """Build a scenario from a complete plain mapping, as composed or as kept in a run's folder.

        Raises
        ------
        ScenarioError
            An unknown key, a missing one, a value of the wrong type or out of range, an unknown rule.
        """
        families = choices.families()
        _check_top(mapping, [*(f.name for f in keys(cls)), *families])
        choices.import_plugins(choices.module_names(mapping.get("plugins")))
        rules = {family: _rule(family, mapping.get(family)) for family in families}
        own = {key: value for key, value in mapping.items() if key not in families}
        return build(cls, own, given={"mechanisms": rules, "source": source or Source()})

    @classmethod
    def composed(cls, mapping: Mapping[str, Any], overrides: Sequence[str]) -> Scenario:
        """Build a scenario from a mapping, and remember the overrides by which it was composed."""
        return cls.from_mapping(mapping, Source(tuple(overrides)))

    def to_mapping(self) -> dict[str, Any]:
        """Return the scenario as plain values: the inverse of `from_mapping`."""
        own = to_mapping(self)
        rules = {family: {"name": rule.name, **to_mapping(rule)} for family, rule in self.mechanisms.items()}
        before = {key: own.pop(key) for key in list(own)[: list(own).index("agents")]}
        return before | rules | own

    def to_yaml(self) -> str:
        """Return the composed configuration as YAML; ``scenario=FILE`` takes it back."""
        return OmegaConf.to_yaml(OmegaConf.create(self.to_mapping()))

    @property
    def config_hash(self) -> str:
        """SHA-256 of all keys that a run's tables depend on."""
        mapping = {key: value for key, value in self.to_mapping().items() if key not in PRESENTATION}
        return sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()

    def variant(self, name: str) -> Scenario:
        """Return the scenario with the overrides of one of its variants, in the same random world.

        Overrides that this scenario was composed with still apply, as far as the variant's rules know them.
        """
        if name not in self.variants:
            hint = did_you_mean(name, self.variants) or f"; there are {', '.join(self.variants) or 'none'}"
            raise ScenarioError(f"variant {show(name)} is not in scenario {self.name}{hint}")
        known, key = self.source.variants, (name, self.variants[name])
        try:
            known[key] = known.get(key) or compose(None, with_variant(self.source.overrides, self.variants[name]))
        except ScenarioError as error:
            raise ScenarioError(f"variants.{name}: {error}") from error
        kept: dict[str, Any] = {key: getattr(self, key) for key in ("seed", "replicate", "results_dir", "progress")}
        return replace(known[key], name=f"{self.name}.{name}", variants={}, **kept)

    @property
    def pricing(self) -> Pricing:
        """The rule that quotes prices."""
        return cast("Pricing", self.mechanisms["pricing"])

    @property
    def allocation(self) -> Allocation:
        """The rule that decides who gets how much from whom."""
        return cast("Allocation", self.mechanisms["allocation"])

    @property
    def consensus(self) -> Consensus:
        """The rule that orders transactions."""
        return cast("Consensus", self.mechanisms["consensus"])

    @property
    def executor(self) -> ExecutorRule:
        """Where replicates run."""
        return cast("ExecutorRule", self.mechanisms["executor"])

    @property
    def workload(self) -> Workload:
        """The source of jobs."""
        return cast("Workload", self.mechanisms["workload"])


def compose(scenario: str | Path | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """Compose a scenario by name, or from a file, with overrides as on the command line.

    Parameters
    ----------
    scenario
        A name that `celluler-sim list` shows, or the path of a YAML file; the default scenario where it is None.
    overrides
        ``["pricing=linear", "pricing.base_price=80"]``

    Raises
    ------
    ScenarioError
        One line that names the key, the value and what is allowed.
    """
    given = [*([] if scenario is None else [f"scenario={scenario}"]), *overrides]
    return Scenario.composed(composition.compose(given, Scenario).mapping, given)


def _check_top(mapping: Mapping[str, Any], known: list[str]) -> None:
    """Refuse an unknown key at the top; where nothing there is near, look for the same name further down."""
    for name in mapping:
        if name not in known:
            below = [f"{key}.{leaf}" for key, value in mapping.items() if isinstance(value, dict) for leaf in value]
            deeper = [path for path in below if path.rpartition(".")[2] == name]
            raise (
                unknown_key(name, known, "")
                if not deeper
                else ScenarioError(f"unknown key {name}; did you mean {deeper[0]}?")
            )


def _rule(family: str, mapping: Any) -> Any:
    """Return the mechanism that a family's mapping names and configures."""
    if not isinstance(mapping, Mapping):
        names = ", ".join(registered(family))
        raise ScenarioError(f"{family} must be one of {names}; got {show(mapping)}")
    cls = choices.rule(family, mapping.get("name"))
    parameters = {key: value for key, value in mapping.items() if key != "name"}
    known = choices.rule_keys(cls)
    for name in parameters:
        if name not in known:
            raise unknown_key(name, known, family, f"{family}={mapping['name']}")
    return build(cls, parameters, family)
