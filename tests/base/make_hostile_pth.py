"""Writes a folder of .pth files that must all be refused, and one that is good.

    python make_hostile_pth.py FOLDER

FOLDER/good.pth is what torch.save would write for two tensors. FOLDER/hostile/*.pth are others, and
FOLDER/expected.tsv holds a line for each: its name and a part of the message it is refused with.
None of them is ever unpickled here: their bytes are put together by hand. Standard library only.
"""

import pathlib
import struct
import sys
import zlib

PROTO = b"\x80\x02"
STOP = b"."
DICT = b"ccollections\nOrderedDict\n)R"


def text(word):
    raw = word.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -2**31 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def integers(values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(key="0", elements=6, kind="FloatStorage", word="storage"):
    return (b"(" + text(word) + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
            + integer(elements) + b"tQ")


def tensor(shape=(2, 3), strides=(3, 1), offset=0, memory=None, flag=b"\x89", hooks=DICT):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + (memory or storage()) + integer(offset)
            + integers(shape) + integers(strides) + flag + hooks + b"tR")


def state_dict(*items):
    """A pickle of an OrderedDict of (name, pickled value)."""
    return PROTO + DICT + b"(" + b"".join(text(n) + v for n, v in items) + b"u" + STOP


def one(value):
    return state_dict(("weight", value))


GOOD = state_dict(("weight", tensor()), ("bias", tensor((3,), (1,), 1, storage("1", 4))))
DATA = {"a/data/0": struct.pack("<6f", *range(6)), "a/data/1": struct.pack("<4f", *range(4)),
        "a/version": b"3\n"}


class Member:
    """What the local header and the directory say of a member; any of it may be a lie."""

    def __init__(self, name, data, **lies):
        self.name, self.data = name.encode(), data
        self.crc, self.size, self.method, self.flags = zlib.crc32(data), len(data), 0, 0
        self.extra, self.local_name = b"", self.name
        self.local_size = self.local_crc = self.local_flags = None
        self.offset, self.stored, self.local_method = None, None, None
        self.__dict__.update(lies)

    def local(self):
        def told(local, own):
            return own if local is None else local
        size = told(self.local_size, self.size)
        return struct.pack("<IHHHHHIIIHH", 0x04034b50, 0, told(self.local_flags, self.flags),
                           told(self.local_method, self.method), 0, 0,
                           told(self.local_crc, self.crc), size, size, len(self.local_name),
                           0) + self.local_name + self.data

    def central(self, offset):
        offset = offset if self.offset is None else self.offset
        stored = self.size if self.stored is None else self.stored
        return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 0, 0, self.flags, self.method, 0, 0,
                           self.crc, stored, self.size, len(self.name), len(self.extra), 0, 0, 0, 0,
                           offset) + self.name + self.extra


def archive(members, entries=None, directory_shift=0, directory_bytes=None, disk=0, end64=None):
    body, central = b"", b""
    for member in members:
        central += member.central(len(body))
        body += member.local()
    start, count = len(body) + directory_shift, len(members) if entries is None else entries
    size = len(central) if directory_bytes is None else directory_bytes
    tail = b""
    if end64 is not None:
        values = dict(count=count, size=size, start=start, at=len(body) + len(central)) | end64
        tail = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 0, 45, 0, 0, values["count"],
                           values["count"], values["size"], values["start"])
        tail += struct.pack("<IIQI", 0x07064b50, 0, values["at"], 1)
        count, size, start = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    return body + central + tail + struct.pack("<IHHHHIIH", 0x06054b50, disk, 0, count & 0xFFFF,
                                               count & 0xFFFF, size & 0xFFFFFFFF,
                                               start & 0xFFFFFFFF, 0)


def members(pickle=GOOD, data=None, **lies):
    """The members of a file; `lies` are of the first storage."""
    made = [Member("a/data.pkl", pickle)]
    for name, raw in (DATA if data is None else data).items():
        made.append(Member(name, raw, **(lies if name == "a/data/0" else {})))
    return made


def file_of(pickle, **lies):
    return archive(members(pickle, **lies))


def call(module, name, arguments=b"(" + text("touch ran") + b"t"):
    return f"c{module}\n{name}\n".encode() + arguments + b"R"


