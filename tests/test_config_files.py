"""How scenario files are read, and what the help imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from omegaconf import OmegaConf

from celluler_sim.conf import choices
from celluler_sim.conf.files import _Loader, directories
from celluler_sim.mechanisms.base import registered

NUMBERS = ["1e5", "1.", "+1e-3", ".5", ".inf", "-.inf", "1_000", "1_0.5", "0x1f", "010", "-1", "1e", "1.2.3", "."]
WORDS = ["2020-01-01", "2020-01-01 10:00:00", "yes", "off", "~", "null", "'7'", "12e5x", "", "[1, [2, a]]", "{a: 1e2}"]


@pytest.mark.parametrize("text", NUMBERS + WORDS)
def test_a_value_is_read_as_hydra_reads_its_own_files(text):
    ours = yaml.load(f"key: {text}", _Loader)  # noqa: S506 - a safe loader
    theirs = OmegaConf.to_container(OmegaConf.create(f"key: {text}"))
    assert repr(ours) == repr(theirs)


def test_shipped_scenarios_are_read_as_hydra_would():
    files = [path for folder in directories() for path in folder.glob("*.yaml")]
    assert len(files) >= 19
    for path in files:
        ours = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
        assert ours == OmegaConf.to_container(OmegaConf.load(path), resolve=False), path


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "a: {b: 1, b: 1}"])
def test_a_key_may_stand_once(text):
    with pytest.raises(yaml.constructor.ConstructorError, match="duplicate key"):
        yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def test_importing_some_families_registers_all_their_rules():
    """What the help imports for the families it names is everything there is in them."""
    choices.import_mechanisms()
    families = choices.families()[:4]
    code = (
        "from celluler_sim.conf import choices; from celluler_sim.mechanisms.base import registered\n"
        f"choices.import_mechanisms(*{families!r}); print([sorted(registered(f)) for f in {families!r}])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    ours = [sorted(n for n, c in registered(f).items() if c.__module__.startswith("celluler_sim.")) for f in families]
    assert found.strip() == repr(ours)
