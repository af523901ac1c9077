"""Every rule of the package takes part in the law suites, whatever file it is in."""

from celluler_sim.conf.choices import import_mechanisms

import_mechanisms()
