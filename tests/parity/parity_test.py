"""The method read twice: the reference (reference.py, PyTorch) beside the program.

    parity_test.py [--full] [--steps N] [--jobs N] [--json FILE] [TEST ...]

Prints a table of all checks of method.md section 9 at its end. --full: the paper's sizes.
"""

import argparse
import concurrent.futures
import io
import sys
import unittest

from checks_model import Aggregators, Encoders, Gradients
from checks_pictures import Pictures
from checks_program import FullProgram, Program, ProgramTest
from checks_selection import Selection
from checks_training import Training
from ledger import LEDGER

# The longest first, for they run side by side.
EVERY_DAY = (Program, Gradients, Selection, Encoders, Aggregators, Training, Pictures)
FULL = (FullProgram,)


def run(test):
    """One test in a process of its own: whether it passed, what it said, what it compared."""
    said = io.StringIO()
    LEDGER.clear()
    outcome = unittest.TextTestRunner(said, verbosity=2).run(unittest.TestSuite([test]))
    return outcome.wasSuccessful(), said.getvalue(), LEDGER.entries


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="check 16 and predict, paper's sizes")
    parser.add_argument("--steps", type=int, default=ProgramTest.steps, help="of check 16")
    parser.add_argument("--jobs", type=int, default=2, help="tests side by side")
    parser.add_argument("--json", help="a file for the table")
    parser.add_argument("tests", nargs="*", help="parts of tests' names; all if none is given")
    arguments = parser.parse_args()
    ProgramTest.steps = arguments.steps

    tests = [
        test
        for group in (FULL if arguments.full else EVERY_DAY)
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(group)
        if not arguments.tests or any(part in test.id() for part in arguments.tests)
    ]
    passed = bool(tests)
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, test) for test in tests]):
            successful, said, entries = future.result()
            print(said, flush=True)
            passed = passed and successful
            LEDGER.add(entries)
    print(LEDGER.table())
    if arguments.json:
        LEDGER.write(arguments.json)
    excused = LEDGER.too_many_excused()
    if excused:
        print(f"check {', '.join(map(str, excused))}: more was excused than may be")
    return 0 if passed and not excused else 1


if __name__ == "__main__":
    sys.exit(main())
