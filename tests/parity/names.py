"""The model's tensor names: the released code's, which the reference has, and this program's."""

import re

TO_PROGRAM = [
    (r"encoder\.0\.", "encoder.conv1."),
    (r"encoder\.1\.", "encoder.bn1."),
    (r"encoder\.([4-7])\.", lambda m: f"encoder.layer{int(m[1]) - 3}."),
    (r"encoder\.[89]\.2\.", "encoder.projector.linear."),
    (r"encoder\.[89]\.3\.", "encoder.projector.bn."),
    (r"transf\.crs_attn\.([qkv])_w\.", r"aggregator.w_\1."),
    (r"transf\.crs_attn\.fc\.", "aggregator.w_o."),
    (r"transf\.crs_attn\.", "aggregator."),
    (r"transf\.mlp\.w_(\d+)\.", r"aggregator.mlp.\1."),
    (r"transf\.mlp\.", "aggregator.mlp."),
    (r"output_layers\.([^.]+)\.0\.", r"heads.\1."),
]


def program_name(name):
    for pattern, replacement in TO_PROGRAM:
        changed, count = re.subn("^" + pattern, replacement, name)
        if count:
            return changed
    raise KeyError(name)


def to_program(state):
    """{name: contiguous tensor} without the counters of batches that the program has no use for."""
    return {
        program_name(name): tensor.detach().contiguous()
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
