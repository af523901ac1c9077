"""Run a scenario: build the economy, step it, write its tables, summarise, run its variants."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.results import Run
    from celluler_sim.run_folder import RunFolder
    from celluler_sim.scenario import Scenario


def simulate(
    scenario: str | Path = "compute_congestion",
    overrides: Sequence[str] = (),
    *,
    seed: int | None = None,
    replicate: int | None = None,
    folder: str | Path | None = None,
    progress: Literal["auto"] | bool = False,
) -> Run:
    """Run a scenario and return its `Run`.

    Parameters
    ----------
    scenario
        Name of a scenario, or path of a YAML file.
    overrides
        As on the command line: ``["pricing=linear", "ticks=60"]``.
    seed, replicate
        Of the random world; the scenario's own if not given.
    folder
        Where to write the run; nothing is written if not given.
    progress
        Whether to show a progress bar.

    Raises
    ------
    CellulerError
        One line naming key, rule, value and remedy.

    Examples
    --------
    >>> run = simulate("compute_congestion", ["ticks=2", "pricing=linear"], seed=1)
    >>> len(run.tables["markets"])
    2
    """
    from celluler_sim.scenario import compose

    more = [f"{key}={value}" for key, value in (("seed", seed), ("replicate", replicate)) if value is not None]
    path = None if folder is None else Path(folder)
    return run_scenario(compose(scenario, [*overrides, *more]), path, progress=progress)


def run_scenario(scenario: Scenario, folder: Path | None = None, *, progress: Literal["auto"] | bool = False) -> Run:
    """Run a composed scenario, then its variants in the same world; see `simulate`."""
    from celluler_sim.run_folder import RunFolder

    home = None if folder is None else RunFolder.create(folder)
    run = _run_one(scenario, home, progress=progress)
    for name in scenario.variants:
        sub = None if home is None else home.variant(name)
        run.variants[name] = _run_one(scenario.variant(name), sub, progress=progress)
    return run


def _run_one(scenario: Scenario, home: RunFolder | None, *, progress: Literal["auto"] | bool) -> Run:
    """Run one configuration: its tables go to its folder while it runs, its figures at the end."""
    from celluler_sim.economy import Economy
    from celluler_sim.progress import Progress
    from celluler_sim.recorder import Recorder
    from celluler_sim.results import Run
    from celluler_sim.run_folder import Manifest

    config = scenario.to_mapping()
    economy: Economy | None = None
    try:
        manifest = Manifest.begin(config, seed=scenario.seed, replicate=scenario.replicate)
        if home is not None:
            home.start(config, seed=scenario.seed, replicate=scenario.replicate)
            manifest = home.manifest or manifest
        economy = Economy(scenario)
        recorder = Recorder(None) if home is None else home.recorder()
        with recorder:
            economy.record_to(recorder)
            begun = time.perf_counter()
            with Progress(scenario.ticks, scenario.tick_seconds, enabled=progress) as bar:
                for _ in range(scenario.ticks):
                    economy.step()
                    bar.advance()
            economy.close()
            seconds = time.perf_counter() - begun
        run = Run(config=config, manifest={}, summary={}, source=recorder if home is None else home.path)
        run.summary.update(_summary(run, economy, seconds))
        if home is not None:
            home.finish(run.summary, economy.streams.roots)
        else:
            manifest.add_streams(economy.streams.roots)
            manifest.end()
        run.manifest.update(manifest.entries)
    except BaseException as error:
        if home is not None:
            _give_up(home, error, ticks=0 if economy is None else economy.steps)
        raise
    return run


def _give_up(home: RunFolder, error: BaseException, *, ticks: int) -> None:
    """Leave a folder that says why its run ended, or no folder at all where not a tick was done."""
    if ticks > 1:
        home.fail(error)
    else:
        home.discard()


def _summary(run: Run, economy: Economy, seconds: float) -> dict[str, Any]:
    from celluler_sim.analysis.summary import summarise

    figures: dict[str, Any] = dict(summarise(run.tables, run.config, economy.setup.workload.facts()))
    agents = economy.providers.size + economy.consumers.size
    figures["simulation_seconds"] = seconds
    figures["agent_steps_per_second"] = agents * economy.setup.ticks / seconds
    return figures