def foreign_globals():
    for module, name in [("os", "system"), ("posix", "system"), ("builtins", "eval"),
                         ("builtins", "exec"), ("builtins", "getattr"), ("__builtin__", "eval"),
                         ("subprocess", "Popen"), ("codecs", "encode"), ("torch", "load"),
                         ("torch.hub", "load"), ("torch.serialization", "load"),
                         ("torch._utils", "_rebuild_tensor_v3"), ("torch", "ComplexFloatStorage"),
                         ("torch.storage", "_load_from_bytes"), ("numpy", "load"),
                         ("argparse", "Namespace"), ("runpy", "run_path"), ("pickle", "loads"),
                         ("collections", "OrderedDict.fromkeys"), ("collections", "defaultdict")]:
        yield f"global-{module}.{name}", file_of(one(call(module, name))), f"{module}.{name}"
    yield ("global-alone", file_of(PROTO + b"cos\nsystem\n" + STOP), "os.system")
    yield ("global-in-metadata",
           file_of(PROTO + DICT + b"}" + text("_metadata") + call("os", "system") + b"sb" + STOP),
           "os.system")
    yield ("global-as-wrapper", file_of(PROTO + b"}(" + text("state_dict") + DICT + text("args")
                                        + call("argparse", "Namespace", b")") + b"u" + STOP),
           "argparse.Namespace")
    yield "global-escape", file_of(one(b"cos\x1b[2J\nsystem\n")), "os?[2J.system"
    yield "global-endless", file_of(PROTO + b"c" + b"o" * 100000), "does not end"


def opcodes():
    path = text("touch ran")
    codes = [
        ("INST", b"(" + path + b"ios\nsystem\n"), ("OBJ", b"(cos\nsystem\n" + path + b"o"),
        ("OBJ", b"(" + DICT + path + b"o"), ("NEWOBJ", DICT + b")\x81"),
        ("NEWOBJ_EX", DICT + b")}\x92"), ("STACK_GLOBAL", text("os") + text("system") + b"\x93"),
        ("EXT1", b"\x82\x01"), ("EXT2", b"\x83\x01\x00"), ("EXT4", b"\x84\x01\x00\x00\x00"),
        ("PERSID", b"Pos.system\n"), ("STRING", b"S'x'\n"), ("INT", b"I1\n"),
        ("LONG4", b"\x8b\xff\xff\xff\x7f"), ("BINUNICODE8", b"\x8d" + b"\xff" * 8),
        ("BINBYTES8", b"\x8e" + b"\xff" * 8), ("SHORT_BINUNICODE", b"\x8c\xffx"),
        ("BYTEARRAY8", b"\x96" + b"\xff" * 8), ("FRAME", b"\x95" + b"\xff" * 8),
        ("NEXT_BUFFER", b"\x97"), ("DUP", DICT + b"2"), ("MEMOIZE", DICT + b"\x94"),
        ("FROZENSET", b"(\x91"), ("byte 0xfe", b"\xfe")]
    for name, code in codes:
        kind = "obj-known" if code.startswith(b"(" + DICT) else name.replace(" ", "-")
        if kind == "OBJ":
            yield f"opcode-{kind}", file_of(one(code)), "os.system"
            continue
        word = "OBJ" if kind == "obj-known" else name
        yield f"opcode-{kind}", file_of(one(code)), f"opcode {word}"


