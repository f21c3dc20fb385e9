"""grpc-js as client, in front of the server of grpcio: the short list, in talk.mjs."""

import json
import os
import subprocess

import talk
from stage import HOST, ROOT, TOOLS, Authority, Outcome

NAME = "grpc-js"
EXCEPTIONS = {}
LEFT_OUT = {}


def run(stage):
    pb, services = talk.generated(stage)
    server = talk.Server(stage, pb, services)
    authority = Authority(stage.folder)
    edge = talk.site(stage, server, authority, HOST)
    packages = TOOLS / "node/node_modules"
    version = json.loads((packages / "@grpc/grpc-js/package.json").read_text())["version"]
    outcome = Outcome(version)
    for way, port in [("TLS", edge.https), ("clear", edge.http)]:
        environment = {
            **os.environ,
            "PACKAGES": str(packages),
            "PROTO": str(talk.PROTO),
            "HOST": HOST,
            "ADDRESS": f"127.0.0.1:{port}",
            "ROOT": str(authority.root) if way == "TLS" else "",
        }
        done = subprocess.run(
            ["node", str(ROOT / "bench/conformance/talk.mjs")],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for result in results:
            outcome.add(f"{way}: {result['name']}", result["error"] is None, str(result["error"]))
        outcome.add(f"{way}: all were tried", done.returncode == 0, f"{done.returncode}: {done.stderr[-300:]}")
    return outcome
