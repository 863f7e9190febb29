"""Writes GGUF files, version 3, with the standard library and numpy."""

import struct

import numpy

TYPES = {"u32": (4, "<I"), "i32": (5, "<i"), "f32": (6, "<f"), "bool": (7, "<?"), "string": (8, None)}
F32, Q8_0 = 0, 8
ALIGNMENT = 32
BLOCK = 32


def string(text):
    """A string with its length."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    """One value without its type."""
    return string(value) if kind == "string" else struct.pack(TYPES[kind][1], value)


def entry(key, kind, value):
    """One metadata entry; a list is an array."""
    number = TYPES[kind][0]
    if isinstance(value, (list, tuple)):
        return string(key) + struct.pack("<IIQ", 9, number, len(value)) + b"".join(scalar(kind, item) for item in value)
    return string(key) + struct.pack("<I", number) + scalar(kind, value)


def quantize(array):
    """A matrix in blocks of 32 with a half-precision scale each: Q8_0."""
    blocks = array.astype(numpy.float32).reshape(-1, BLOCK)
    scales = numpy.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = numpy.divide(1, scales, out=numpy.zeros_like(scales), where=scales > 0)
    numbers = numpy.round(blocks * inverse).astype(numpy.int8)
    return numpy.concatenate([scales.astype("<f2").view(numpy.uint8), numbers.view(numpy.uint8)], axis=1).tobytes()


def write(path, metadata, tensors):
    """Writes [(key, kind, value)] and {name: array}: matrices as Q8_0, vectors as they are."""
    head, body = b"", b""
    for name, array in tensors.items():
        data = quantize(array) if array.ndim == 2 else array.astype("<f4").tobytes()
        kind = Q8_0 if array.ndim == 2 else F32
        head += string(name) + struct.pack(f"<I{array.ndim}Q", array.ndim, *reversed(array.shape)) + struct.pack("<IQ", kind, len(body))
        body += data + bytes(-len(data) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(entry(*item) for item in metadata) + head
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + body)