def reduce_tricks():
    yield "reduce-text", file_of(one(text("os.system") + b")R")), "REDUCE"
    yield "reduce-tensor", file_of(one(tensor() + b")R")), "REDUCE"
    yield "reduce-storage-type", file_of(one(b"ctorch\nFloatStorage\n)R")), "REDUCE"
    yield "reduce-list-arguments", file_of(one(b"ccollections\nOrderedDict\n]R")), "REDUCE"
    yield ("reduce-dict-items", file_of(one(b"ccollections\nOrderedDict\n(" + text("x") + b"tR")),
           "OrderedDict")
    yield "reduce-hooks", file_of(one(tensor(hooks=b"}" + text("f") + text("g") + b"s"))), "hooks"
    yield ("build-setattr",
           file_of(PROTO + DICT + b"}" + text("__class__") + text("x") + b"sb" + STOP), "__class__")
    yield ("build-setstate",
           file_of(PROTO + DICT + b"}" + text("__setstate__") + DICT + b"sb" + STOP),
           "__setstate__")
    yield "build-tuple", file_of(PROTO + DICT + b"}}\x86b" + STOP), "BUILD"
    yield "build-dict", file_of(PROTO + b"}}b" + STOP), "BUILD"
    yield "build-tensor", file_of(one(tensor() + b"}b")), "BUILD"
    yield "build-function", file_of(one(b"ctorch._utils\n_rebuild_tensor_v2\n}b")), "BUILD"
    yield "persid-text", file_of(one(text("/etc/passwd") + b"Q")), "persistent id"
    yield "persid-module", file_of(one(storage(word="module"))), "persistent id"
    yield ("persid-path", file_of(one(tensor(memory=storage("../../../../etc/passwd")))),
           "persistent id")
    yield "persid-short-path", file_of(one(tensor(memory=storage("../version")))), "missing"
    yield "setitem-list", file_of(one(b"]" + text("a") + text("b") + b"s")), "no dict"
    yield "append-dict", file_of(one(b"}" + text("a") + b"a")), "no list"
    yield "append-tuple", file_of(one(b")" + text("a") + b"a")), "no list"


def machine():
    yield "protocol-4", file_of(b"\x80\x04" + GOOD[2:]), "protocol 2"
    yield "no-protocol", file_of(GOOD[2:]), "protocol 2"
    yield "empty-pickle", file_of(b""), "protocol 2"
    yield "second-protocol", file_of(PROTO + GOOD), "opcode PROTO"
    yield "no-stop", file_of(GOOD[:-1]), "ends before"
    yield "after-stop", file_of(GOOD + b"cos\nsystem\n"), "follow its end"
    yield "two-values", file_of(PROTO + b"NN" + STOP), "more or less"
    yield "no-value", file_of(PROTO + STOP), "more or less"
    yield "open-mark", file_of(PROTO + b"N(" + STOP), "more or less"
    yield "pop-below-mark", file_of(PROTO + b"N(\x85" + STOP), "stack is empty"
    yield "no-mark", file_of(PROTO + b"Nt" + STOP), "mark is missing"
    yield "odd-items", file_of(PROTO + b"}(Nu" + STOP), "key without a value"
    yield "long-text", file_of(PROTO + b"X\xff\xff\xff\xffabc"), "ends before"
    yield "long-long", file_of(one(b"\x8a\xff" + b"\x01" * 255)), "more than 64 bits"
    yield "memo-unknown", file_of(one(b"h\x07")), "never kept"
    yield "memo-far", file_of(PROTO + b"Nr\xff\xff\xff\xff" + STOP), "memo skips"
    yield "memo-empty", file_of(PROTO + b"q\x00" + STOP), "stack is empty"
    yield "nested-marks", file_of(PROTO + b"(" * 3_000_000), "too deep"
    yield "nested-lists", file_of(PROTO + b"]" * 3_000_000), "more values"
    yield "nested-tuples", file_of(PROTO + b")" + b"\x85" * 3_000_000 + STOP), "more values"
    yield "stack-by-memo", file_of(PROTO + b"Nq\x00" + b"h\x00" * 3_000_000), "too high"
    # Each list holds the one before twice: 2 to the 60th power when written out.
    laughs = b"".join(b"](" + 2 * (b"h" + bytes([i])) + b"eq" + bytes([i + 1]) for i in range(60))
    yield "memo-bomb", file_of(PROTO + b"(]q\x00" + laughs + b"t" + STOP), "no state dict"
    # Each dict holds the next under three names where a state dict is looked for.
    dicts = b"".join(b"}q" + bytes([i]) for i in range(61))
    for i in range(60):
        items = b"".join(text(w) + b"h" + bytes([i + 1]) for w in ("state_dict", "model", "net"))
        dicts += b"h" + bytes([i]) + b"(" + items + b"u"
    yield ("wrapper-bomb", file_of(PROTO + b"}" + text("x") + b"(" + dicts + b"ts"
                                   + text("state_dict") + b"h\x00s" + STOP), "no state dict")
    circle = PROTO + b"}q\x00" + b"".join(text(w) + b"h\x00s" for w in ("state_dict", "weights"))
    yield "circle", file_of(circle + STOP), "no state dict"


