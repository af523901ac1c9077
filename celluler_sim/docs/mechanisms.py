"""The page of all mechanisms and of the laws they claim."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from celluler_sim.conf import choices
from celluler_sim.config_build import describe
from celluler_sim.docs.markdown import anchor, code, table
from celluler_sim.docs.markdown import page as page_of
from celluler_sim.mechanisms.base import When, registered, summary_line
from celluler_sim.mechanisms.law_checks import LAW_CHECKS
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.pricing_law_checks import PRICING_LAW_CHECKS
from celluler_sim.mechanisms.sharing_law_checks import SHARING_LAW_CHECKS
from celluler_sim.mechanisms.trust_law_checks import TRUST_LAW_CHECKS

INTRODUCTION = (
    "A mechanism is one rule of the market, and one class. Its parameters are keys of the configuration, explained in "
    "[keys](keys.md). `celluler-sim list` prints the same lists on the terminal."
)
CLAIMS = (
    "A law is a property that a rule claims. The law suite in `tests/mechanisms/` takes every rule of pricing and "
    "allocation and tries to break each of its claims with generated markets. An empty cell means that the rule does "
    "not claim the law. That is information, not a gap: under `proportional` asking for more pays, so it is not "
    "strategy-proof."
)
DOMAINS = (
    "The last column says how the suite tries to break the law. A *domain* is where a law is defined; the check first "
    "takes the generated book there. `divisible`: no request has a minimum, each may be served by several offers, and "
    "there are no further resources. `splittable`: the same, but minimums stay."
)
FAMILIES: Mapping[str, str] = {
    "pricing": "What each offer costs, before anything is allocated. Chosen with `pricing=NAME`.",
    "allocation": "Who gets how much from whom. Chosen with `allocation=NAME`.",
    "sharing": (
        "What each member of a pool gets of what all have earned together. What the members bring, which unions they "
        "form and what every coalition of them would be worth is the game, not a parameter."
    ),
    "consensus": "In which order transactions reach the market, and when. Chosen with `consensus=NAME`.",
    "workload": "Where jobs, and sometimes providers, come from. Chosen with `workload=NAME`.",
    "consumer_behaviour": (
        "When consumers ask and what they bid. Mixed by shares, as in "
        "`'agents.consumers.behaviours={truthful: 0.7, strategic_timing: 0.3}'`."
    ),
    "provider_behaviour": (
        "What providers ask. Mixed by shares, as in `'agents.providers.behaviours={truthful: 0.5, markup: 0.5}'`."
    ),
    "reputation": "How outcomes and ratings become scores.",
    "penalty": "What an offence takes off a score and of a stake.",
    "verification": "Who is suspect, going by what was delivered and reported.",
    "screens": "Who is suspect, going by bids and trades.",
    "voting": "Whether a proposal passes.",
}


def own(family: str) -> dict[str, type]:
    """Return the mechanisms of one family that this package ships, by name."""
    return {name: cls for name, cls in registered(family).items() if cls.__module__.startswith("celluler_sim.")}


def page() -> str:
    """Return the page, family by family, then the laws."""
    parts = [part for family in choices.all_families() if own(family) for part in _family(family)]
    return page_of("Mechanisms and laws", INTRODUCTION, CLAIMS, *parts, *_laws())


def _family(family: str) -> list[str]:
    rules, default = own(family), choices.base_choices().get(family)
    said = FAMILIES.get(family, "") + (f" The default is `{default}`." if default else "")
    rows = [(code(name), summary_line(cls), _parameters(family, name, cls)) for name, cls in rules.items()]
    parts = [f"## {family}", said, table(["name", "what it does", "parameters"], rows)]
    laws = [law for law in Law if any(law in claimed(cls) for cls in rules.values())]
    if laws:
        head = ["claims", *(words(law) for law in laws)]
        parts.append(table(head, ([code(n), *(claimed(c).get(law, "") for law in laws)] for n, c in rules.items())))
    return parts


def _parameters(family: str, name: str, cls: type) -> str:
    names = [row.key.partition(".")[2] for row in describe(cls, family)]
    if family not in choices.families():  # no group of the configuration: its keys stand where the rule is used
        return ", ".join(map(code, names)) or "none"
    return f"[{', '.join(names)}](keys.md#{anchor(f'{family}: {name}')})" if names else "none"


def claimed(cls: type) -> dict[Law, str]:
    """Return what to say of each law that a class claims: yes, or on which condition."""
    always: Iterable[Law] = getattr(cls, "claims", ())
    sometimes: Mapping[Law, When] = getattr(cls, "claims_when", {})
    return {law: f"if {when.condition}" for law, when in sometimes.items()} | dict.fromkeys(always, "yes")


def words(law: Law) -> str:
    """Return a law's name in words.

    >>> words(Law.ENVY_FREE), words(Law.MONOTONE_IN_LOAD)
    ('envy-free', 'monotone in load')
    """
    return re.sub(r"^(non|envy|strategy) ", r"\1-", law.name.lower().replace("_", " "))


def _laws() -> list[str]:
    checks: list[tuple[Law, Any]] = [
        *PRICING_LAW_CHECKS.items(), *LAW_CHECKS.items(), *SHARING_LAW_CHECKS.items(),
    ]  # fmt: skip
    checks += [pair for of_family in TRUST_LAW_CHECKS.values() for pair in of_family.items()]
    rows = [(words(law), law.value, " ".join(c.__doc__ for known, c in checks if known is law)) for law in Law]
    return ["## Laws", DOMAINS, table(["law", "what it says", "how it is tried"], rows)]
