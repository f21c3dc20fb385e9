"""Chromium on the example's page, over HTTPS and HTTP/2, with a WebSocket."""

import base64
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import zlib

from stage import HOST, ROOT, Authority, Outcome, free_port, service

NAME = "Chromium"
EXCEPTIONS = {}
LEFT_OUT = {}


def run(stage):
    acts = stage.binary.with_name("acts")
    data = stage.folder / "acts"
    data.mkdir()
    replicas = []
    for number in range(2):
        replicas.append(f"127.0.0.1:{free_port()}")
        environment = {**os.environ, "ACTS_LISTEN": replicas[-1], "ACTS_DATA": str(data)}
        stage.process(f"acts-{number}", acts, env=environment)
    echo = free_port()
    stage.process("echo", sys.executable, ROOT / "bench/conformance/echo.py", echo)
    pair = Authority(stage.folder).certificate("site", HOST)
    edge = stage.edge(
        {
            "tls": {"certificates": [pair]},
            "plugins": ["replica-header"],
            "services": {
                "acts": {"addresses": replicas, "healthcheck": {"path": "/api/v1/_health"}},
                "echo": service(f"127.0.0.1:{echo}", routes=[{"path": "/echo"}]),
            },
        }
    )
    photo = stage.folder / "photo.png"
    photo.write_bytes(png(640, 480))
    shots = ROOT / "target/screenshots"
    environment = {
        **os.environ,
        "BASE": f"https://{HOST}:{edge.https}",
        "HOST": HOST,
        "KEY": key_hash(pair["cert"]),
        "PHOTO": str(photo),
        "SHOTS": str(shots),
    }
    done = subprocess.run(
        ["node", ROOT / "bench/conformance/browse.mjs"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    version = next((line["version"] for line in lines if "version" in line), "-")
    outcome = Outcome(version)
    for line in lines:
        if "name" in line:
            outcome.add(line["name"], line["error"] is None, str(line["error"]))
    outcome.add("all was tried", done.returncode == 0 and version != "-", f"{done.returncode}: {done.stderr[-300:]}")
    return outcome


def key_hash(certificate):
    """SHA-256 of the certificate's key, as Chromium takes it."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], capture_output=True, check=True)
    raw = base64.b64decode(b"".join(key.stdout.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(raw).digest()).decode()


def png(width, height):
    """A photo of noise, which no program can make much smaller."""
    rows = b"".join(b"\0" + random.randbytes(3 * width) for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    whole = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        whole += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return whole
