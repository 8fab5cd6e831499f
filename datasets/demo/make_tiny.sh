#!/usr/bin/env bash
# Makes datasets/demo/tiny.safetensors again: the encoder that configs/demo.toml starts from.
#
#   datasets/demo/make_tiny.sh [FOLDER]     works in FOLDER (default: build/pretrain)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${1:-$root/build/pretrain}

"$root/launcher/dbps" make-demo "$work" --patches --seed 0
"$root/launcher/dbps" train "$root/configs/demo_pretrain.toml" \
    --set "data.store=$work/store" --set "experiment.output=$work/runs"
"$root/launcher/dbps" export "$work/runs/demo_pretrain" "$root/datasets/demo/tiny.safetensors" \
    --names torchvision
