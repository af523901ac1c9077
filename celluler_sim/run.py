"""Run a scenario: build the economy, step it, write its tables, summarise, run its variants."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.recorder import Recorder
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


def run_scenario(
    scenario: Scenario,
    folder: Path | None = None,
    *,
    progress: Literal["auto"] | bool = False,
    watch: Callable[[Economy], None] | None = None,
) -> Run:
    """Run a composed scenario, then its variants in the same world; see `simulate`.

    ``watch`` is called with the economy after every tick; what it raises ends the run.
    """
    from celluler_sim.run_folder import RunFolder

    home = None if folder is None else RunFolder.create(folder)
    if home is not None:
        home.planned = {name: scenario.variant(name).to_mapping() for name in scenario.variants}
    run = run_one(scenario, home, progress=progress, watch=watch)
    for name in scenario.variants:
        sub = None if home is None else home.variant(name)
        run.variants[name] = run_one(scenario.variant(name), sub, progress=progress, watch=watch)
    return run


def run_one(
    scenario: Scenario,
    home: RunFolder | None,
    *,
    progress: Literal["auto"] | bool,
    watch: Callable[[Economy], None] | None = None,
) -> Run:
    """Run one configuration: its tables go to its folder while it runs, its figures at the end."""
    from celluler_sim.economy import Economy
    from celluler_sim.recorder import Recorder

    economy: Economy | None = None
    try:
        if home is not None:
            home.start(scenario.to_mapping(), seed=scenario.seed, replicate=scenario.replicate)
        economy = Economy(scenario)
        recorder = Recorder(None) if home is None else home.recorder(keep=scenario.checkpoint_every > 0)
        economy.record_to(recorder)
        return carry_on(scenario, economy, recorder, home, progress=progress, watch=watch)
    except BaseException as error:
        if home is not None:
            _give_up(home, error, ticks=0 if economy is None else economy.steps)
        raise


def carry_on(
    scenario: Scenario,
    economy: Economy,
    recorder: Recorder,
    home: RunFolder | None,
    *,
    progress: Literal["auto"] | bool,
    before: float = 0.0,
    watch: Callable[[Economy], None] | None = None,
) -> Run:
    """Run an economy, new or taken from a checkpoint, to the scenario's last tick and complete its folder.

    ``before`` is how long the run had taken until then, s.
    """
    from celluler_sim.results import Run
    from celluler_sim.run_folder import Manifest

    config, ticks = scenario.to_mapping(), scenario.ticks - (0 if before else economy.steps)
    manifest = (home and home.manifest) or Manifest.begin(config, seed=scenario.seed, replicate=scenario.replicate)
    manifest.begun -= before
    with recorder:
        stepped = _step_to_end(scenario, economy, recorder, home, progress=progress, before=before, watch=watch)
    seconds = before + stepped
    run = Run(config=config, manifest={}, summary={}, source=recorder if home is None else home.path)
    run.summary.update(_summary(run, economy, seconds, ticks))
    if home is not None:
        home.finish(run.summary, economy.streams.roots)
        recorder.release()
    else:
        manifest.add_streams(economy.streams.roots)
        manifest.end()
    run.manifest.update(manifest.entries)
    return run


def _step_to_end(
    scenario: Scenario,
    economy: Economy,
    recorder: Recorder,
    home: RunFolder | None,
    *,
    progress: Literal["auto"] | bool,
    before: float,
    watch: Callable[[Economy], None] | None,
) -> float:
    """Step an economy to the last tick, close it, and return how long that took, s."""
    from celluler_sim.progress import Progress

    begun, every = time.perf_counter(), scenario.checkpoint_every if home is not None else 0
    with Progress(scenario.ticks - economy.steps, scenario.tick_seconds, enabled=progress) as bar:
        while economy.steps < scenario.ticks:
            economy.step()
            bar.advance()
            if watch is not None:
                watch(economy)
            if home is not None and every and economy.steps % every == 0:
                from celluler_sim.checkpoint.store import write

                write(home.path, economy, scenario, recorder, before + time.perf_counter() - begun)
    economy.close()
    return time.perf_counter() - begun


def _give_up(home: RunFolder, error: BaseException, *, ticks: int) -> None:
    """Leave a folder that says why its run ended, or no folder at all where not a tick was done."""
    if ticks > 1:
        home.fail(error)
    else:
        home.discard()


def _summary(run: Run, economy: Economy, seconds: float, ticks: int) -> dict[str, Any]:
    from celluler_sim.analysis.summary import summarise

    figures: dict[str, Any] = dict(summarise(run.tables, run.config, economy.setup.workload.facts()))
    agents = economy.providers.size + economy.consumers.size
    figures["simulation_seconds"] = seconds
    figures["agent_steps_per_second"] = agents * ticks / seconds
    return figures
