"""What is proven by trying: whatever is killed, whenever, starting again ends in the library of an undisturbed run;
whenever the power goes, a call fails or a disk is full, what was acknowledged is there; whatever a picture holds, it is
read or refused by a reason; no address but a public one is connected to, by whatever way; whatever a server or the
browser does, a crawl goes on; however many ask, the API's memory stays flat.

``make prove`` runs all of it; tests/test_prove.py, test_random_kills.py, test_crashes.py, test_attacks.py,
test_unreachable.py and test_faults.py are short forms. Start reading in __main__.py.
"""
