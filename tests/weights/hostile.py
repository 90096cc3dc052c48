"""Hostile pickles, hostile archives and damaged checkpoints, made in memory."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.shared import SHARED
from tests.weights.pickles import Call, Name, Persistent, Raw, archive, module, opcodes, pickled, tensor, text

BASE = SHARED / "reference" / "arch" / "yolov3-tiny-v7.0.pt"


def sink(name: str, canary: Path) -> bytes:
    """A pickle that would make the canary file by calling `name`, were it called."""
    place, _, last = name.rpartition(".")
    command = f"touch {canary}"
    python = f"open({str(canary)!r}, 'w')"
    args = (python,) if last in ("eval", "exec", "__import__") else (command,)
    return pickled(Call(Name(place, last), args))


# Callables that run things, reach other callables, or only look harmless.
CALLABLES = """
os.system posix.system nt.system subprocess.Popen subprocess.run subprocess.call subprocess.check_output
builtins.eval builtins.exec builtins.getattr builtins.__import__ builtins.setattr builtins.open
builtins.compile builtins.globals builtins.vars builtins.type builtins.object builtins.dict
builtins.bytearray builtins.list builtins.map builtins.print builtins.breakpoint builtins.input
builtins.memoryview builtins.range __builtin__.eval __builtin__.exec __builtin__.getattr __builtin__.file
__builtin__.apply __builtin__.execfile os.popen os.execv os.spawnl os.remove os.unlink os.rmdir os.mkdir
os.fork os.kill os.putenv shutil.rmtree shutil.copy socket.socket socket.create_connection
urllib.request.urlopen http.client.HTTPConnection webbrowser.open pty.spawn platform.popen
commands.getoutput code.interact timeit.timeit cProfile.run profile.run pdb.run bdb.Bdb.run
doctest.debug_script runpy.run_path runpy._run_code importlib.import_module ctypes.CDLL ctypes.string_at
operator.attrgetter operator.methodcaller operator.itemgetter functools.partial functools.reduce
itertools.starmap types.FunctionType types.CodeType types.SimpleNamespace marshal.loads pickle.loads
_pickle.loads pickle.Unpickler dill.loads cloudpickle.loads joblib.load copyreg._reconstructor
copyreg.__newobj__ copy_reg._reconstructor io.open _io.FileIO io.FileIO pathlib.Path.write_text
pathlib.Path tempfile.mktemp zipfile.ZipFile asyncio.run threading.Thread multiprocessing.Process
signal.alarm sys.exit sys.setrecursionlim sys.modules gc.get_objects inspect.getsource numpy.load
numpy.memmap numpy.testing.runstring numpy.f2py.compile numpy.core.multiarray.fromfile
numpy.distutils.exec_command.exec_command numpy.save torch.load torch.hub.load torch.jit.load
torch.utils.cpp_extension.load torch._utils._rebuild_tensor torch._dynamo.guards.GuardBuilder.get
torch.serialization.load torch.storage._load_from_bytes torch._utils._rebuild_device_tensor_from_numpy
torch.nn.modules torch.nn.Module torch.tensor torch.nn.modules.os models.common.os.system
models.common.torch.load models.common.Path.unlink models.yolo.sys.exit models.os.system
models.yolo.check_version.__globals__ models.common..Conv utils.general.os.system
utils.downloads.safe_download utils.google_utils.os utils.activations.nn.os collections.namedtuple
collections.abc.Callable collections.deque collections.OrderedDict.fromkeys collections.defaultdict
datetime.datetime.now argparse.ArgumentParser argparse.Namespace.__init__ pathlib.PosixPath.unlink
numpy.dtype.type numpy.ndarray.tofile _codecs.lookup _codecs.decode _codecs.register codecs.encode
keras.models.load_model tensorflow.io.read_file tensorflow.raw_ops.WriteFile tfyolo.files.run_folder
tfyolo.weights.torch_file.read_checkpoint tests.weights.hostile.sink
idlelib.pyshell.ModifiedInterpreter pydoc.pipepager lib2to3.pgen2.pgen.generate_grammar
distutils.spawn.spawn site.main venv.create ensurepip.bootstrap turtle.Turtle
""".split()  # noqa: SIM905


class Runs:
    """What Python itself would run on loading; `pickle.dumps` writes it with every protocol."""

    def __init__(self, function: Callable, *args: object) -> None:
        self.made = (function, args)

    def __reduce__(self) -> tuple:
        return self.made


def network(**attributes: object) -> dict:
    return {"model": module("models.yolo.Model", **attributes)}


def with_raw(data: bytes) -> dict:
    return network(value=Raw(data))


def storage(length: object, key: object = "0", kind: object = None) -> Persistent:
    return Persistent(("storage", kind or Name("torch", "FloatStorage"), key, "cpu", length))


def one_tensor(**kwargs: object) -> dict:
    settings: dict = {"key": "0", "length": 4, "shape": (4,), "strides": (1,)} | kwargs
    return {"model": module("models.yolo.Model", buffers={"t": tensor(**settings)})}


def laughs(depth: int, width: int, start: bytes, make: Callable[[bytes], bytes]) -> bytes:
    """Opcodes of a graph that is exponentially large when written out: each level holds the one below."""
    data = start + b"q\x00"
    for _ in range(depth):
        data += make(b"h\x00" * width) + b"q\x00"
    return data


def nest(depth: int) -> bytes:
    return b"]" * depth + b"a" * (depth - 1)


def shared_modules(depth: int, width: int) -> dict:
    """`depth` levels of modules whose `width` children are one module."""
    data = opcodes(module("models.common.Conv")) + b"q\x00"
    names = [text(str(i)) for i in range(width)]
    for _ in range(depth):
        children = Raw(b"}(" + b"".join(name + b"h\x00" for name in names) + b"u")
        data += opcodes(module("models.common.C3", children=children)) + b"q\x00"
    # The lower levels stay on the stack, below a MARK that a tuple takes away again.
    return {"keep": Raw(b"(" + data + b"t"), "model": Raw(b"h\x00")}


def pickles(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Hand-made hostile pickles; none of them may be read."""
    for name in CALLABLES:
        data = sink(name, canary)
        yield name, data
        yield f"{name} inside", pickled(network(value=Raw(data[2:-1])))
        yield f"{name} by NEWOBJ", data[:-2] + b"\x81."
        yield f"{name} by protocol 4", protocol_4(name, canary)
    command = f"touch {canary}"
    for protocol in range(6):
        for function in (os.system, subprocess.Popen, eval, exec, print, getattr, shutil.rmtree, __import__):
            name = f"{function.__name__} {protocol}"
            yield name, pickle.dumps(Runs(function, command), protocol)
            yield f"{name} as ema", pickle.dumps({"ema": Runs(function, command)}, protocol)
    yield "text opcodes", f"cos\nsystem\n(S'{command}'\ntR.".encode()
    yield "INST", f"(S'{command}'\nios\nsystem\n.".encode()
    yield "INST of a module", b"(imodels.common\nConv\n."
    yield "OBJ", b"(cos\nsystem\n" + text(command) + b"o."
    yield "OBJ of a module", b"(cmodels.common\nConv\no."
    yield "NEWOBJ_EX", b"cmodels.common\nConv\n)}\x92."
    for code in (b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"\x84\xff\xff\xff\xff"):
        yield f"EXT {code!r}", b"\x80\x02" + code + b")R."
        yield f"EXT inside {code!r}", pickled(with_raw(code))
    for code in range(256):  # every opcode on an empty stack, and after a few values
        yield f"opcode {code}", b"\x80\x02" + bytes([code]) * 3 + b"."
        yield f"opcode {code} on values", b"\x80\x02}](K\x01N" + bytes([code]) * 2 + b"\xff" * 8 + b"."
    conv = Name("models.common", "Conv")
    states = [
        {"__class__": conv},
        {"__dict__": {}},
        ({}, {"class_name": "x"}),
        (None, {"__class__": 1}),
        1,
        "x",
        [1],
    ]
    for number, state in enumerate(states[2:]):
        yield f"state {number}", pickled({"model": Call(Name("models.yolo", "Model"), (), state, True)})
    for number, target in enumerate(
        (conv, Name("torch", "FloatStorage"), Name("collections", "OrderedDict"), 1, "x")
    ):
        yield f"state of {number}", pickled(with_raw(opcodes(target) + b"}" + text("__call__") + b"K\x01sb"))
        yield f"slots of {number}", pickled(with_raw(opcodes(target) + b"N}" + text("kind") + b"K\x01s\x86b"))
    yield "call a storage", pickled(with_raw(b"ctorch\nFloatStorage\n)R"))
    yield "call a result", pickled(with_raw(opcodes(Call(conv, (), None, True)) + b")R"))
    yield "call text", pickled(with_raw(text("os.system") + b")R"))
    yield "append to a module", pickled(with_raw(opcodes(Call(conv, (), None, True)) + b"K\x01a"))
    yield "items of a module", pickled(with_raw(opcodes(Call(conv, (), None, True)) + text("x") + b"K\x01s"))
    yield "items of a name", pickled(with_raw(b"cmodels.common\nConv\n" + text("x") + b"K\x01s"))
    for key in (1.5, None, (1, 2), 2**200, Raw(b"]"), conv, Raw(b"\x8a\x08" + b"\xff" * 7 + b"\x7f")):
        yield f"key {key}", pickled(network(value={key: 1}))  # type: ignore[dict-item]
    yield "no name", b"\x80\x04K\x01K\x02\x93."
    yield "long name", b"\x80\x02c" + b"a" * 5000 + b"\nb\n."
    yield "name of two lines", b"\x80\x04" + text("os\nevil\x1b[2J") + text("sys\ntem") + b"\x93."
    yield "name not UTF-8", b"\x80\x02c\xff\xfe\n\xff\n."
    yield "text not UTF-8", pickled(with_raw(b"X\x02\x00\x00\x00\xff\xfe"))
    for code, form in (
        (b"X", "<I"),
        (b"B", "<I"),
        (b"T", "<I"),
        (b"\x8b", "<i"),
        (b"\x8d", "<Q"),
        (b"\x8e", "<Q"),
    ):
        for length in (2**31 - 1, 2**20):
            yield f"length {code!r} {length}", pickled(with_raw(code + struct.pack(form, length)))
    yield "bytearray", pickled(with_raw(b"\x96" + struct.pack("<Q", 2**40)))
    yield "frame", b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"."
    yield "no memo", pickled(with_raw(b"h\x63"))
    yield "duplicates", b"\x80\x02]" + b"2" * 100_000 + b"."
    yield "endless marks", b"\x80\x02" + b"(" * 500_000 + b"."
    yield "endless lists", b"\x80\x02" + b"]" * 3_000_000 + b"."
    yield "deep lists", pickled(with_raw(nest(500_000)))
    yield "deep tuples", pickled(with_raw(b")" + b"\x85" * 500_000))
    yield "deep dictionaries", pickled(with_raw((b"}" + text("a")) * 100_000 + b"N" + b"s" * 100_000))
    yield (
        "deep objects",
        pickled({"model": Raw(b"cmodels.common\nConv\nq\x00)" + b"\x85h\x00\x86\x85" * 100_000)}),
    )
    modules = opcodes(module("models.common.C3"))
    for _ in range(200):
        modules = opcodes(module("models.common.C3", children={"a": Raw(modules)}))
    yield "deep modules", pickled({"model": Raw(modules)})
    yield "list in itself", pickled(with_raw(b"]q\x00h\x00a"))
    yield "dictionary in itself", pickled(with_raw(b"}q\x00" + text("a") + b"h\x00s"))
    itself = b"cmodels.common\nC3\n)\x81q\x00}" + text("_modules") + b"}" + text("a") + b"h\x00ssb"
    yield "module in itself", pickled({"model": Raw(itself)})
    for kind, start, end in (("lists", b"]", b"e"), ("tuples", b")", b"t")):
        begin = b"](" if kind == "lists" else b"("
        graph = laughs(30, 10, start, lambda refs, begin=begin, end=end: begin + refs + end)
        yield f"laughing {kind}", pickled({"a": Raw(b"(" + graph + b"t"), **LAST})
    numbers = opcodes(list(range(100_000)))
    for name in ("torch.Size", "__builtin__.set"):  # copies of one long list, five bytes each
        of = opcodes(Name(*name.rsplit(".", 1)))
        copies = of + b"q\x00" + numbers + b"\x85q\x01" + b"h\x00h\x01R" * 50_000
        yield f"copies by {name}", pickled(with_raw(b"(" + copies + b"t"))
    pairs = opcodes(Name("collections", "OrderedDict")) + b"q\x00]("
    pairs += b"K\x01N\x86" * 100_000 + b"e\x85q\x01" + b"h\x00h\x01R" * 50_000
    yield "copies of pairs", pickled(with_raw(b"(" + pairs + b"t"))
    long = opcodes(Name("_codecs", "encode")) + b"q\x00" + text("a" * 10**6) + text("latin1") + b"\x86q\x01"
    yield "copies of text", pickled(with_raw(b"(" + long + b"h\x00h\x01R" * 50_000 + b"t"))
    yield "copies of a state", pickled(copies_of_a_state({f"_{i}": None for i in range(100_000)}))
    unsaved = Call(Name("__builtin__", "set"), (list(range(100_000)),))
    state = {"_non_persistent_buffers_set": unsaved, "_buffers": {str(i): None for i in range(1000)}}
    yield "copies of a set", pickled(copies_of_a_state(state))
    crafted = b"".join(b"\x8a\x08" + struct.pack("<q", i << 38) + b"N" for i in range(400_000))
    yield "keys that collide", pickled(with_raw(b"}(" + crafted + b"u"))
    escape = module("models.yolo.Model", children={"\x1b[2J": module("models.common.Conv")})
    yield "escape sequence as a name", pickled({"model": escape})
    yield "laughing modules", pickled(shared_modules(25, 4))
    yield "wide modules", pickled(shared_modules(3, 3000))
    yield (
        "key with dots",
        pickled({"model": module("models.yolo.Model", children={"a.b": module("models.common.C3")})}),
    )
    yield (
        "key long",
        pickled({"model": module("models.yolo.Model", children={"a" * 99: module("models.common.C3")})}),
    )
    yield "child no module", pickled({"model": module("models.yolo.Model", children={"a": 1})})
    yield (
        "child a record",
        pickled({"model": module("models.yolo.Model", children={"a": Call(Name("torch", "device"))})}),
    )
    yield "parameter no tensor", pickled({"model": module("models.yolo.Model", parameters={"a": [1]})})
    yield "buffers no dictionary", pickled({"model": module("models.yolo.Model", buffers=[1])})
    huge = (2**62, -1, 1.0, True, None, "4", 2**500, 10**12)
    for number in huge:
        yield f"shape {number}", pickled(one_tensor(shape=(number,)))
        yield f"stride {number}", pickled(one_tensor(strides=(number,)))
        yield f"offset {number}", pickled(one_tensor(offset=number))
        yield f"length {number}", pickled(one_tensor(length=number))
        yield f"expanded {number}", pickled(one_tensor(shape=(number, 4), strides=(0, 1)))
    yield "too many dimensions", pickled(one_tensor(shape=(1,) * 64, strides=(1,) * 64))
    yield "dimensions differ", pickled(one_tensor(shape=(1, 1), strides=(1,)))
    yield "laughing tensors", pickled({"model": module("models.yolo.Model", a=many_tensors(20_000))})
    yield "storage missing", pickled(one_tensor(key="17"))
    for key in ("../data.pkl", "/etc/passwd", "", "0/../0", "\0", 0, None):
        yield f"storage {key!r}", pickled(with_raw(opcodes(storage(4, key))))
    yield "storage of no type", pickled(with_raw(opcodes(storage(4, "0", "FloatStorage"))))
    yield "storage of a module", pickled(with_raw(opcodes(storage(4, "0", conv))))
    yield "not a storage", pickled(with_raw(opcodes(Persistent(("module", "a", "b", "c", 1)))))
    yield "not a tuple", pickled(with_raw(text("storage") + b"Q"))
    yield "tensor of nothing", pickled(with_raw(b"ctorch._utils\n_rebuild_tensor_v2\n)R"))
    yield "tensor of a tensor", pickled(with_raw(b"ctorch._utils\n_rebuild_tensor_v2\n(](K\x01e]]tR"))
    yield "parameter of nothing", pickled(with_raw(b"ctorch._utils\n_rebuild_parameter\n)R"))
    yield "no module", pickled({"model": Call(Name("torch", "device"), ("cpu",))})
    yield "nothing after", pickled(network())[:-1]
    yield "nothing", b""


