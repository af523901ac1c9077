"""``celluler-sim --help``: one screen, from the template that Hydra knows as well (conf/hydra/help/celluler.yaml)."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from string import Template

from omegaconf import OmegaConf

from celluler_sim.conf import choices, files
from celluler_sim.mechanisms.base import registered

SHOWN = 4  # families whose rules are named; of the others only the family is
TEMPLATE = Path(files.__file__).parent / "hydra" / "help" / "celluler.yaml"


def show_help() -> int:
    """Print the help; return the exit code. Hydra composes nothing for it: a broken scenario cannot hide it."""
    config = OmegaConf.create({"hydra": {"help": OmegaConf.load(TEMPLATE)}})
    print(Template(config.hydra.help.template).substitute(APP_CONFIG_GROUPS=_groups()))
    return 0


def _groups() -> str:
    """Return the options of the groups that most runs choose from, and the names of the others."""
    families = choices.families()
    choices.import_mechanisms(*families[:SHOWN])
    scenarios = [name for name, scenario in files.find(families).items() if not scenario.error]
    options = {"scenario": scenarios, **{family: list(registered(family)) for family in families[:SHOWN]}}
    options |= {"and, see `list NAME`": [*families[SHOWN:]]}
    width = min(shutil.get_terminal_size().columns, 110)
    lines = [
        textwrap.fill(", ".join(names), width, initial_indent=f"  {group}: ", subsequent_indent="    ")
        for group, names in options.items()
    ]
    return "\n".join(lines) + "\n"
