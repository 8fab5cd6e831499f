"""The model's tensor names: the released code's, which the reference has, and this program's."""

import re

RESNET = [
    (r"encoder\.0\.", "encoder.conv1."),
    (r"encoder\.1\.", "encoder.bn1."),
    (r"encoder\.([4-7])\.", lambda m: f"encoder.layer{int(m[1]) - 3}."),
    (r"encoder\.9\.2\.", "encoder.projector.linear."),
    (r"encoder\.9\.3\.", "encoder.projector.bn."),
]
FEATURES = [
    (r"encoder\.1\.", "encoder.projector.linear."),
    (r"encoder\.2\.", "encoder.projector.bn."),
]
REST = [
    (r"transf\.crs_attn\.([qkv])_w\.", r"aggregator.w_\1."),
    (r"transf\.crs_attn\.fc\.", "aggregator.w_o."),
    (r"transf\.crs_attn\.", "aggregator."),
    (r"transf\.mlp\.w_(\d+)\.", r"aggregator.mlp.\1."),
    (r"transf\.mlp\.", "aggregator.mlp."),
    (r"output_layers\.([^.]+)\.0\.", r"heads.\1."),
]


def to_program(state):
    """A state dict in the program's names, without the counters of batches."""
    encoder = RESNET if any(name.startswith("encoder.0.") for name in state) else FEATURES
    return {
        _translate(name, encoder + REST): tensor.detach().contiguous()
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }


def _translate(name, table):
    for pattern, replacement in table:
        changed, count = re.subn("^" + pattern, replacement, name)
        if count:
            return changed
    raise KeyError(name)
