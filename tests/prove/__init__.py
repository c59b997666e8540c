"""What is proven by trying: whatever is killed, whenever, starting again ends in the library of an undisturbed run;
whatever a picture holds, it is read or refused by a reason; no address but a public one is connected to, by whatever
way; whatever a server or the browser does, a crawl goes on.

``make prove`` runs all of it; tests/test_prove.py, test_attacks.py, test_unreachable.py and test_faults.py are short
forms. Start reading in matrix.py, attacks.py, unreachable.py, network_faults.py and browser_crashes.py.
"""
