"""A network of one's own: tests that name `localhost:9092` or other hosts run there as written."""

import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import tempfile

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    """A system call; its failure is an `OSError`."""
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function.__name__}: {os.strerror(code)}")


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [None if x is None else str(x).encode() for x in (source, target, kind)]
    call(libc.mount, *encoded, flags, None if data is None else data.encode())


def enter(hosts=()):
    """Moves this process, which must have one thread, and all that it starts into a network namespace
    with nothing but a loopback interface, where every port is free, and into a mount namespace, where
    the names in `hosts` lead to that interface. As root, or where users may make namespaces; raises
    `OSError` elsewhere."""
    user, group = os.getuid(), os.getgid()
    try:
        call(libc.unshare, CLONE_NEWNET | CLONE_NEWNS)
    except PermissionError:
        call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack_from("16sh", request)[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if hosts:
        with tempfile.NamedTemporaryFile("w", prefix="hosts", delete=False) as file:
            file.write("127.0.0.1 localhost " + " ".join(hosts) + "\n::1 localhost\n")
        os.chmod(file.name, 0o644)
        mount(file.name, "/etc/hosts", None, MS_BIND)
        os.unlink(file.name)


def link(path, target, needed):
    """Lets `path` lead to `target` in this namespace, where everything else in the folder of `path` is
    hidden; false when one of the paths `needed` would be hidden too, or it is not allowed."""
    path = pathlib.Path(path)
    if any(pathlib.Path(n).absolute().is_relative_to(path.parent) for n in needed):
        return False
    try:
        if not path.is_symlink():
            mount("none", path.parent, "tmpfs")
    except OSError:
        return False
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    return True


def add(folder, more, work):
    """Adds the files of the folder `more` to those in `folder`, in this namespace; `work` is a new
    folder for that. False when it is not possible."""
    for name in ("upper", "work"):
        (work / name).mkdir(parents=True)
    for file in more.iterdir():
        (work / "upper" / file.name).symlink_to(file.resolve())
    try:
        mount("overlay", folder, "overlay", data=f"lowerdir={folder},upperdir={work / 'upper'},workdir={work / 'work'}")
    except OSError:
        return False
    return True


def localhost_port(port):
    """Enters a network of its own; where that is not possible, says so, and `port` has to be free
    here."""
    try:
        enter()
    except OSError as error:
        print(f"no network namespace ({error}): using port {port} of this machine", flush=True)