def tensors():
    yield "shape-negative", file_of(one(tensor(shape=(-2, -3)))), "impossible"
    yield "stride-negative", file_of(one(tensor(strides=(-3, 1), offset=3))), "impossible"
    yield "offset-negative", file_of(one(tensor(offset=-1))), "impossible"
    yield "offset-past-end", file_of(one(tensor(offset=1))), "past its storage"
    yield "offset-huge", file_of(one(tensor(offset=2**62))), "impossible"
    yield "stride-past-end", file_of(one(tensor(strides=(4, 1)))), "past its storage"
    yield "overflow-shape", file_of(one(tensor(shape=(2**32, 2**32), strides=(0, 0)))), "impossible"
    yield ("overflow-stride", file_of(one(tensor(shape=(3, 1), strides=(2**63 - 1, 1)))),
           "impossible")
    yield "expanded", file_of(one(tensor(shape=(10**12,), strides=(0,)))), "past its storage"
    yield ("empty-overflow",
           file_of(one(tensor(shape=(0, 2**62, 2**62), strides=(1, 1, 1), offset=7))), "impossible")
    yield "strides-short", file_of(one(tensor(strides=(1,)))), "strides"
    yield "dimensions", file_of(one(tensor(shape=(1,) * 17, strides=(1,) * 17))), "up to 16"
    yield ("shape-float",
           file_of(one(tensor().replace(integers((2, 3)), b"G\x7f\xf8" + b"\0" * 6 + b"\x85"))),
           "integers")
    yield ("shape-bool", file_of(one(tensor().replace(integers((2, 3)), b"\x88\x88\x86"))),
           "integers")
    yield "storage-small", file_of(GOOD, data=DATA | {"a/data/0": b"\0" * 20}), "20 bytes"
    yield "storage-large-claim", file_of(one(tensor(memory=storage(elements=2**40)))), "24 bytes"
    yield ("storage-negative",
           file_of(one(tensor(shape=(0,), strides=(1,), memory=storage(elements=-6)))),
           "impossible")
    yield "storage-overflow", file_of(one(tensor(memory=storage(elements=2**62 + 6)))), "24 bytes"
    yield "storage-missing", file_of(one(tensor(memory=storage("7")))), "missing"
    yield ("storage-two-types",
           file_of(state_dict(("a", tensor()), ("b", tensor(memory=storage(kind="IntStorage"))))),
           "two types")
    yield "twice", file_of(state_dict(("a", tensor()), ("a", tensor()))), "twice"
    yield "name-lines", file_of(state_dict(("a\nb", tensor()))), "plain text"
    yield "name-number", file_of(PROTO + DICT + b"K\x01" + tensor() + b"s" + STOP), "plain text"
    yield "a-list", file_of(PROTO + b"]" + STOP), "no state dict"
    yield "no-tensors", file_of(state_dict(("epoch", b"K\x03"))), "its keys are epoch"


