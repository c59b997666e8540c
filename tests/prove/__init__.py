"""What is proven by trying: whatever is killed, whenever, starting again ends in the library of an undisturbed run;
whatever a picture holds, it is read or refused by a reason; no address but a public one is connected to; whenever
the power goes, a call fails or a disk is full, what was acknowledged is there.

``make prove`` runs all of it; tests/test_prove.py, test_attacks.py and test_crashes.py are short forms. Start reading
in matrix.py, attacks.py and power_cuts.py.
"""
