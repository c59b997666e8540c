"""The demo: a small museum's web site on loopback, and the pictures that it shows.

``serve`` runs the site, ``catalog`` says which picture hangs where, ``expected`` what a scraper should end with,
and ``make_pictures`` made the pictures from the corpus (the results are kept beside it, so it rarely runs again).
"""
