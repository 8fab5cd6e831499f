"""launcher/reproduce: rows of the paper's tables, run here and put beside the print."""

import argparse
import os
import pathlib
import shlex
import subprocess
import sys

from paper import curves, figures, page, slurm
from paper import rows as paper_rows
from paper.runs import Refused, Run, Runner, STOPPED, missing_data, write_whole

EXAMPLES = """examples:
  launcher/reproduce table2 --data demo --seeds 5       minutes to hours on a CPU; data made first
  launcher/reproduce fig3 --data demo_alike --seeds 5 --jobs 2
  launcher/reproduce table1 --list                      every row and its settings
  launcher/reproduce table1 --data cqu_bpdd --seeds 3 --set data.store=/data/cqu_store
  launcher/reproduce table1 --data ddr --seeds 3 --print-slurm > ddr.sbatch

A run is a folder DIR/<data>-<method>-...-seed<k>, as `dbps train` writes it. The same command goes
on where it stopped, by Ctrl-C too: finished runs are not done again, tables share runs of equal
settings. The table is DIR/<table>-<data>/table.md and table.html. Exit codes: 0 all done, 64 wrong
command, 65 data not here, 70 a run failed, 75 stopped and resumable."""


def arguments():
    parser = argparse.ArgumentParser(
        prog="launcher/reproduce", epilog=EXAMPLES,
        description="Run the rows of a table of the paper, and write what they reach beside what "
                    "the paper prints.", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", metavar="TABLE", choices=paper_rows.TABLES,
                        help=" | ".join(paper_rows.TABLES))
    parser.add_argument("--data", metavar="NAME",
                        help="one data set, of the paper or demo or demo_alike; default: all of the "
                             "paper's in that table")
    parser.add_argument("--seeds", type=positive, default=1, metavar="K",
                        help="seeds 0 .. K-1 of each row; default 1")
    parser.add_argument("--only", default="", metavar="TEXT",
                        help="run only runs whose name (--list) holds TEXT; the table shows all")
    parser.add_argument("--list", action="store_true", help="the rows, their settings and how far "
                                                            "they are; runs nothing")
    parser.add_argument("--print-slurm", action="store_true",
                        help="a Slurm array that trains them, on standard output; runs nothing")
    parser.add_argument("--jobs", type=positive, default=1, metavar="J",
                        help="runs at a time, each with its share of the cores; default 1")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/reproduce"),
                        metavar="DIR", help="default runs/reproduce")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="table.key=value for every run, over file and row (repeatable)")
    return parser


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse():
    parser = arguments()
    # Wrong commands leave with 64, as those of the program do.
    parser.error = lambda message: sys.exit(say(f"error: {message}; --help has examples") or 64)
    options = parser.parse_args()
    known = paper_rows.data_of(options.table)
    if options.data and options.data not in known:
        parser.error(f"{options.table} has no data '{options.data}': {', '.join(known)}")
    options.output = options.output.absolute()
    return options


def plan(options):
    """{data: [(row, its runs)]}; rows of equal settings have the same runs."""
    chosen = [options.data] if options.data else [
        data for data in paper_rows.data_of(options.table) if data not in paper_rows.DEMO_DATA]
    shared = {}
    planned = {}
    for data in chosen:
        planned[data] = []
        for row in paper_rows.rows_of(options.table, data):
            runs = [shared.setdefault(row.run_name(seed),
                                      Run(row, seed, options.output, tuple(options.set)))
                    for seed in range(options.seeds)]
            planned[data].append((row, runs))
    return planned, list(shared.values())


def show(planned):
    count = 0
    for data, rows in planned.items():
        print(f"{data}: {rows[0][0].config}")
        for row, runs in rows:
            count += 1
            states = ", ".join(f"{run.seed} {run.state()}" for run in runs)
            print(f"  {row.label()}" + (f"  ({row.note})" if row.note else ""))
            print(f"    {runs[0].name.rpartition('-seed')[0]}; seeds: {states}")
            print("    " + " ".join(f"--set {shlex.quote(text)}" for text in row.overrides()))
    print(f"{count} rows")


def make_demo(data):
    """Makes build/<data> where it is not there."""
    folder = paper_rows.ROOT / "build" / data
    if (folder / "store" / "store.json").exists():
        return
    say(f"making the pictures of {folder}")
    words = ["make-demo", str(folder)] + (["--question", "alike"] if data == "demo_alike" else [])
    code = subprocess.run([paper_rows.ROOT / "launcher" / "dbps", *words], stdout=sys.stderr,
                          check=False).returncode
    if code != 0:
        sys.exit(code)


def write_tables(options, planned):
    for data, rows in planned.items():
        results = [figures.result(row, runs) for row, runs in rows]
        base_row = paper_rows.baseline([row for row, _ in rows])
        base = next((result for result in results if result.row is base_row), None)
        folder = options.output / f"{options.table}-{data}"
        folder.mkdir(parents=True, exist_ok=True)
        svg = curves.svg(results, "accuracy, %") if options.table == "fig3" else ""
        table = (options.table, data, results, base, options.seeds)
        files = {"table.md": page.markdown(*table, "curves.svg" if svg else ""),
                 "table.html": page.page(*table, svg), "curves.svg": svg}
        for name, text in files.items():
            if text:
                write_whole(folder / name, text)
                print(folder / name)


def run_all(options, planned, runs):
    """The exit code."""
    if options.data in paper_rows.DEMO_DATA and not any(
            text.startswith("data.store=") for text in options.set):
        make_demo(options.data)
    ready = []
    wanted = [run for run in runs if options.only in run.name]
    for run in wanted:
        run.problem = "" if run.finished() else missing_data(run.row, options.set)
        run.absent = bool(run.problem)
        if not run.absent:
            run.check_settings()
            ready.append(run)
    for problem in dict.fromkeys(run.problem for run in wanted if run.problem):
        say(f"not run: {problem}")
    absent = len(ready) < len(wanted)
    options.output.mkdir(parents=True, exist_ok=True)
    stopped = Runner(ready, options.output, options.jobs, say).run()
    write_tables(options, planned)
    if stopped:
        say("stopped; the same command goes on")
        return STOPPED
    if any(run.problem for run in ready):
        say("error: some runs failed; the table's remarks say why, DIR/logs has their words")
        return 70
    return 65 if absent else 0


def main():
    options = parse()
    try:
        planned, runs = plan(options)
        if options.list:
            show(planned)
            return 0
        if options.print_slurm:
            print(slurm.array_script(options, runs), end="")
            return 0
        return run_all(options, planned, runs)
    except Refused as error:
        say(f"error: {error}")
        return 64
    except KeyboardInterrupt:
        return STOPPED
    except FileNotFoundError as error:
        say(f"error: {os.path.relpath(error.filename)} is not here")
        return 65


if __name__ == "__main__":
    sys.exit(main())
