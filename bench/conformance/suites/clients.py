"""curl, nghttp and h2load over HTTPS and HTTP/2."""

import re
import subprocess

import curl_cffi

from stage import HOST, Outcome, run as command, site_over_tls

NAME = "curl, nghttp, h2load"
EXCEPTIONS = {}
LEFT_OUT = {}
BODY_BYTES = 3 << 20


def run(stage):
    edge, authority = site_over_tls(stage)
    old = re.search(r"curl (\S+)", command("curl", "--version"))[1]
    new = re.search(r"libcurl/(\d+\.\d+\.\d+)", curl_cffi.__curl_version__)[1]
    nghttp = re.search(r"nghttp2/(\S+)", command("nghttp", "--version"))[1]
    outcome = Outcome(f"curl {old} and {new}, nghttp2 {nghttp}")
    by_curl(outcome, stage, edge, authority)
    by_new_curl(outcome, edge, authority)
    by_nghttp(outcome, edge)
    by_h2load(outcome, edge)
    return outcome


def by_curl(outcome, stage, edge, authority):
    body = stage.folder / "body"
    body.write_bytes(bytes(range(256)) * (BODY_BYTES // 256))

    def curl(*arguments, port=edge.https, scheme="https", path="/"):
        got = stage.folder / "got"
        said = command(
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--cacert",
            authority.root,
            "--output",
            got,
            "--write-out",
            "%{http_version} %{response_code}",
            "--connect-to",
            f"{HOST}:{port}:127.0.0.1:{port}",
            *arguments,
            f"{scheme}://{HOST}:{port}{path}",
        )
        return said, got.read_bytes()

    for shown, version, *arguments in [
        ("HTTP/2 by ALPN", "2"),
        ("HTTP/1.1 by ALPN", "1.1", "--http1.1"),
        ("HTTP/1.0", "1.1", "--http1.0"),
        ("TLS 1.2", "2", "--tls-max", "1.2"),
        ("TLS 1.3 alone", "2", "--tlsv1.3"),
    ]:
        with outcome.check(f"curl: {shown}"):
            said, got = curl(*arguments)
            assert said == f"{version} 200" and b"Conformance" in got, said
    # Without that header, curl would send a body of HTTP/1.1 that has no end.
    for shown, *arguments in [("HTTP/2",), ("HTTP/1.1", "--http1.1", "--header", "transfer-encoding: chunked")]:
        with outcome.check(f"curl: a body of 3 MiB and back, {shown}"):
            said, got = curl("--data-binary", f"@{body}", *arguments, path="/echo")
            assert got == body.read_bytes(), said
        with outcome.check(f"curl: a body without a length, {shown}"):
            said, got = curl("--upload-file", f"{body}", "--header", "content-length:", *arguments, path="/echo")
            assert got == body.read_bytes(), said
        with outcome.check(f"curl: HEAD, {shown}"):
            said, _ = curl("--head", *arguments)
            assert said.endswith(" 200"), said
    with outcome.check("curl: a redirect from http to https"):
        said, _ = curl("--max-redirs", "0", port=edge.http, scheme="http")
        assert said == "1.1 308", said
    with outcome.check("curl: no certificate for another name"):
        other = ["--connect-to", f"other.test:{edge.https}:127.0.0.1:{edge.https}", f"https://other.test:{edge.https}/"]
        done = subprocess.run(["curl", "--silent", "--insecure", *other], capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 35, f"curl ended with {done.returncode}"


def by_new_curl(outcome, edge, authority):
    """libcurl in Python, which greets as browsers do, with X25519MLKEM768."""
    url = f"https://localhost:{edge.https}"
    for browser in ["chrome", "firefox", "safari"]:
        with outcome.check(f"libcurl as {browser}: HTTP/2"):
            with curl_cffi.Session(impersonate=browser, verify=str(authority.root), timeout=20) as session:
                got = session.get(f"{url}/bytes/100000")
                assert got.status_code == 200 and len(got.content) == 100_000, got.status_code
                assert got.http_version == curl_cffi.CurlHttpVersion.V2_0, got.http_version
                got = session.post(f"{url}/echo", data=bytes(BODY_BYTES))
                assert got.content == bytes(BODY_BYTES)


def by_nghttp(outcome, edge):
    url = f"https://localhost:{edge.https}"
    with outcome.check("nghttp: 50 requests on a connection"):
        said = command("nghttp", "--no-verify-peer", "--stat", "--null-out", "--multiply=50", f"{url}/bytes/50000")
        statuses = re.findall(r"^\s*\d+\s+\+\S+\s+\+\S+\s+\S+\s+(\d+)\s+\S+\s+\S+$", said, re.M)
        assert statuses == ["200"] * 50, said[-300:]
    with outcome.check("nghttp: a small window"):
        said = command(
            "nghttp", "--no-verify-peer", "--window-bits=10", "--connection-window-bits=10", f"{url}/bytes/200000"
        )
        assert said.count("x") == 200_000, len(said)
    with outcome.check("nghttp: trailers and padding"):
        said = command(
            "nghttp", "--no-verify-peer", "--padding=100", "--trailer=x-end: yes", "--data=/etc/services", f"{url}/echo"
        )
        assert "tcp" in said, said[:200]
    with outcome.check("nghttp: CONTINUATION"):
        said = command("nghttp", "--no-verify-peer", "--continuation", "--header=x-long: " + "a" * 9000, f"{url}/")
        assert "Conformance" in said, said[:200]


def by_h2load(outcome, edge):
    for shown, *arguments in [
        ("20 connections, 10 streams each", "-n20000", "-c20", "-m10"),
        ("one connection, 100 streams", "-n5000", "-c1", "-m100"),
        ("200 connections", "-n4000", "-c200", "-m1"),
        ("HTTP/1.1", "-n4000", "-c20", "--h1"),
    ]:
        with outcome.check(f"h2load: {shown}"):
            said = command("h2load", *arguments, f"https://localhost:{edge.https}/bytes/1000", within=120)
            counts = re.search(
                r"(\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said
            )
            assert counts and counts[1] == counts[2] and counts.groups()[2:] == ("0", "0", "0"), counts and counts[0]
            assert f"{counts[1]} 2xx" in said, said[-300:]
