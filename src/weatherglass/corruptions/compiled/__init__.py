"""The same corruptions compiled for the CPU by numba: same keys, same formulas, 8-bit images only.

Each kernel works through a range of images one at a time, all steps of an image together, so that it stays in the
cache, and releases the interpreter's lock, so that ranges run side by side in threads (`run.py`).
"""
