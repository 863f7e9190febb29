"""Empty stand-ins for the CUDA libraries that torch's Linux wheel is linked with.

The wheel needs about three gigabytes of CUDA packages merely to be imported. Training here uses the CPU alone, so this makes
libraries of the same names in which every function fails and no device is found. It does nothing where torch imports already.

    python stubs.py
"""

import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile

OTHERS_OWN = re.compile(r"_?Py|__|_ITM|_Jv|_Z")


def readelf(*arguments):
    """What readelf prints."""
    return subprocess.run(["readelf", "-W", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def needed(library):
    """Names of the libraries that this one is linked with."""
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", readelf("-d", library))


def version_nodes(library):
    """The version nodes that a library expects of others: {file: {node}}."""
    nodes, file = {}, None
    for line in readelf("-V", library).splitlines():
        if found := re.search(r"Version: \d+\s+File: (\S+)", line):
            file = found[1]
        elif file and (found := re.search(r"Name: (\S+)\s+Flags:", line)):
            nodes.setdefault(file, set()).add(found[1])
    return nodes


def symbols(library):
    """The dynamic symbols of a library: those it defines, and the undefined ones as (name, version or None)."""
    defined, undefined = set(), set()
    for line in readelf("--dyn-syms", library).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":") or not fields[0][:-1].isdigit():
            continue
        name, _, version = fields[7].partition("@")
        if fields[6] == "UND":
            if fields[4] == "GLOBAL":
                undefined.add((name, version.strip("@") or None))
        else:
            defined.add(name)
    return defined, undefined


def is_system(name):
    """Whether the system's own loader finds a library."""
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    return f"\t{name} " in listed


def plan(folder):
    """What every missing library must define: {library: {version node or None: {symbol}}}."""
    libraries = sorted(folder.glob("*.so*"))
    present = {library.name for library in libraries}
    missing, nodes, defined, undefined = set(), {}, set(), set()
    for library in libraries:
        missing.update(name for name in needed(library) if name not in present)
        for file, names in version_nodes(library).items():
            nodes.setdefault(file, set()).update(names)
        own, foreign = symbols(library)
        defined |= own
        undefined |= foreign
    missing = {name for name in missing if not is_system(name)}
    stubs = {name: {node: set() for node in nodes.get(name, ())} for name in missing}
    unversioned = {name for name, version in undefined if version is None and name not in defined and not OTHERS_OWN.match(name)}
    for contents in stubs.values():
        for node, names in contents.items():
            names.update(name for name, version in undefined if version == node)
    linked = needed(folder / "libtorch_cuda.so")
    plain = [name for name in linked if name in stubs and not stubs[name]]
    if plain:
        stubs[plain[0]][None] = unversioned
    return stubs


def build(name, contents, folder):
    """Compiles one stand-in into the folder."""
    names = sorted(set().union(*contents.values()))
    code = "".join(
        f"int {symbol}({'int *count' if symbol == 'cudaGetDeviceCount' else 'void'}) "
        f"{{ {'*count = 0; ' if symbol == 'cudaGetDeviceCount' else ''}return 100; }}\n"
        for symbol in names
    )
    with tempfile.TemporaryDirectory() as scratch:
        source, script = pathlib.Path(scratch, "stub.c"), pathlib.Path(scratch, "stub.map")
        source.write_text(code or "int stub_without_symbols;\n")
        script.write_text("".join(f"{node} {{ global: {' '.join(s + ';' for s in sorted(members))} }};\n"
                                  for node, members in sorted(contents.items()) if node))
        command = ["gcc", "-w", "-O0", "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{name}", "-o", str(folder / name), str(source)]
        if any(contents):
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)


def torch_imports():
    """Whether torch can be imported in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0


def main():
    if torch_imports():
        return
    folder = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib"
    for name, contents in sorted(plan(folder).items()):
        build(name, contents, folder)
        print(f"stand-in: {name}, {sum(map(len, contents.values()))} symbols")
    if not torch_imports():
        sys.exit("torch cannot be imported, even with stand-ins for the CUDA libraries")


if __name__ == "__main__":
    main()
