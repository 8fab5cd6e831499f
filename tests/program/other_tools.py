"""Files as CLAM and TRIDENT write them, from their layout."""

import h5py


def save_h5(path, assets, attributes=None):
    """Datasets in chunks of a row that may grow, with attributes: CLAM's and TRIDENT's way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in assets.items():
            made = file.create_dataset(name, shape=value.shape, maxshape=(None, *value.shape[1:]),
                                       chunks=(1, *value.shape[1:]), dtype=value.dtype)
            made[:] = value
            for key, attribute in (attributes or {}).get(name, {}).items():
                made.attrs[key] = "None" if attribute is None else attribute


def clam_coordinates(level, size, downsample, level_dim):
    return {"patch_size": size, "patch_level": level, "downsample": (downsample, downsample),
            "downsampled_level_dim": level_dim, "level_dim": level_dim, "name": "slide",
            "save_path": "/somewhere/patches"}


def trident_coordinates(size, level0, target, width, height):
    return {"patch_size": size, "patch_size_level0": size * level0 // target,
            "level0_magnification": level0, "target_magnification": target, "overlap": 0,
            "name": "slide", "savetodir": "/somewhere", "level0_width": width,
            "level0_height": height}