LAST = {"model": module("models.yolo.Model", value=Raw(b"h\x00"))}


def many_tensors(count: int) -> Raw:
    """`count` small views of one storage, three opcodes each; far more numbers than the file holds."""
    made = tensor("0", 4, (4096,), (0,))
    assert isinstance(made.args, tuple)
    start = opcodes(made.of) + b"q\x00" + opcodes(made.args) + b"q\x01R"
    return Raw(b"](" + start + b"h\x00h\x01R" * count + b"e")


def copies_of_a_state(state: dict) -> dict:
    """Ten thousand modules that share one state."""
    shared = opcodes(Name("models.common", "Conv")) + b"q\x00" + opcodes(state) + b"q\x01"
    parts = b"".join(text(str(i)) + b"h\x00)\x81h\x01b" for i in range(10_000))
    keep = Raw(b"(" + shared + b"}(" + parts + b"uq\x02t")
    return {"keep": keep, "model": module("models.yolo.Model", children=Raw(b"h\x02"))}


def protocol_4(name: str, canary: Path) -> bytes:
    place, _, last = name.rpartition(".")
    short = lambda word: b"\x8c" + bytes([len(word)]) + word.encode() + b"\x94"  # noqa: E731
    body = short(place) + short(last) + b"\x93\x94" + text(f"touch {canary}")[:80] + b"\x85R."
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


