"""Caddy as a certificate authority: each challenge, a renewal, and the chain as a client checks it."""

import json
import os
import re
import shutil
import socket
import ssl
from concurrent import futures

from stage import TOOLS, Outcome, Site, Stage, free_port, run as command, service, until

NAME = "Caddy as CA"
EXCEPTIONS = {}
LEFT_OUT = {"dns-01": "`make test` has it, with pebble and bind"}
HOST = "www.example.com"
# Caddy asks at the ports 80 and 443. Addresses of their own leave those of the machine alone.
CHALLENGES = {"tls-alpn-01": "127.77.0.1", "http-01": "127.77.0.2"}
ORDER_WITHIN_SECONDS = 40
# The least that Caddy takes; a renewal is due at half of it.
LIFETIME = "5m"
RENEWAL_WITHIN_SECONDS = 240
CADDYFILE = """\
{{
    admin off
    persist_config off
    skip_install_trust
    auto_https disable_redirects
    storage file_system {folder}
    http_port {http}
    https_port {https}
}}
https://localhost:{https} {{
    tls internal
    acme_server {{
        challenges {challenge}
        lifetime {lifetime}
    }}
}}
"""


class Ca:
    """A Caddy that issues, and a DNS server for Tidegate; for both `HOST` is at `address`."""

    def __init__(self, stage, caddy, challenge, address):
        self.dns, self.https = free_port(), free_port()
        stage.process(
            "dns",
            "pebble-challtestsrv",
            "-defaultIPv4",
            address,
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-dns01",
            f"127.0.0.1:{self.dns}",
            "-management",
            f"127.0.0.1:{free_port()}",
        )
        until("names resolve", self.resolves, lambda: stage.log("dns"))
        folder = stage.folder / "caddy"
        file = stage.folder / "Caddyfile"
        file.write_text(
            CADDYFILE.format(
                folder=folder,
                http=free_port(),
                https=self.https,
                challenge=challenge,
                lifetime=LIFETIME,
            )
        )
        # Caddy resolves names as its system does, so it gets a file of hosts in a name space.
        hosts = stage.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{address} {HOST}\n")
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        stage.process(
            "caddy",
            "unshare",
            "--mount",
            *rights,
            "sh",
            "-c",
            script,
            "sh",
            hosts,
            caddy,
            "run",
            "--config",
            file,
            "--adapter",
            "caddyfile",
            env={**os.environ, "XDG_DATA_HOME": str(stage.folder), "XDG_CONFIG_HOME": str(stage.folder)},
        )
        self.root = folder / "pki/authorities/local/root.crt"
        until("Caddy issues", self.is_ready, lambda: stage.log("caddy"))

    def resolves(self):
        """The DNS server takes TCP, too."""
        with socket.create_connection(("127.0.0.1", self.dns), 1):
            return True

    def is_ready(self):
        if not self.root.exists():
            return False
        context = ssl.create_default_context(cafile=self.root)
        with socket.create_connection(("127.0.0.1", self.https), 5) as raw:
            with context.wrap_socket(raw, server_hostname="localhost"):
                return True


def run(stage):
    ours = TOOLS / "python/bin/caddy"
    caddy = ours if ours.exists() else shutil.which("caddy")
    version = re.search(r"\d+\.\d+\.\d+", command(caddy, "version"))[0]
    outcome = Outcome(version)
    # Both at once, because they wait for their renewals most of the time.
    with futures.ThreadPoolExecutor() as pool:
        begun = [pool.submit(issue, stage.binary, outcome, caddy, *pair) for pair in CHALLENGES.items()]
    for one in begun:
        one.result()
    return outcome


def issue(binary, outcome, caddy, challenge, address):
    with Stage(binary) as stage:
        ca = Ca(stage, caddy, challenge, address)
        edge = stage.edge(
            {
                "listen": [f"{address}:80"],
                "tls": {
                    "listen": [f"{address}:443"],
                    "email": "ops@example.com",
                    "ca": f"https://localhost:{ca.https}/acme/local/directory",
                    "ca_root": str(ca.root),
                    "resolvers": [f"127.0.0.1:{ca.dns}"],
                    "challenges": [challenge],
                },
                "services": {"web": service(Site(stage).address, routes=[{"host": HOST}])},
            }
        )
        why = lambda: stage.log("tidegate")
        with outcome.check(f"{challenge}: a certificate that clients trust"):
            until("a certificate", lambda: serial(address, ca), why, ORDER_WITHIN_SECONDS)
        first = serial(address, ca)
        with outcome.check(f"{challenge}: a page over HTTPS by curl"):
            said = command(
                "curl",
                "--silent",
                "--show-error",
                "--fail",
                "--cacert",
                ca.root,
                "--resolve",
                f"{HOST}:443:{address}",
                f"https://{HOST}/",
            )
            assert "Conformance" in said, said
        with outcome.check(f"{challenge}: the certificate is listed as held"):
            [listed] = json.loads(edge.ask("/api/v1/certificates")[1])["certificates"]
            assert (listed["state"], listed["names"]) == ("held", [HOST]), listed
        with outcome.check(f"{challenge}: a renewal in time"):
            until("a renewal", lambda: serial(address, ca) not in [None, first], why, RENEWAL_WITHIN_SECONDS)
        with outcome.check(f"{challenge}: no error in Caddy's log"):
            errors = [line for line in stage.log("caddy").splitlines() if '"level":"error"' in line]
            assert not errors, errors[0]


def serial(address, ca):
    """The serial number that a client gets, once it trusts the chain."""
    context = ssl.create_default_context(cafile=ca.root)
    try:
        with socket.create_connection((address, 443), 15) as raw:
            with context.wrap_socket(raw, server_hostname=HOST) as secured:
                return secured.getpeercert()["serialNumber"]
    except ssl.SSLError:
        return None
