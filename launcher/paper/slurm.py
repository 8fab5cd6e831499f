"""The Slurm array that trains what is left of a table: a task a run, by slurm/train.sbatch."""

import shlex


def array_script(options, runs):
    left = [run for run in runs if not run.trained()]
    lines = [
        "#!/usr/bin/env bash",
        f"# {options.table}: {len(left)} runs to train. From the clone: sbatch THIS_FILE; then the",
        "# same launcher/reproduce command without --print-slurm evaluates and writes the table.",
        "# What differs from site to site is in slurm/site.sh; ask here for what a run needs.",
        "#SBATCH --job-name=dbps-" + options.table,
        "#SBATCH --output=%x-%A_%a.out",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --gpus-per-task=1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --time=24:00:00",
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