def archives(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Hostile zip archives around an honest pickle; none of them may be read."""
    good = pickled(one_tensor())
    data = {"0": b"\0" * 16}
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield f"bomb {method}", archive(good, {"0": bytes(50 * 2**20)}, compression=method)
        yield f"pickle bomb {method}", archive(b"\x80\x02" + b"]" * (20 * 2**20), compression=method)
    yield "large pickle", archive(b"\x80\x02" + b"N" * (17 * 2**20) + b".")
    yield "nested", archive(archive(good, data), data)
    yield "nested as storage", archive(pickled({"model": Raw(b"N")}), {"0": archive(good, data)})
    yield "two pickles", archive(good, data, more={"y/data.pkl": good})
    yield "absolute", archive(good, data, root="/x")
    yield "outside", archive(good, data, root="../../x")
    yield "no root", archive(good, data, more={}).replace(b"x/data.pkl", b"xxdata.pkl")
    many = {f"x/{i}": b"" for i in range(80_000)}
    yield "many entries", archive(good, data, more=many)
    plain = archive(good, data)
    at = plain.index(b"PK\x01\x02")
    end = plain.index(b"PK\x05\x06")
    yield "encrypted", plain[: at + 8] + b"\x01" + plain[at + 9 :]
    yield "claims deflated", plain[: at + 10] + b"\x08" + plain[at + 11 :]
    yield "claims version 255", plain[: at + 6] + b"\xff" + plain[at + 7 :]
    yield (
        "duplicate",
        plain.replace(b"x/data/0", b"x/data.p")[:at] + plain[at:].replace(b"x/data/0", b"x/data.p"),
    )
    for size in (2**32 - 1, 2**31, 2**20, 17):
        packed = struct.pack("<I", size)
        second = plain.index(b"PK\x01\x02", at + 4)
        both = plain[: second + 20] + packed + packed + plain[second + 28 :]
        yield f"storage claims {size}", both
        yield f"pickle claims {size}", plain[: at + 20] + packed + packed + plain[at + 28 :]
        yield f"directory claims {size}", plain[: end + 12] + packed + plain[end + 16 :]
        yield f"directory at {size}", plain[: end + 16] + packed + plain[end + 20 :]
        yield f"entry at {size}", plain[: at + 42] + packed + plain[at + 46 :]
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    for size in (2**63, 2**40, 2**24):
        record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**60, 2**60, size, size)
        yield f"zip64 {size}", plain[:end] + record + locator + plain[end:]
    both = plain[: at + 42] + struct.pack("<I", plain.index(b"PK\x03\x04", 4)) + plain[at + 46 :]
    yield "entries swapped", both
    yield "only the end", b"PK\x03\x04" + plain[end:]
    yield "quine-like overlap", overlapping()


def overlapping() -> bytes:
    """A thousand directory entries for the same bytes."""
    plain = archive(pickled(one_tensor()), {"0000": bytes(4096)})
    at, end = plain.rindex(b"PK\x01\x02"), plain.index(b"PK\x05\x06")
    entry = plain[at:end]
    more = b"".join(entry.replace(b"0000", b"%04d" % i) for i in range(1, 1000))
    start = plain.index(b"PK\x01\x02")
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1001, 1001, end - start + len(more), start, 0)
    return plain[:end] + more + tail


def mutations(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """The smallest reference network, damaged in its pickle (checksum made right) or anywhere in the file."""
    rng = random.Random(seed)
    original = BASE.read_bytes()
    with zipfile.ZipFile(BASE) as file:
        root = file.namelist()[0].partition("/")[0]
        data = file.read(f"{root}/data.pkl")
        others = {name: file.read(name) for name in file.namelist() if not name.endswith("data.pkl")}
    directory = original.rindex(b"PK\x05\x06") - 8000

    def again(changed: bytes) -> bytes:
        return archive(changed, root=root, more=others)

    spliced = [
        b"cos\nsystem\n",
        b"R",
        b"b",
        b"\x81",
        b"Q",
        b"t",
        b"(",
        b"0",
        b"2",
        b"u",
        b"s",
        b"e",
        b"h\x05",
        b".",
    ]
    spliced += [
        b"\x82\x01",
        b"N",
        b"}",
        b"]",
        b")",
        b"\x85",
        b"r\xff\xff\xff\xff",
        b"j\x00\x01\x00\x00",
        b"\x93",
    ]
    for number in range(count):
        kind = ("flip", "byte", "splice", "cut", "swap", "file", "directory", "truncate", "number")[
            number % 9
        ]
        at = rng.randrange(2, len(data) - 1)
        changed = bytearray(data)
        if kind == "flip":
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == "byte":
            for _ in range(rng.randrange(1, 6)):
                changed[rng.randrange(2, len(data))] = rng.randrange(256)
        elif kind == "splice":
            changed[at:at] = rng.choice(spliced)
        elif kind == "cut":
            del changed[at : at + rng.randrange(1, 200)]
        elif kind == "swap":
            other = rng.randrange(2, len(data) - 1)
            changed[at : at + 9] = data[other : other + 9]
        elif kind == "number":  # a length, shape, stride or storage size becomes large
            marks = [i for i in range(at, min(at + 3000, len(data) - 5)) if data[i] in b"KMJ"]
            start = rng.choice(marks)
            changed[start : start + 2] = b"\x8a\x08" + struct.pack(
                "<q", rng.choice([2**62, -1, 2**31, 10**9])
            )
        if kind in ("file", "directory", "truncate"):
            whole = bytearray(original)
            if kind == "truncate":
                del whole[rng.randrange(len(whole)) :]
            else:
                low = directory if kind == "directory" else 0
                whole[rng.randrange(low, len(whole))] ^= 1 << rng.randrange(8)
            yield f"{kind} {number}", bytes(whole)
        else:
            yield f"{kind} {number}", again(bytes(changed))
