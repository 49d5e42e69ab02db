# SPDX-License-Identifier: MIT
"""Runs a command as root of a new user namespace, as a container does.  All ids are mapped into the namespace, and no
further user namespace can be made in it.  Needs root.

usage: in_userns.py COMMAND...
"""
import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None, use_errno=True)
to_child, to_parent = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    os.close(to_child[1])
    if libc.unshare(CLONE_NEWUSER) != 0:
        os._exit(125)
    os.write(to_parent[1], b"x")
    os.read(to_child[0], 1)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    with open("/proc/sys/user/max_user_namespaces", "w") as f:
        f.write("0")
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(to_parent[1])
if os.read(to_parent[0], 1) == b"x":
    for kind in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{kind}", "w") as f:
            f.write("0 0 65536")
    os.write(to_child[1], b"x")
# Passes signals to the command and exits with its status, so that a caller sees no difference to the command.
import signal

for sig in (signal.SIGTERM, signal.SIGINT):
    signal.signal(sig, lambda s, _: os.kill(pid, s))
while True:
    try:
        _, status = os.waitpid(pid, 0)
        break
    except InterruptedError:
        pass
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
