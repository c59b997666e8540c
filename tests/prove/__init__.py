"""The proof of the main job: whatever is killed, whenever, starting again ends in the library of an undisturbed run.

``make prove-pipeline`` runs all of it, tests/test_prove.py a short form. Start reading in matrix.py.
"""
