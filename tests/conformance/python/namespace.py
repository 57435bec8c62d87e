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


def enter(hosts=()):
    """Moves this process, which must have one thread, and all that it starts into a network namespace
    with nothing but a loopback interface, where every port is free; the names in `hosts` lead there.
    As root, or where users may make namespaces; raises `OSError` elsewhere."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *arguments):
        if function(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"{function.__name__}: {os.strerror(ctypes.get_errno())}")

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
    if hosts:
        call(libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        with tempfile.NamedTemporaryFile("w", prefix="hosts", delete=False) as file:
            file.write("127.0.0.1 localhost " + " ".join(hosts) + "\n::1 localhost\n")
        os.chmod(file.name, 0o644)
        call(libc.mount, file.name.encode(), b"/etc/hosts", None, MS_BIND, None)
        os.unlink(file.name)


def localhost_port(port):
    """Enters a network of its own; where that is not possible, says so, and `port` has to be free
    here."""
    try:
        enter()
    except OSError as error:
        print(f"no network namespace ({error}): using port {port} of this machine", flush=True)
