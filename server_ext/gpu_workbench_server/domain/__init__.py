"""The pure core: what a slice is, who gets one, why somebody waits.

Nothing in this folder does I/O, reads a clock, awaits, or knows a framework. Time comes in as a
number of seconds since the epoch; everything that changes is a new frozen object.
"""
