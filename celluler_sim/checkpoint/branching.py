"""Continue one state of a run under other rules."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from celluler_sim.checkpoint import file, state, store
from celluler_sim.checkpoint.resuming import scenario_of
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.institutions.base import FAMILIES
from celluler_sim.run_folder import SCENARIO, RunFolder, to_yaml, write_text
from celluler_sim.trust import within

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.results import Run
    from celluler_sim.scenario import Scenario

Policies = Mapping[str, Sequence[str]]

BRANCHES = "branches"
UNCHANGED = "unchanged"
PROVIDERS = ("markup_response", "reprice_per_half_hour", "exit_after_s", "entry_per_day", "hurdle")
CONSUMERS = ("value_median", "value_cv", "patience_s", "deadline_stretch", "min_share", "postpone_s")
MAY_CHANGE = (
    "market.min_quality",
    "market.split",
    "ticks",
    "record",
    "checkpoint_every",
    *(f"agents.providers.{name}" for name in PROVIDERS),
    *(f"agents.consumers.{name}" for name in CONSUMERS),
)
"""Keys, and groups of keys, that are asked for tick by tick and that no state was made from."""

BUILT_IN = ("workload", "consensus", "executor", *FAMILIES)
"""Families whose rules a state was made from."""

IGNORED = ("name", "description", "results_dir", "progress", "variants", "plugins", "executor", "together")


def branch(
    folder: str | Path,
    at: int,
    overrides: Sequence[str] | Policies = (),
    *,
    to: str | Path | None = None,
    plugins: Sequence[str] = (),
    progress: Literal["auto"] | bool = False,
) -> dict[str, Run]:
    """Continue the state of a run after ``at`` ticks under one or several policies, each into a run folder of its own.

    The state comes from the run's last checkpoint until then, or from its start, and is stepped forward under the
    run's own rules. All policies meet the same state, jobs and luck. A branch's tables begin at tick ``at``; its
    manifest says what it branches off.

    Parameters
    ----------
    folder
        Of the run; it is only read.
    at
        Ticks done before the policies part.
    overrides
        As on the command line; ``["pricing=linear,fixed"]`` is two policies. Or a mapping from names to overrides.
    to
        Folder for the branches; ``branches`` in the run's folder if not given.
    plugins
        Modules that rules come from, see `resume`.
    progress
        Whether to show a progress bar.

    Returns
    -------
    dict
        The runs by policy: its name, or its overrides as text.

    Raises
    ------
    ScenarioError
        An override that cannot change in the middle of a run; it says which can.
    ResultsError
        The folder holds no run, or a branch is there already.
    """
    from celluler_sim.results import load_run

    folder = Path(folder)
    held = load_run(folder)
    base = scenario_of(held.config, plugins, folder / SCENARIO)
    if not 0 <= at <= base.ticks:
        raise ScenarioError(f"at must be >= 0 and <= {base.ticks}, the ticks of the run, got {at}")
    with tempfile.TemporaryDirectory() as scratch:
        path, common = Path(scratch) / SCENARIO, Path(scratch) / "state.ckpt"
        write_text(path, to_yaml(held.config))  # under a name that needs no quoting
        policies = _policies(path, overrides, plugins)
        scenarios = {name: _branched(base, path, given, at, plugins) for name, given in policies.items()}
        home = within(folder, folder / BRANCHES) if to is None else Path(to)
        homes = {name: RunFolder.create(home / f"{at}_{_slug(name)}") for name in scenarios}
        state.save(common, _at(base, folder, at), base, {})
        branches = {}
        for name, scenario in scenarios.items():
            homes[name].start(scenario.to_mapping(), seed=scenario.seed, replicate=scenario.replicate)
            homes[name].note("branch", _origin(held, folder, at, policies[name]))
            branches[name] = _run(base, scenario, homes[name], common, progress=progress)
        return branches


def _policies(path: Path, overrides: Sequence[str] | Policies, plugins: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return each policy's overrides by its name."""
    from celluler_sim.conf import composition
    from celluler_sim.conf.overrides import prepare
    from celluler_sim.scenario import Scenario

    if isinstance(overrides, Mapping):
        return {name: tuple(given) for name, given in overrides.items()}
    kept = [text for text in overrides if text.partition("=")[0].lstrip("+") != "plugins"]
    request = prepare([f"scenario={path}", *_told(plugins), *kept], Scenario)
    jobs = composition.jobs(request) if request.sweeps else [((), tuple(request.given))]
    own = [tuple(text for text in texts if not text.startswith(("scenario=", "plugins="))) for _, texts in jobs]
    plain = [tuple(text.lstrip("+") for text in texts) for texts in own]
    return {" ".join(texts) or UNCHANGED: texts for texts in plain}


