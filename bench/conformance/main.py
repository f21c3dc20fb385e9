"""Runs other people's suites against Tidegate, each in a process of its own.

bench/README.md has the method and the results.
"""

import argparse
import fnmatch
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from stage import Stage

# Modules of `suites`, and the seconds that each may take.
SUITES = {
    "testssl": 600,
    "sslyze": 300,
    "frames": 600,
    "grpcio": 300,
    "grpc_js": 300,
    "autobahn": 1200,
    "caddy_ca": 400,
    "clients": 300,
    "chromium": 300,
    "websockets_h2": 1200,
}
BEGIN = "<!-- conformance: written by `conformance --update` -->"
END = "<!-- conformance: end -->"


def main():
    options = arguments()
    if options.one:
        return one(options)
    chosen = options.only or list(SUITES)
    began = time.monotonic()
    results = []
    for name in chosen:
        result = in_own_process(name, options)
        results.append(result)
        print(line(result), flush=True)
        for finding in result["findings"]:
            print(f"    {finding}", flush=True)
    text = table(results, time.monotonic() - began)
    print(f"\n{text}")
    if options.update:
        update(options.update, text)
    return 1 if any(result["findings"] for result in results) else 0


def arguments():
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.split("\n")[0])
    parser.add_argument("binary", type=pathlib.Path, help="path of tidegate")
    parser.add_argument("--only", action="append", choices=SUITES, help="runs this suite; may be repeated")
    parser.add_argument("--update", type=pathlib.Path, metavar="FILE", help="writes the results there")
    parser.add_argument("--one", choices=SUITES, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    if not options.binary.exists():
        parser.error(f"there is no {options.binary}")
    return options


def one(options):
    """Runs a suite here, and writes its result as JSON."""
    suite = importlib.import_module(f"suites.{options.one}")
    with Stage(options.binary) as stage:
        outcome = suite.run(stage)
    options.into.write_text(json.dumps(judged(options.one, suite, outcome)))
    # Threads of servers that still wait for clients do not hold the process.
    sys.stdout.flush()
    os._exit(0)


def judged(name, suite, outcome):
    """Takes the findings out that the suite excepts. An exception without a finding is one itself."""
    whole = {f"{finding}: {text}": finding for finding, text in outcome.findings.items()}
    findings, excepted = list(whole), {}
    for known, reason in suite.EXCEPTIONS.items():
        found = fnmatch.filter(findings, known)
        findings = [finding for finding in findings if finding not in found]
        excepted.setdefault(reason, []).extend(whole[finding] for finding in found)
        if not found:
            findings.append(f"{known}: no longer found; take it out of EXCEPTIONS")
    return {
        "suite": suite.NAME,
        "version": outcome.version,
        "passed": len(outcome.passed),
        "findings": findings,
        "excepted": excepted,
        "left_out": suite.LEFT_OUT,
    }


def in_own_process(name, options):
    with tempfile.TemporaryDirectory() as folder:
        into = pathlib.Path(folder) / "result.json"
        command = [sys.executable, __file__, str(options.binary), "--one", name, "--into", str(into)]
        # Files of a suite that was ended go with this folder.
        child = subprocess.Popen(command, start_new_session=True, env={**os.environ, "TMPDIR": folder})
        try:
            child.wait(SUITES[name])
            why = f"ended with {child.returncode} and without a result"
        except subprocess.TimeoutExpired:
            why = f"not done within {SUITES[name]} s"
        finally:
            # The group of the suite: itself, and processes that it could not end any more.
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        if into.exists():
            return json.loads(into.read_text())
    return {"suite": f"`{name}`", "version": "-", "passed": 0, "findings": [why], "excepted": {}, "left_out": {}}


def line(result):
    words = f"{result['suite']} ({result['version']}): {result['passed']} passed, {len(result['findings'])} failed"
    if result["excepted"]:
        words += f", {excepted(result)} excepted"
    if result["left_out"]:
        words += f"; left out: {', '.join(result['left_out'])}"
    return words


def excepted(result):
    return sum(map(len, result["excepted"].values()))


def table(results, seconds):
    rows = [
        f"{sum(result['passed'] for result in results)} checks passed, "
        f"{sum(len(result['findings']) for result in results)} failed, in {seconds / 60:.0f} minutes.",
        "",
        "| suite | version | passed | failed | excepted |",
        "|---|---|--:|--:|--:|",
    ]
    for result in results:
        rows.append(
            f"| {result['suite']} | {result['version']} | {result['passed']} | "
            f"{len(result['findings'])} | {excepted(result)} |"
        )
    notes = []
    for result in results:
        notes += [f"- *{result['suite']}*, failed: {finding}" for finding in result["findings"]]
        for reason, found in result["excepted"].items():
            notes.append(f"- *{result['suite']}*, excepted: {reason}: {'; '.join(found)}")
        for cases, reason in result["left_out"].items():
            notes.append(f"- *{result['suite']}*, left out: {cases}, because {reason}")
    return "\n".join(rows + ([""] + notes if notes else []))


def update(file, text):
    old = file.read_text()
    before, found, rest = old.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        sys.exit(f"conformance: {file} lacks `{BEGIN}` and `{END}`")
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
