"""Writes what the fuzzing targets start from: DIR/<target>/*, small and well formed.

    python make_seeds.py DIR

Standard library only; the .pth files are those of tests/base. `shard` and `tables` need none.
"""

import pathlib
import runpy
import struct
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

CSVS = {
    "labels": "id,patient,split,label\na,p1,train,0\nb,p2,validation,1\n",
    "names": "slide_id,case_id,label\r\n\"a,b\",7,\"say \"\"yes\"\"\"\r\na.png,8,no\r\n",
    "multilabel": "\ufeffpath,label\na,x;y\nb,;\nc,x|z\n",
    "split": "id,split\na,train\nb,test\n",
    "folds": "id,fold,split\na,0,\nb,1,\nc,,test\n",
    "clam": ",train,val,test\n0,a,b,c\n1,d,,\n",
}
NPY_HEADERS = {
    "float": "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }",
    "order": "{'shape': (2,), 'fortran_order': True, 'descr': \"<f8\"}",
    "scalar": "{'descr': '|u1', 'fortran_order': False, 'shape': ()}",
}
SAFETENSORS_HEADERS = {
    "two": '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
           '"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}',
    "empty": "{}",
    "none": '{"e":{"dtype":"I64","shape":[0,4],"data_offsets":[0,0]}}',
}


def npy(header, version):
    text = header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + bytes(48)


def seeds():
    """(target, name, bytes) of every seed."""
    for path in sorted((ROOT / "configs").glob("*.toml")):
        yield "config", path.name, path.read_bytes()
    for name, text in CSVS.items():
        yield "csv", name, text.encode()
    for name, header in NPY_HEADERS.items():
        for version in (1, 2):
            yield "npy", f"{name}-{version}", npy(header, version)
    for name, header in SAFETENSORS_HEADERS.items():
        yield "safetensors", name, struct.pack("<Q", len(header)) + header.encode() + bytes(12)
    made = runpy.run_path(str(ROOT / "tests/base/make_hostile_pth.py"))
    yield "pickle", "good", made["GOOD"]
    yield "pth", "good", made["file_of"](made["GOOD"])
    for path in sorted((ROOT / "tests/model/golden").glob("*.pth")):
        yield "pth", path.name, path.read_bytes()
        if not zipfile.is_zipfile(path):
            continue
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith("data.pkl"):
                    yield "pickle", path.name, archive.read(member)


def main():
    folder = pathlib.Path(sys.argv[1])
    for target, name, content in seeds():
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
