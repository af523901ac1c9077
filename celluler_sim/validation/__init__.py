"""Hold the project's mechanisms against figures from outside: published examples, closed forms, other libraries."""

from celluler_sim.validation.engine import Report, Result, print_report, validate

__all__ = ["Report", "Result", "print_report", "validate"]
