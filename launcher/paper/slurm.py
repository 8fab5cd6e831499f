"""The Slurm array that trains what is left of a table: a task a run, by slurm/train.sbatch."""

import shlex

from paper import rows as paper_rows


def requests():
    """What slurm/array.sbatch asks of Slurm for a task."""
    lines = (paper_rows.ROOT / "slurm" / "array.sbatch").read_text().splitlines()
    return [line for line in lines if line.startswith("#SBATCH") and "--job-name" not in line]


def array_script(options, runs):
    left = [run for run in runs if not run.trained()]
    lines = [
        "#!/usr/bin/env bash",
        f"# {options.table}: {len(left)} runs to train. From the clone: sbatch THIS_FILE; then the",
        "# same launcher/reproduce command without --print-slurm evaluates and writes the table.",
        "# What differs from site to site is in slurm/site.sh; ask here for what a run needs.",
        "#SBATCH --job-name=dbps-" + options.table,
        *requests(),
        f"#SBATCH --array=0-{max(0, len(left) - 1)}",
        "set -euo pipefail",
        "",
        'case ${SLURM_ARRAY_TASK_ID:?run this with sbatch} in',
    ]
    for index, run in enumerate(left):
        lines.append(f"  {index}) run=({shlex.join(run.arguments())}) ;;")
    lines += [
        '  *) echo "error: there is no run $SLURM_ARRAY_TASK_ID" >&2; exit 64 ;;',
        "esac",
        'exec bash "${SLURM_SUBMIT_DIR:?}/slurm/train.sbatch" "${run[@]}"',
    ]
    return "\n".join(lines) + "\n"
