#!/usr/bin/env python3
"""Makes tests/image/golden: sample pictures of every mode, and what Pillow makes of them.

    python3 tests/image/make_golden.py          # needs numpy and Pillow

`pixels.bin` is a row of records: a line "NAME WIDTH HEIGHT CHANNELS", then the bytes of the pixels.
`decode/FILE` holds the upright RGB pixels of a sample, `resize/...` the results of Image.resize.
"""

import pathlib
import struct
import zlib

import numpy
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent / "golden"
ORIENTATION = 0x0112
RANDOM = numpy.random.default_rng(7)
records = []


def record(name, picture):
    pixels = numpy.asarray(picture)
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    records.append(f"{name} {width} {height} {channels}\n".encode() + pixels.tobytes())


def smooth(width, height, channels):
    """A picture without sharp edges, asymmetric, so that every orientation differs."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [
        127 + 100 * numpy.sin(x / (3 + c) + y / (7 - c) + c) * numpy.cos(y / (5 + c) - x / 11)
        for c in range(channels)
    ]
    return numpy.stack(planes, axis=-1).astype(numpy.uint8)


def on_white(picture):
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def sample(file, picture, **options):
    path = FOLDER / file
    picture.save(path, **options)
    stored = ImageOps.exif_transpose(Image.open(path))
    transparent = stored.mode in ("LA", "RGBA", "PA") or "transparency" in stored.info
    record("decode/" + file, on_white(stored) if transparent else stored.convert("RGB"))


def tiff(width, height, planar, tile, chunks):
    """An uncompressed RGB TIFF of tiles, which Pillow reads but does not write."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 2), (277, 3), (284, planar),
            (322, tile), (323, tile), (324, chunks), (325, chunks)]
    start = 8 + 2 + 12 * len(tags) + 4
    data = start + 8 * len(chunks)
    entries = b""
    for tag, value in tags:
        if value is chunks:
            at = start + (0 if tag == 324 else 4 * len(chunks))
            entries += struct.pack("<HHII", tag, 4, len(chunks), at)
        else:
            entries += struct.pack("<HHII", tag, 4, 1, value)
    offsets = [data + sum(map(len, chunks[:i])) for i in range(len(chunks))]
    sizes = [len(chunk) for chunk in chunks]
    return (struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0) +
            struct.pack(f"<{2 * len(chunks)}I", *offsets, *sizes) + b"".join(chunks))


def tiles(pixels, size):
    height, width = pixels.shape[:2]
    padded = numpy.pad(pixels, ((0, -height % size), (0, -width % size)) + ((0, 0),) *
                       (pixels.ndim - 2), mode="edge")
    return [padded[y:y + size, x:x + size].tobytes()
            for y in range(0, height, size) for x in range(0, width, size)]


def interlaced_png(pixels):
    """Adam7, which Pillow reads but does not write."""
    height, width = pixels.shape[:2]
    lines = b""
    for x, y, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                         (1, 0, 2, 2), (0, 1, 1, 2)]:
        for row in pixels[y::dy, x::dx]:
            lines += b"\0" + row.tobytes()

    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body +
                struct.pack(">I", zlib.crc32(kind + body)))

    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)) +
            chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def handmade():
    pixels = smooth(21, 18, 3)
    files = {
        "tiles.tif": tiff(21, 18, 1, 16, tiles(pixels, 16)),
        "planes.tif": tiff(21, 18, 2, 16, sum((tiles(pixels[:, :, c], 16) for c in range(3)), [])),
        "interlaced.png": interlaced_png(pixels),
    }
    for file, content in files.items():
        (FOLDER / file).write_bytes(content)
        record("decode/" + file, pixels)


def samples():
    rgb = Image.fromarray(smooth(21, 14, 3))
    grey = Image.fromarray(smooth(21, 14, 1)[:, :, 0])
    rgba = Image.fromarray(smooth(21, 14, 4))
    grey_alpha = Image.fromarray(smooth(21, 14, 2), "LA")
    cmyk = Image.fromarray(smooth(21, 14, 4), "CMYK")
    palette = rgb.quantize(13)
    transparent_palette = palette.copy()
    transparent_palette.info["transparency"] = 3
    wide = Image.fromarray((smooth(21, 14, 1)[:, :, 0].astype(numpy.uint16) * 257))

    sample("rgb.jpg", rgb, quality=95, subsampling=0)
    sample("rgb420.jpg", rgb, quality=80)
    sample("progressive.jpg", rgb, quality=90, progressive=True)
    sample("grey.jpg", grey, quality=95)
    sample("cmyk.jpg", cmyk, quality=95)  # Pillow writes Adobe's inverted form
    for mode, picture in [("rgb", rgb), ("grey", grey), ("rgba", rgba), ("grey_alpha", grey_alpha),
                          ("palette", palette), ("palette_alpha", transparent_palette),
                          ("bilevel", grey.convert("1"))]:
        sample(mode + ".png", picture)
    for mode, picture in [("rgb", rgb), ("grey", grey), ("rgba", rgba), ("grey_alpha", grey_alpha),
                          ("palette", palette), ("bilevel", grey.convert("1")), ("cmyk", cmyk)]:
        sample(mode + ".tif", picture)
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]:
        sample(compression + ".tif", rgb, compression=compression)
    sample("strips.tif", Image.fromarray(smooth(21, 40, 3)), compression="tiff_lzw",
           strip_size=21 * 3 * 16)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        sample(f"turned{orientation}.jpg", rgb, quality=95, subsampling=0, exif=exif)
        sample(f"turned{orientation}.tif", rgb, tiffinfo={ORIENTATION: orientation})
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    sample("turned6.png", rgb, exif=exif)
    wide.save(FOLDER / "wide.png")
    wide.save(FOLDER / "wide.tif")


def resizes():
    noise = RANDOM.integers(0, 256, (23, 37, 3), dtype=numpy.uint8)
    hard = Image.fromarray(numpy.where(noise > 128, 255, smooth(37, 23, 3)).astype(numpy.uint8))
    for kind, picture in [("rgb", hard), ("grey", hard.getchannel(1))]:
        record(f"source/{kind}", picture)
        for size in [(13, 9), (37, 9), (13, 23), (74, 46), (37, 50), (60, 7), (5, 61), (1, 1),
                     (36, 22), (101, 29)]:
            record(f"resize/{kind}", picture.resize(size, Image.BILINEAR))


FOLDER.mkdir(exist_ok=True)
samples()
handmade()
resizes()
(FOLDER / "pixels.bin").write_bytes(b"".join(records))
