"""Watermarks: instances say how far they have settled, so that readers need not wait for the fixed settle time.

rules       what an instance may stamp and announce, and what readers conclude; pure
marks       the table `_instances`: its columns, its rows, and the statement that reads the newest of each instance
announcing  writes this instance's marks, and lets appends be stamped only while it is announced
horizons    reads the marks of all instances when a reader asks how far the tables are settled
"""
