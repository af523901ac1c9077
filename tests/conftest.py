"""What every test leaves as it found it."""

from __future__ import annotations

import sys

import pytest

from celluler_sim.conf import choices
from celluler_sim.mechanisms import base
from celluler_sim.scenario import import_mechanisms


@pytest.fixture(autouse=True)
def forgotten_plugins():
    """A rule that a test registers is forgotten when it ends, by Hydra and by Python too."""
    import_mechanisms()
    known = {family: dict(rules) for family, rules in base._REGISTRY.items()}
    registry, path = base._REGISTRY, [*sys.path]
    yield
    sys.path[:] = path  # a plugin's folder is searched from then on
    for family, rules in list(registry.items()):
        for name in rules.keys() - known.get(family, {}).keys():
            _forget(family, name, rules.pop(name).__module__)


def _forget(family: str, name: str, module: str) -> None:
    from hydra.core.config_store import ConfigStore

    choices._store_rule.cache_clear()  # or the same class, registered again, would not be stored again
    ConfigStore.instance().repo.get(family, {}).pop(f"{name}.yaml", None)
    if module.partition(".")[0] not in ("celluler_sim", "tests", "__main__"):
        sys.modules.pop(module, None)
