"""testssl.sh: nothing of severity MEDIUM or above."""

import json
import re
import shutil
import subprocess

from stage import HOST, Outcome, site_over_tls

NAME = "testssl.sh"
GRAVE = ["MEDIUM", "HIGH", "CRITICAL", "FATAL"]
EXCEPTIONS = {
    "cipher_order: HIGH: NOT a cipher order configured": "Mozilla's intermediate profile, which sslyze checks, leaves the "
    "choice among strong ciphers to the client",
}
LEFT_OUT = {}
WITHIN_SECONDS = 570

# Findings about the site's own answers, which are the replica's.
HEADERS = [
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'self'"),
    ("referrer-policy", "no-referrer"),
]


def run(stage):
    program = shutil.which("testssl") or "testssl.sh"
    edge, authority = site_over_tls(stage, HEADERS, hsts={"max_age": "1year"})
    report = stage.folder / "report.json"
    # The exit code counts findings of any severity.
    done = subprocess.run(
        [
            program,
            "--quiet",
            "--color",
            "0",
            "--warnings",
            "off",
            "--ip",
            "127.0.0.1",
            "--add-ca",
            str(authority.root),
            "--jsonfile",
            str(report),
            f"{HOST}:{edge.https}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )
    version = subprocess.run([program, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    outcome = Outcome(re.search(r"testssl(?:\.sh)?\s+(\S+)", version.stdout)[1])
    if not report.exists():
        outcome.fail("report", done.stdout[-300:] + done.stderr[-300:])
        return outcome
    found = json.loads(report.read_text())
    for one in found:
        outcome.add(one["id"], one["severity"] not in GRAVE, f"{one['severity']}: {one['finding']}")
    ids = {one["id"] for one in found}
    for wanted in ["TLS1_3", "cert_chain_of_trust", "heartbleed"]:
        outcome.add(f"reached {wanted}", wanted in ids, "testssl.sh ended before it")
    for wanted in ["HSTS", "clientsimulation-"]:
        is_there = any(one.startswith(wanted) for one in ids)
        outcome.add(f"reached {wanted}", is_there, "testssl.sh ended before it")
    return outcome
