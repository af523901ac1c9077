"""Write the generated pages of the documentation: ``python -m celluler_sim.docs docs``.

Everything comes from the code: registered mechanisms and what they claim, scenario files, the fields of the
configuration and the ranges they are held to, the tables, the figures. With ``--measure`` the scenarios are run as well
and the pages that say what they show are brought up to date.
"""
