#!/usr/bin/env python3
"""Makes digits.bin again, from scikit-learn's copy of the UCI optical digits.

    python3 datasets/demo/make_digits.py          # needs numpy and scikit-learn
"""

import pathlib

import numpy
from sklearn.datasets import load_digits

digits = load_digits()
records = numpy.concatenate([digits.target[:, None], digits.data], axis=1).astype(numpy.uint8)
assert records.shape == (1797, 65) and records[:, 1:].max() == 16
(pathlib.Path(__file__).parent / "digits.bin").write_bytes(records.tobytes())