def archives():
    good = archive(members())
    size = len(good)
    for cut in (0, 1, 3, 4, 29, 60, size // 2, size - 60, size - 23, size - 22, size - 1):
        yield f"cut-{cut}", good[:cut], "truncated" if cut >= 4 else "no weights"
    yield "extended", good + b"\0", "truncated"
    yield "size-local", archive(members(local_size=20)), "size"
    yield "size-both", archive(members(size=2**31)), "larger"
    yield "size-central", archive(members(size=28, local_size=24)), "size"
    yield "size-stored", archive(members(stored=20)), "two sizes"
    yield "size-crc", archive(members(local_crc=5)), "checksum"
    yield "flags-differ", archive(members(local_flags=8)), "flags"
    yield "encrypted", archive(members(flags=1)), "encrypted"
    yield "method-local", archive(members(local_method=8)), "compression"
    yield "name-local", archive(members(local_name=b"a/data/9")), "name"
    yield "overlap", archive(members(offset=0)), "disagree"
    inner, zeros = Member("a/data/1", b"\0" * 16), zlib.crc32(b"\0" * 16)
    within = Member("a/data/1", b"", size=16, crc=zeros, offset=len(GOOD) + 78)
    yield ("overlap-data", archive([Member("a/data.pkl", GOOD), Member("a/data/0", inner.local()),
                                    within]), "share bytes")
    yield "offset-end", archive(members(offset=2**32 - 2)), "before the directory"
    yield "twice-member", archive(members() + [Member("a/data/0", b"\0" * 24)]), "twice"
    yield "two-pickles", archive(members() + [Member("b/data.pkl", GOOD)]), "2 pickles"
    yield "no-pickle", archive([Member("word/document.xml", b"x")]), "no data.pkl"
    yield "path-up", archive(members() + [Member("a/../../etc/passwd", b"x")]), "out of the archive"
    yield "path-root", archive(members() + [Member("/etc/passwd", b"x")]), "out of the archive"
    yield "path-windows", archive(members() + [Member("a\\..\\x", b"x")]), "out of the archive"
    yield "path-zero", archive(members() + [Member("a/\0x", b"x")]), "plain text"
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezed.compress(b"\0" * 50_000_000) + squeezed.flush()
    yield ("deflate-bomb",
           archive([Member("a/data.pkl", bomb, method=8, size=50_000_000, stored=len(bomb))]),
           "compressed")
    yield "pickle-crc", archive([Member("a/data.pkl", GOOD, crc=1)] + members()[1:]), "checksum"
    yield ("torchscript", archive(members() + [Member("a/code/__torch__.py", b"x")]),
           "torch.jit.load")
    yield ("torchscript-constants", archive(members() + [Member("a/constants.pkl", b"x")]),
           "torch.jit.load")
    yield "big-endian", archive(members(data=DATA | {"a/byteorder": b"big"})), "byte order 'big'"
    yield ("byte-order-long", archive(members(data=DATA | {"a/byteorder": b"l" * 1000})),
           "byte order")
    yield "entries-many", archive(members(), entries=9), "impossible"
    yield "entries-most", archive(members(), entries=0xFFFE), "impossible"
    yield "entries-few", archive(members(), entries=1), "more than its members"
    yield "directory-shifted", archive(members(), directory_shift=7), "directory"
    yield "directory-size", archive(members(), directory_bytes=2**31), "directory"
    yield "volumes", archive(members(), disk=1), "volumes"
    yield "zip64-size", archive(members(), end64=dict(size=2**63)), "directory"
    yield "zip64-start", archive(members(), end64=dict(start=2**64 - 1)), "directory"
    yield "zip64-count", archive(members(), end64=dict(count=2**62)), "impossible"
    yield "zip64-place", archive(members(), end64=dict(at=2**63)), "zip64 end record"
    wide = dict(size=0xFFFFFFFF, local_size=24, stored=0xFFFFFFFF)
    yield ("zip64-member",
           archive(members(**wide, extra=struct.pack("<HHQQ", 1, 16, 2**60, 2**60))), "size")
    yield ("zip64-member-wrap",
           archive(members(**wide, extra=struct.pack("<HHQQ", 1, 16, 2**64 - 1, 2**64 - 1))),
           "size")
    yield ("zip64-member-short", archive(members(**wide, extra=struct.pack("<HHI", 1, 4, 24))),
           "zip64 field")
    yield ("zip64-member-field", archive(members(**wide, extra=struct.pack("<HH", 1, 16))),
           "broken field")


def other_files():
    yield "empty", b"", "no weights"
    yield "picture", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 100, "no weights"
    yield "text", b"#!/bin/sh\ntouch ran\n", "no weights"
    yield ("legacy", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
           "weights_only=True")
    yield "legacy-tar", b"sys_info" + b"\0" * 249 + b"ustar\0" + b"\0" * 300, "weights_only=True"
    yield "bare-pickle", PROTO + call("os", "system") + STOP, "weights_only=True"
    yield "magic-alone", b"PK\x03\x04", "truncated"


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "hostile").mkdir(parents=True, exist_ok=True)
    (folder / "good.pth").write_bytes(archive(members()))
    (folder / "good64.pth").write_bytes(archive(members(), end64={}))
    lines = []
    for made in (foreign_globals, opcodes, reduce_tricks, machine, tensors, archives, other_files):
        for name, content, expected in made():
            (folder / "hostile" / f"{name}.pth").write_bytes(content)
            lines.append(f"{name}.pth\t{expected}\n")
    assert len(set(lines)) == len(lines)
    (folder / "expected.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
