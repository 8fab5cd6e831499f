"""Figures of finished runs: what a row reached over its seeds, and how it differs from another.

Accuracies and AUCs are in percent here, as the paper prints them.
"""

import dataclasses
import json
import math
import statistics

# Student's t at 0.975 for 1, 2, ... degrees of freedom; 1.96 beyond.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
         2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
         2.052, 2.048, 2.045, 2.042)
PAPER_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Summary:
    """Of several numbers; sd and half (of the 95 % interval of the mean) are NaN for one alone."""
    mean: float
    sd: float
    half: float
    count: int

    @property
    def low(self):
        return self.mean - self.half

    @property
    def high(self):
        return self.mean + self.half


def summary(numbers):
    """None of nothing."""
    count = len(numbers)
    if count == 0:
        return None
    mean = statistics.fmean(numbers)
    if count == 1:
        return Summary(mean, math.nan, math.nan, 1)
    sd = statistics.stdev(numbers)
    t = T_975[count - 2] if count - 2 < len(T_975) else 1.96
    return Summary(mean, sd, t * sd / math.sqrt(count), count)


def measured(run, which, metric):
    """Percent on the test split with the checkpoint `which`; several tasks: their mean (an exact
    match where a task has several labels)."""
    tasks = json.loads(run.evaluation_file(which).read_text())["tasks"].values()
    return 100 * statistics.fmean(task.get(metric, task.get("exact_match", math.nan))
                                  for task in tasks)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of training, or of inference where a row is about that. None where it is not measured."""
    milliseconds: float | None  # a batch of 16, the median; reading not counted
    bytes: int | None           # the most that tensors on the device held
    device: str                 # "cpu" or "cuda"


def cost(run):
    steps = run.events("step")
    # The first batch of a session warms up, and what stands at the end of an epoch may be short.
    full = [step for step in steps[1:] if step["images"] == PAPER_BATCH]
    times = [step["seconds"] - step["phases"].get("read", 0) for step in full]
    peak = max((step["device_bytes_peak"] for step in steps), default=0)
    return Cost(1000 * statistics.median(times) if times else None, peak or None, device_of(run))


def inference_cost(run):
    """Of the evaluation on the test split."""
    found = json.loads(run.evaluation_file("best").read_text()).get("inference")
    if not found:
        return Cost(None, None, device_of(run))
    full = found["batch"] == PAPER_BATCH
    return Cost(1000 * found["seconds_a_batch"] if full else None,
                found["bytes_peak"] if full else None, found["device"])


def device_of(run):
    path = run.folder / "provenance.json"
    return json.loads(path.read_text())["device"].split(":")[0] if path.is_file() else "cpu"


@dataclasses.dataclass
class Result:
    """A row with what its runs say."""
    row: object
    by_seed: dict          # seed: percent, of the checkpoint that validation chose
    last_by_seed: dict     # the same with the last checkpoint
    costs: list
    problem: str           # why runs are missing, one line
    absent: bool           # it is the data or the weights that are not here
    planned: int           # seeds asked for

    @property
    def best(self):
        return summary(list(self.by_seed.values()))

    @property
    def last(self):
        return summary(list(self.last_by_seed.values()))

    def difference(self, other):
        """Paired over the seeds that both have; None where there is none."""
        both = sorted(self.by_seed.keys() & other.by_seed.keys())
        return summary([self.by_seed[seed] - other.by_seed[seed] for seed in both])

    def milliseconds(self):
        return summary([cost.milliseconds for cost in self.costs if cost.milliseconds is not None])

    def bytes(self):
        return max((cost.bytes for cost in self.costs if cost.bytes is not None), default=None)

    def device(self):
        return self.costs[0].device if self.costs else ""


def result(row, runs):
    done = [run for run in runs if run.finished()]
    inference = row.metric == "inference"
    metric = "accuracy" if inference else row.metric
    measure = inference_cost if inference else cost
    left = [run for run in runs if not run.finished()]
    problem = next((run.problem for run in left if run.problem), "")
    if left and not problem:
        problem = "begun, not finished" if any(run.begun() for run in left) else "not begun"
    return Result(row=row, by_seed={run.seed: measured(run, "best", metric) for run in done},
                  last_by_seed={run.seed: measured(run, "latest", metric) for run in done},
                  costs=[measure(run) for run in done], problem=problem,
                  absent=any(run.absent for run in left), planned=len(runs))
