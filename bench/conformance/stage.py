"""Parts of several suites: Tidegate, its certificates, servers behind it, and the outcome."""

import contextlib
import http.client
import http.server
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target" / "conformance"
START_WITHIN_SECONDS = 30
END_WITHIN_SECONDS = 10
HOST = "conformance.test"


class Outcome:
    """Named checks of one suite: those that passed, and findings of the others."""

    def __init__(self, version):
        self.version = version
        self.passed = []
        self.findings = {}

    @contextlib.contextmanager
    def check(self, name):
        try:
            yield
        except Exception as failure:
            where = traceback.extract_tb(failure.__traceback__)[-1]
            text = f"{type(failure).__name__}: {failure}".strip(": ")
            self.fail(name, f"{text} ({pathlib.Path(where.filename).name}:{where.lineno})")
        else:
            self.passed.append(name)

    def fail(self, name, text):
        self.findings[name] = re.sub(r"\s+", " ", text)[:300]

    def add(self, name, is_right, text=""):
        if is_right:
            self.passed.append(name)
        else:
            self.fail(name, text)


class Stage:
    """One suite's folder and processes; all of them end with it."""

    def __init__(self, binary):
        self.binary = binary
        self.ends = contextlib.ExitStack()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="conformance-"))
        self.ends.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ends.close()

    def process(self, name, *command, **options):
        log = open(self.folder / f"{name}.log", "wb")
        command = [str(part) for part in command]
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)
        self.ends.callback(end, child)
        return child

    def edge(self, config):
        return Edge(self, config)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")


class Edge:
    """A Tidegate with its own ports, folder and configuration. `https` is open if `tls` is there."""

    def __init__(self, stage, config):
        self.stage = stage
        self.http, self.https, self.admin = free_port(), free_port(), free_port()
        state = stage.folder / "state"
        state.mkdir()
        whole = {
            "listen": [f"127.0.0.1:{self.http}"],
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "state_dir": str(state),
            "instance": f"conformance-{self.admin}",
            "threads": 2,
            **config,
        }
        if "tls" in whole:
            whole["tls"] = {"listen": [f"127.0.0.1:{self.https}"], **whole["tls"]}
            listen = whole["tls"]["listen"][0]
            self.https = int(listen.rsplit(":", 1)[1])
        self.http = int(whole["listen"][0].rsplit(":", 1)[1])
        # JSON is YAML.
        file = stage.folder / "tidegate.yaml"
        file.write_text(json.dumps(whole, indent=1))
        self.process = stage.process("tidegate", stage.binary, "run", "-c", file)
        until("Tidegate is ready", self.is_ready, lambda: stage.log("tidegate"))

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Tidegate ended:\n{self.stage.log('tidegate')[-200:]}")
        return self.ask("/readyz")[0] == 200

    def ask(self, path):
        """Status and body of a GET at the admin API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()


class Authority:
    """A certificate authority made by openssl, which issues for `HOST` and localhost."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root.pem"
        self.openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=Conformance root",
            "-days",
            "365",
            "-keyout",
            "root.key",
            "-out",
            "root.pem",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        )

    def certificate(self, name, *hosts):
        """A pair for `tls.certificates`; valid for 90 days, with a place of revocations."""
        names = ",".join(f"DNS:{host}" for host in hosts)
        (self.folder / f"{name}.ext").write_text(
            f"subjectAltName={names},IP:127.0.0.1\n"
            "basicConstraints=critical,CA:false\n"
            "keyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\n"
            "subjectKeyIdentifier=hash\n"
            "authorityKeyIdentifier=keyid\n"
            f"crlDistributionPoints=URI:http://{HOST}/revoked.crl\n"
        )
        self.openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            f"/CN={hosts[0]}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        self.openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-days",
            "90",
            "-sha256",
            "-extfile",
            f"{name}.ext",
            "-out",
            f"{name}.pem",
        )
        return {"cert": str(self.folder / f"{name}.pem"), "key": str(self.folder / f"{name}.key")}

    def openssl(self, *arguments):
        run("openssl", *arguments, cwd=self.folder)


class Page(http.server.BaseHTTPRequestHandler):
    """A small site: a page, `/bytes/N`, and `/echo` for bodies."""

    protocol_version = "HTTP/1.1"
    # Otherwise a head and its body leave 40 ms apart.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        sized = re.fullmatch(r"/bytes/(\d+)", self.path)
        body = b"x" * int(sized[1]) if sized else b"<!doctype html><title>Conformance</title>\n"
        self.answer(body, "text/html; charset=utf-8")

    do_HEAD = do_GET

    def do_POST(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(body, "application/octet-stream")

    do_PUT = do_POST

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Site(http.server.ThreadingHTTPServer):
    """Serves `Page` at a port of its own, with `headers` in each answer."""

    request_queue_size = 256

    def __init__(self, stage, headers=()):
        super().__init__(("127.0.0.1", 0), Page)
        self.headers = headers
        threading.Thread(target=self.serve_forever, daemon=True).start()
        stage.ends.callback(self.server_close)
        stage.ends.callback(self.shutdown)

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """Connections that break off are part of the suites."""


def site_over_tls(stage, headers=(), services=None, **tls):
    """A Tidegate with a certificate for `HOST` and localhost in front of a `Site`, and more services."""
    authority = Authority(stage.folder)
    pair = authority.certificate("site", HOST, "localhost")
    site = Site(stage, headers)
    services = {"web": service(site.address), **(services or {})}
    edge = stage.edge({"tls": {"certificates": [pair], **tls}, "services": services})
    return edge, authority


def service(*addresses, **more):
    return {"addresses": list(addresses), "healthcheck": {"type": "tcp", "interval": "1s"}, **more}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(wanted, holds, because=lambda: "", within=START_WITHIN_SECONDS):
    """Tries `holds` until its result is true, and returns that."""
    deadline = time.monotonic() + within
    while True:
        try:
            if found := holds():
                return found
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {wanted}\n{because().strip()[-200:]}")
        time.sleep(0.1)


def run(*command, within=60, **options):
    """Output of a command that must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        timeout=within,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        **options,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout[-1500:]}")
    return done.stdout


def end(child):
    child.terminate()
    try:
        child.wait(END_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
