"""sslyze: Mozilla's intermediate profile."""

import importlib.metadata
import json
import subprocess

from stage import HOST, TOOLS, Outcome, site_over_tls

NAME = "sslyze, Mozilla intermediate"
EXCEPTIONS = {}
LEFT_OUT = {}
# Attacks on old versions and ciphers, by their names in the report.
UNHARMED = {
    "heartbleed": "is_vulnerable_to_heartbleed",
    "openssl_ccs_injection": "is_vulnerable_to_ccs_injection",
    "session_renegotiation": "is_vulnerable_to_client_renegotiation_dos",
    "tls_compression": "supports_compression",
    "tls_1_3_early_data": "supports_early_data",
}


def run(stage):
    edge, authority = site_over_tls(stage, hsts={"max_age": "1year"})
    outcome = Outcome(importlib.metadata.version("sslyze"))
    report = stage.folder / "report.json"
    done = subprocess.run(
        [
            TOOLS / "python/bin/sslyze",
            "--mozilla_config=intermediate",
            "--early_data",
            f"--certinfo_ca_file={authority.root}",
            f"--json_out={report}",
            f"{HOST}:{edge.https}{{127.0.0.1}}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
    )
    # Lines with a star are the differences from the profile.
    said = done.stdout.partition("COMPLIANCE AGAINST")[2]
    outcome.add("profile", done.returncode == 0 and ": OK" in said, said or done.stderr)
    results = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    for name, attempt in results.items():
        outcome.add(
            f"{name} completed", attempt["status"] in ["COMPLETED", "NOT_SCHEDULED"], str(attempt["error_reason"])
        )
    for name, key in UNHARMED.items():
        result = results[name]["result"]
        outcome.add(f"{name}: {key}", result and result[key] is False, str(result))
    [deployment] = results["certificate_info"]["result"]["certificate_deployments"]
    chains = deployment["path_validation_results"]
    outcome.add("chain of trust", any(chain["was_validation_successful"] for chain in chains), "no store trusts it")
    return outcome
