"""A command in a network of its own: only loopback answers, and every other packet is written down.

`python -m tests.cli.alone NOTES COMMAND…` carries out the command in a network namespace whose one
way out is a tunnel that ends here. Whatever the command or a child of it sends to another machine
comes out of the tunnel: NOTES gets one JSON list of `[protocol, address, port]`. Names are looked
up at an address beyond the tunnel, so that a query is seen as well. Nothing is ever answered.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

TUNNEL = Path("/dev/net/tun")
_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000
_SET_TUNNEL, _TUNNEL, _BARE = 0x400454CA, 0x0001, 0x1000
_PORTED = {6: "tcp", 17: "udp"}


def obstacle() -> str:
    """Say what there is no namespace for; empty if there can be one."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root may open a network namespace here"
    if not TUNNEL.exists():
        return f"there is no {TUNNEL}"
    missing = [name for name in ("ip", "mount", "unshare") if shutil.which(name) is None]
    if missing:
        return f"there is no command {missing[0]}"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "the machine refuses a network namespace"


def main(notes: str, *command: str) -> int:
    """Carry out the command; gives its status."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK | _NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "no namespace")
    tunnel = os.open(TUNNEL, os.O_RDWR)
    fcntl.ioctl(tunnel, _SET_TUNNEL, struct.pack("16sH22x", b"out", _TUNNEL | _BARE))
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolver:
        resolver.write("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
        resolver.flush()
        for line in (
            "mount --make-rprivate /",
            f"mount --bind {resolver.name} /etc/resolv.conf",
            "ip link set lo up",
            "ip address add 198.51.100.1/24 dev out",
            "ip link set out up",
            "ip route add default dev out",
        ):
            subprocess.run(line.split(), check=True)
        seen: list[tuple[str, str, int]] = []
        threading.Thread(target=_listen, args=(tunnel, seen), daemon=True).start()
        status = subprocess.run(command, check=False).returncode
        Path(notes).write_text(json.dumps(sorted(set(seen))), encoding="utf-8")
    return status


def _listen(tunnel: int, seen: list[tuple[str, str, int]]) -> None:
    """Note whither each packet was to go."""
    while packet := os.read(tunnel, 65536):
        if packet[0] >> 4 != 4:
            continue  # the kernel's own greetings on a new link are IPv6; there is no such route
        protocol, length = packet[9], (packet[0] & 15) * 4
        address = socket.inet_ntoa(packet[16:20])
        port = struct.unpack("!H", packet[length + 2 : length + 4])[0]
        name = _PORTED.get(protocol)
        seen.append((name or str(protocol), address, port if name else 0))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
