"""What is proven by trying: whatever is killed, whenever, starting again ends in the library of an undisturbed run;
whatever a picture holds, it is read or refused by a reason; no address but a public one is connected to.

``make prove`` runs all of it; tests/test_prove.py and tests/test_attacks.py are short forms. Start reading in matrix.py
and attacks.py.
"""
