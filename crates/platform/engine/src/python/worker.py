"""Loads one MLflow model and answers its engine, over the socket that is standard input.

A message is two lengths, JSON, and the bytes of its tensors. This process ends with its engine: the kernel kills it
when the thread that started it is gone, and the end of the socket ends it where it waits.
"""

import ctypes
import os
import signal
import sys

ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    os._exit(1)  # It was gone before the line above.
# A terminal's or a supervisor's word is for the engine, which finishes its requests first.
for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(ignored, signal.SIG_IGN)

import json
import resource
import socket
import struct
import traceback

HEAD = struct.Struct("<IQ")
LENGTH = struct.Struct("<I")
ERROR_CHARS = 300
KINDS = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}
NAMES = {kind.lstrip("<?") or "?": name for name, kind in KINDS.items()}


class Unsendable(Exception):
    """What the model gave is no tensor."""


def receive(wire, size):
    """Exactly so many bytes, or None at the end."""
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = wire.recv_into(view[at:])
        if count == 0:
            return None
        at += count
    return data


def message(wire):
    head = receive(wire, HEAD.size)
    if head is None:
        return None
    json_bytes, tensor_bytes = HEAD.unpack(head)
    text = receive(wire, json_bytes)
    tensors = receive(wire, tensor_bytes)
    return None if text is None or tensors is None else (json.loads(text), tensors)


def send(wire, answer, pieces=()):
    text = json.dumps(answer).encode()
    wire.sendall(HEAD.pack(len(text), sum(len(piece) for piece in pieces)) + text)
    for piece in pieces:
        wire.sendall(piece)


def sentence(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:ERROR_CHARS]


def texts(data, count):
    found, at = [], 0
    for _ in range(count):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        found.append(bytes(data[at : at + length]).decode())
        at += length
    return found


def tensor(spec, data):
    shape = spec["shape"]
    if spec["datatype"] != "BYTES":
        return np.frombuffer(data, dtype=KINDS[spec["datatype"]]).reshape(shape)
    count = 1
    for size in shape:
        count *= size
    array = np.empty(count, dtype=object)
    array[:] = texts(data, count)
    return array.reshape(shape)


def arrays(specs, data):
    view, at, found = memoryview(data), 0, []
    for spec in specs:
        found.append(tensor(spec, view[at : at + spec["bytes"]]))
        at += spec["bytes"]
    return found


def model_input(order, given):
    form, names = order["form"], order["names"]
    if form == "array":
        return given[0]
    if form == "arrays":
        return dict(zip(names, given))
    columns = [
        pandas.to_datetime(pandas.Series(column)) if kind == "datetime" else column
        for column, kind in zip(given, order["kinds"])
    ]
    return pandas.DataFrame(dict(zip(names if form == "frame" else range(len(columns)), columns)))


def outputs(result, declared):
    """What the model gave, as pairs of a name and an array."""

    def named(index):
        return declared[index] if index < len(declared) else f"output-{index}"

    if isinstance(result, pandas.DataFrame):
        plain = isinstance(result.columns, pandas.RangeIndex)
        return [
            (named(index) if plain else str(column), result.iloc[:, index].to_numpy())
            for index, column in enumerate(result.columns)
        ]
    if isinstance(result, pandas.Series):
        return [(named(0), result.to_numpy())]
    if isinstance(result, dict):
        return [(str(name), np.asarray(value)) for name, value in result.items()]
    if hasattr(result, "toarray"):
        result = result.toarray()
    return [(named(0), np.asarray(result))]


def wired(name, array):
    """An array as a datatype, a shape and bytes."""
    if array.dtype.kind == "O":
        values = array.ravel().tolist()
        if all(isinstance(value, str) for value in values):
            array = np.array(values, dtype=object).reshape(array.shape)
            return strings(array, values)
        array = np.asarray(values).reshape(array.shape)
        if array.dtype.kind == "U":
            raise Unsendable(f"the output '{name}' has values of several kinds")
    if array.dtype.kind == "M":
        array = np.datetime_as_string(array)
    if array.dtype.kind in "US":
        return strings(array, array.astype(str).ravel().tolist())
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype("<f8")
    kind = "?" if array.dtype.kind == "b" else f"{array.dtype.kind}{array.dtype.itemsize}"
    if kind not in NAMES:
        raise Unsendable(f"the output '{name}' has values of kind {array.dtype}, which no tensor has")
    little = np.ascontiguousarray(array, dtype=KINDS[NAMES[kind]])
    return NAMES[kind], list(array.shape), little.tobytes()


def strings(array, values):
    encoded = [value.encode() for value in values]
    return "BYTES", list(array.shape), b"".join(LENGTH.pack(len(text)) + text for text in encoded)


def answer(model, order, asked, data):
    given = model_input(order, arrays(asked["inputs"], data))
    params = asked.get("params")
    try:
        result = model.predict(given, params=params) if params else model.predict(given)
    except BaseException as error:
        traceback.print_exc()
        return {"raised": sentence(error)}, ()
    try:
        found = [(name, *wired(name, array)) for name, array in outputs(result, order["outputs"])]
    except Exception as error:
        traceback.print_exc()
        return {"error": str(error) if isinstance(error, Unsendable) else sentence(error)}, ()
    specs = [
        {"name": name, "datatype": datatype, "shape": shape, "bytes": len(piece)}
        for name, datatype, shape, piece in found
    ]
    return {"outputs": specs}, [piece for *_, piece in found]


def main():
    global np, pandas
    wire = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    order, _ = message(wire)
    try:
        import mlflow.pyfunc
        import numpy as np
        import pandas

        model = mlflow.pyfunc.load_model(order["model"])
    except BaseException as error:
        traceback.print_exc()
        send(wire, {"error": sentence(error)})
        return
    send(wire, {"ready": mlflow.__version__})
    while (asked := message(wire)) is not None:
        send(wire, *answer(model, order, *asked))


if __name__ == "__main__":
    main()
