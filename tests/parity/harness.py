"""Running the probe and the program, and what every test of the suite shares.

DBPS_PROBE and DBPS_PROGRAM name the two.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import safetensors.torch
import torch

PROBE = os.environ["DBPS_PROBE"]
PROGRAM = os.environ["DBPS_PROGRAM"]
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1")
SEEDS = (0, 1)

torch.set_num_threads(1)


@dataclasses.dataclass
class Case:
    name: str
    parameters: dict = dataclasses.field(default_factory=dict)
    tensors: dict = dataclasses.field(default_factory=dict)


def execute(command, timeout=3600):
    """Standard output; a failure shows what the program said."""
    process = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
    )
    if process.returncode != 0:
        raise AssertionError(
            f"{' '.join(map(str, command))} ended with {process.returncode}:\n"
            f"{process.stderr[-2000:]}"
        )
    return process.stdout


def probe(folder, check, cases):
    """{case: {tensor: value}} of one run of the probe over all cases of a check."""
    tensors = {
        f"{case.name}/{name}": value.detach().contiguous().clone()
        for case in cases
        for name, value in case.tensors.items()
    }
    given, found = folder / f"{check}-in.safetensors", folder / f"{check}-out.safetensors"
    safetensors.torch.save_file(
        tensors, given, {case.name: json.dumps(case.parameters) for case in cases}
    )
    execute([PROBE, check, given, found])
    results = {case.name: {} for case in cases}
    for name, value in safetensors.torch.load_file(found).items():
        case, tensor = name.split("/", 1)
        results[case][tensor] = value
    given.unlink()
    found.unlink()
    return results


class ParityTest(unittest.TestCase):
    """A folder for each class; the cases of a test are run by the probe at once."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-parity-"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def probe(self, check, cases):
        self.assertTrue(cases, "a check without cases shows nothing")
        return probe(self.folder, check, cases)
