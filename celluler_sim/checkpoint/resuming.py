"""Continue a run that was killed, interrupted or failed, as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from yaml import YAMLError  # type: ignore[import-untyped]

from celluler_sim.checkpoint import file, state, store
from celluler_sim.checkpoint.file import Content
from celluler_sim.checkpoint.store import Checkpoint
from celluler_sim.errors import ResultsError
from celluler_sim.run_folder import MANIFEST, SCENARIO, VARIANTS, RunFolder, one_line
from celluler_sim.trust import load_yaml, untold, within

if TYPE_CHECKING:
    from celluler_sim.results import Run
    from celluler_sim.scenario import Scenario

Bar = Literal["auto"] | bool


def resume(folder: str | Path, *, plugins: Sequence[str] = (), progress: Bar = False) -> Run:
    """Continue the run in a folder from its last checkpoint, or from its start, and return it.

    The tables become byte-identical with those of a run that was never stopped. Variants that were not begun are run;
    of a job with replicates, those that are missing. A run that has finished is only read.

    Parameters
    ----------
    folder
        Of the run.
    plugins
        Modules that the run's rules come from, if the folder names any: they are imported, which runs their code.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ResultsError
        The folder holds no run, one that still goes on, or a damaged one.
    ScenarioError
        The folder names modules that ``plugins`` does not.

    Examples
    --------
    >>> import tempfile
    >>> from celluler_sim import resume, simulate
    >>> with tempfile.TemporaryDirectory() as results:
    ...     done = simulate("compute_congestion", ["ticks=2"], folder=f"{results}/run")
    ...     resume(f"{results}/run").manifest["outcome"]
    'finished'
    """
    from celluler_sim.results import load_run

    folder = Path(folder)
    held = load_run(folder)
    scenario = scenario_of(held.config, plugins, folder / SCENARIO)
    if scenario.replicates > 1:
        from celluler_sim.experiments.replicates import run_replicates

        run_replicates(scenario, folder, progress=progress)  # those that are in its journal are not run again
        return load_run(folder)
    if held.manifest.get("outcome") != "finished":
        _continue(scenario, RunFolder.reopen(folder), progress=progress)
    for name, config in _planned(held.manifest, folder).items():
        home = within(folder, folder / VARIANTS / name)
        variant = scenario_of(config, plugins, folder / MANIFEST)
        if not (home / MANIFEST).is_file():
            _continue(variant, RunFolder(folder).variant(name), progress=progress)
        elif load_run(home).manifest.get("outcome") != "finished":
            _continue(variant, RunFolder.reopen(home), progress=progress)
    return load_run(folder)


def scenario_of(config: Mapping[str, Any], plugins: Sequence[str], where: Path) -> Scenario:
    """Return the scenario in a folder's configuration; modules it names must be among ``plugins``."""
    from celluler_sim.conf.choices import module_names
    from celluler_sim.scenario import Scenario

    untold(module_names(config.get("plugins")), plugins, where)
    return Scenario.from_mapping(config)


def _planned(manifest: Mapping[str, Any], folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the configuration of each variant that the run was to have, by name."""
    from celluler_sim.conf.files import NAME

    try:
        found = {name: load_yaml(text) for name, text in (manifest.get("variants") or {}).items()}
    except (AttributeError, TypeError, ValueError, RecursionError, YAMLError) as error:
        raise ResultsError(f"{folder / MANIFEST} must be a run's manifest, got {one_line(error)}") from error
    if not isinstance(found, Mapping) or not all(
        NAME.fullmatch(n) and isinstance(c, Mapping) for n, c in found.items()
    ):
        raise ResultsError(f"{folder / MANIFEST} must list variants by plain names, got others; restore the file")
    return dict(found)


def _continue(scenario: Scenario, home: RunFolder, *, progress: Bar) -> None:
    """Run what is left of one configuration, from its newest checkpoint whose tables are there, or from the start."""
    from celluler_sim.run import carry_on, run_one

    found = newest(home.path, scenario)
    if found is None:
        home.clear_tables()
        run_one(scenario, home, progress=progress)
        return
    checkpoint, content = found
    before = home.manifest.entries.get("resumed") if home.manifest is not None else None
    home.note("resumed", [*(before if isinstance(before, list) else []), {"at_tick": checkpoint.tick}])
    recorder = home.recorder_from(checkpoint.marks)
    try:
        economy = state.restore(content, checkpoint.path, scenario, recorder)
        carry_on(scenario, economy, recorder, home, progress=progress, before=checkpoint.seconds)
    except BaseException as error:
        recorder.abort()
        home.fail(error)
        raise


def newest(folder: Path, scenario: Scenario) -> tuple[Checkpoint, Content] | None:
    """Return the newest checkpoint of a run that is whole and that its streams cover, if there is one."""
    for checkpoint in store.checkpoints(folder, scenario.to_mapping()):
        if store.covered(folder, checkpoint):
            with suppress(ResultsError):  # damaged: the one before it will do
                return checkpoint, file.read(checkpoint.path)
    return None