def _told(plugins: Sequence[str]) -> list[str]:
    return [f"plugins=[{','.join(plugins)}]"] if plugins else []


def _slug(name: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", name).strip("._")[:100] or UNCHANGED


def _branched(base: Scenario, path: Path, overrides: Sequence[str], at: int, plugins: Sequence[str]) -> Scenario:
    """Return the run's scenario with a policy's overrides; refuse what cannot change in the middle of a run."""
    from celluler_sim.scenario import compose

    composed = compose(path, [*_told(plugins), "results_dir=results", *overrides])
    scenario = replace(composed, variants={}, results_dir=base.results_dir)
    old, new = _leaves(base.to_mapping()), _leaves(scenario.to_mapping())
    differing = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    for key in sorted(differing, key=lambda key: (not key.endswith(".name"), key)):
        if not _may_change(key, base):
            raise ScenarioError(
                f"{key} must not change in the middle of a run, got {new.get(key, 'none')}; what may change: "
                f"{', '.join(_changeable(base))}"
            )
    if scenario.ticks <= at:
        raise ScenarioError(f"ticks must be > {at}, where the branch begins, got {scenario.ticks}")
    return scenario


def _leaves(mapping: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the values of a nested mapping by dotted key."""
    found: dict[str, Any] = {}
    for name, value in mapping.items():
        key = f"{path}.{name}" if path else str(name)
        found |= _leaves(value, key) if isinstance(value, Mapping) and value else {key: value}
    return found


def _changeable(base: Scenario) -> list[str]:
    """Return what may change in a run of this scenario: rules that only answer questions, and `MAY_CHANGE`."""
    rules = [name for name in base.mechanisms if name not in BUILT_IN]
    named = [f"{name}.{key}" for name in FAMILIES for key in getattr(base.mechanisms[name], "may_change", ())]
    return [*rules, *MAY_CHANGE, *named]


def _may_change(key: str, base: Scenario) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in (*_changeable(base), *IGNORED))


def _at(base: Scenario, folder: Path, at: int) -> Economy:
    """Return the run's economy after ``at`` ticks: from the nearest checkpoint before, then stepped forward."""
    from celluler_sim.economy import Economy

    economy = None
    for checkpoint in store.checkpoints(folder, base.to_mapping()):
        if economy is None and checkpoint.tick <= at:
            with suppress(ResultsError):  # damaged: the one before it will do
                economy = state.restore(file.read(checkpoint.path), checkpoint.path, base, state.silent())
    if economy is None:
        economy = Economy(base)
        economy.record_to(state.silent())
    while economy.steps < at:
        economy.step()
    return economy


def _origin(held: Run, folder: Path, at: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what a branch's manifest says about where it comes from."""
    known = {name: held.manifest.get(name) for name in ("config_sha256", "started")}
    return {"folder": str(folder), "at_tick": at, "overrides": list(overrides), **known}


def _run(
    base: Scenario, scenario: Scenario, home: RunFolder, common: Path, *, progress: Literal["auto"] | bool
) -> Run:  # fmt: skip
    """Run one policy from the common state on."""
    from celluler_sim.run import carry_on

    try:
        recorder = home.recorder(keep=scenario.checkpoint_every > 0)
        economy = state.restore(file.read(common), common, scenario, recorder)
        adopt(economy, base, scenario)
        if scenario.checkpoint_every:
            store.write(home.path, economy, scenario, recorder, 0.0)
        return carry_on(scenario, economy, recorder, home, progress=progress)
    except BaseException as error:
        home.fail(error)
        raise


def adopt(economy: Economy, base: Scenario, scenario: Scenario) -> None:
    """Put a policy into an economy that was built under ``base``: what was copied from the old rules is renewed.

    Whatever the economy refers to itself it has got already, under the same names. Rules that governance has changed
    meanwhile stay changed, unless the policy is about them.
    """
    changed = {name: rule for name, rule in scenario.mechanisms.items() if rule != base.mechanisms[name]}
    if economy.setup is not scenario:
        economy.setup = replace(scenario, mechanisms={**economy.setup.mechanisms, **changed})
    market = economy.market
    if "pricing" in changed:
        market.pricing, market.window.seconds = scenario.pricing, scenario.pricing.window_seconds
    if "allocation" in changed:
        market.allocation = scenario.allocation
    if scenario.market != base.market:
        market.min_quality, market.split = scenario.market.min_quality, scenario.market.split
    if scenario.record != base.record:
        economy.ledger.journal = [] if scenario.record.transfers else None
