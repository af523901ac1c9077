"""Strategies that agents follow: each acts on whole columns and is selectable by name and share."""

from celluler_sim.behaviours import consumer as consumer
from celluler_sim.behaviours import pool_member as pool_member
from celluler_sim.behaviours import provider as provider
