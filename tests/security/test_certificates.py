"""Certificates without a server: what is wrong with files, what certificates say, and when that is told."""

from __future__ import annotations

import logging
import os
import re
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stompserver.config import Config
from stompserver.errors import ConfigError
from stompserver.security.certificates import Pair, Wanted, distinguished_name, load, names_in
from stompserver.server.fronts import fronts_of
from stompserver.server.renewal import Renewal

if TYPE_CHECKING:
    from papers import Papers

DAY = 86400.0


def parts(path: Path) -> tuple[bytes, bytes]:
    """Key and certificate of a file with both."""
    octets = path.read_bytes()
    cut = octets.index(b"-----BEGIN CERT")
    return octets[:cut], octets[cut:]


@pytest.fixture
def folder(tmp_path: Path, papers: Papers) -> Path:
    key, certificate = parts(papers.server)
    other_key, _ = parts(papers.issue("another", "localhost"))
    command = ["openssl", "ec", "-aes256", "-passout", "pass:word"]
    locked = subprocess.run(command, input=key, capture_output=True, check=True).stdout
    rsa = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout
    for name, octets in {
        "rsa": rsa, "cert": certificate, "key": key, "other": other_key, "locked": locked, "noise": b"\xff\x00",
        "word": b"word\r\nx", "wrong": b"wrong\n", "both": key + certificate,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(octets)
    return tmp_path


def test_what_a_certificate_says(papers: Papers) -> None:
    found = load(Wanted((Pair(papers.server, None),)))
    (certificate,) = found.certificates
    assert certificate.names == ("localhost", "127.0.0.1", "::1")
    assert re.fullmatch(r"OU=Testing cert #\S+,O=trustme \S+", certificate.subject)
    assert re.fullmatch(r"OU=Testing CA #\S+,O=trustme \S+", certificate.issuer)
    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"pairs": (("none", None),)}, "tls-cert: {}/none: no such file or directory"),
        ({"pairs": (("cert", "none"),)}, "tls-key: {}/none: no such file or directory"),
        (
            {"pairs": (("cert", "other"),)},
            "tls-cert: {}/cert: the key in {}/other belongs to another certificate",
        ),
        (
            {"pairs": (("cert", "rsa"),)},
            "tls-cert: {}/cert: the key in {}/rsa belongs to another certificate",
        ),
        ({"pairs": (("cert", None),)}, "tls-cert: {}/cert: no private key in it, and no tls-key is set"),
        ({"pairs": (("noise", "key"),)}, "tls-cert: {}/noise and {}/key: not a certificate and a key in PEM"),
        (
            {"pairs": (("cert", "locked"),)},
            "tls-key: {}/locked: the key is encrypted: needs a password; name a file with it",
        ),
        (
            {"pairs": (("cert", "locked"),), "password_file": "wrong"},
            "tls-key: {}/locked: the key is encrypted: the password in tls-key-password-file is wrong",
        ),
        (
            {"pairs": (("cert", "locked"),), "password_file": "none"},
            "tls-key-password-file: {}/none: no such file or directory",
        ),
        ({"client_ca": "none"}, "tls-client-ca: {}/none: no such file or directory"),
        ({"client_ca": "noise"}, "tls-client-ca: {}/noise: not in PEM"),
        ({"client_ca": "cert", "crl": "cert"}, "tls-crl: {}/cert: no list of revoked certificates in it"),
        ({"ciphers": "NONE-SUCH"}, "tls-ciphers: OpenSSL knows none of 'NONE-SUCH'"),
    ],
)
def test_what_is_wrong_with_files(folder: Path, files: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {"pairs": (("both", None),), **files}
    given["pairs"] = tuple(Pair(folder / cert, folder / key if key else None) for cert, key in given["pairs"])
    for name in ("password_file", "client_ca", "crl"):
        if name in given:
            given[name] = folder / given[name]
    with pytest.raises(ConfigError) as caught:
        load(Wanted(**given))
    assert str(caught.value).startswith(text.replace("{}", str(folder)))
    assert "\n" not in str(caught.value)


def test_a_password_in_a_file(folder: Path) -> None:
    assert load(Wanted((Pair(folder / "cert", folder / "locked"),), folder / "word")).certificates


def test_a_certificate_that_is_for_clients_alone(tmp_path: Path, papers: Papers) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path / "client.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(ConfigError, match="no handshake can be made with it: unsuitable certificate purpose"):
        load(Wanted((Pair(file, None),)))


def test_names_in_a_subject() -> None:
    subject = (
        (("countryName", "DE"),),
        (("organizationName", "A, B + C"),),
        (("commonName", "#x "), ("userId", "1")),
    )
    assert distinguished_name(subject) == "CN=\\#x\\ +UID=1,O=A\\, B \\+ C,C=DE"
    said = {
        "subject": (*subject, (("commonName", "last"),)),
        "subjectAltName": (("DNS", "a"), ("email", "b")),
    }
    assert names_in(said, "cn") == ["last"]
    assert names_in(said, "san-dns") == ["a"]
    assert names_in(said, "san-email") == ["b"]
    assert names_in(said, "san-uri") == []


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 1025, "nul\0"])
def test_what_could_forge_a_line_or_is_too_long_is_no_login(name: str) -> None:
    said = {"subject": ((("commonName", name),),), "subjectAltName": (("DNS", name), ("DNS", "fine"))}
    assert names_in(said, "cn") == []
    assert names_in(said, "san-dns") == ["fine"]


# As time goes by


@pytest.fixture
def watched(tmp_path: Path, papers: Papers, caplog: pytest.LogCaptureFixture) -> Callable[..., Renewal]:
    """`watched(path)` makes a Renewal of a listener with that certificate, and the clock that it goes by."""
    caplog.set_level(logging.INFO)

    def make(path: Path, now: Callable[[], float]) -> Renewal:
        return Renewal(fronts_of(Config(tls="yes", tls_cert=path)), now)

    return make


def test_the_end_of_a_certificate_is_told_at_three_times_and_when_it_is_there(
    watched: Callable[..., Renewal], papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    begin = datetime(2030, 1, 1, tzinfo=UTC)
    path = papers.issue("short", "localhost", not_before=begin, not_after=begin + timedelta(days=90))
    end = (begin + timedelta(days=90)).timestamp()
    now = [end - 60 * DAY]
    renewal = watched(path, lambda: now[0])
    told = []
    while now[0] < end + 3 * DAY:
        renewal.look()
        if caplog.records:
            assert len(caplog.records) == 1
            told.append((round((end - now[0]) / DAY, 3), caplog.messages[0].partition("expire")[2]))
            caplog.clear()
        now[0] += DAY / 24
    assert told == [
        (30.0, "s in 30 days, on 2030-04-01; put the new one in its place"),
        (7.0, "s in 7 days, on 2030-04-01; put the new one in its place"),
        (1.0, "s in 24 hours, on 2030-04-01; put the new one in its place"),
        (0.0, "d on 2030-04-01"),
    ]


def test_a_change_of_the_files_is_seen_and_a_wrong_one_told_once(
    watched: Callable[..., Renewal], tmp_path: Path, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "now.pem"
    file.write_bytes(papers.server.read_bytes())
    renewal = watched(file, lambda: 1e9)
    first = renewal.context(0)
    renewal.look()
    assert renewal.context(0) is first
    # Written in two steps, as some do.
    file.write_bytes(b"half")
    for _ in range(3):
        renewal.look()
    assert renewal.context(0) is first
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert renewal.failures == 1
    # Put in its place by a rename, with the time of the old one, as Kubernetes does.
    other = tmp_path / "next.pem"
    other.write_bytes(papers.issue("fresh", "fresh.example").read_bytes())
    state = file.stat()
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.rename(file)
    renewal.look()
    assert renewal.context(0) is not first
    assert renewal.certificates()[0].names == ("fresh.example",)


# --make-certificate


def command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stompserver", *words],
        cwd=directory, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_certificate_for_a_first_try(
    tmp_path: Path, start_server: Callable[..., Any], papers: Papers
) -> None:
    done = command(tmp_path, "--make-certificate", "broker.example", "127.0.0.1")
    assert (done.returncode, done.stderr) == (0, "")
    etc = tmp_path / "etc"
    assert "etc/server.pem: a certificate with its key, for broker.example, 127.0.0.1\n" in done.stdout
    assert stat.S_IMODE((etc / "server.pem").stat().st_mode) == 0o600
    before = {path.name: path.read_bytes() for path in etc.iterdir()}
    assert set(before) == {"ca.pem", "server.pem"}
    assert b"KEY" not in before["ca.pem"]
    again = command(tmp_path, "--make-certificate")
    assert again.returncode == 2
    assert "is there already; nothing was made" in again.stderr
    assert {path.name: path.read_bytes() for path in etc.iterdir()} == before
    checked = command(tmp_path, "--check", "--tls", "--tls-cert=server.pem")
    assert re.search(
        r"# Certificate \S+/etc/server.pem: CN=broker.example, for broker.example, 127.0.0.1, until ",
        checked.stdout,
    )
    server = start_server("--tls", "--tls-cert=server.pem", directory=tmp_path)
    context = papers.context(ca=etc / "ca.pem")
    for name in ("broker.example", "127.0.0.1"):
        papers.connect(server.port, name=name, context=context).close()
    with pytest.raises(ssl.SSLCertVerificationError):
        papers.connect(server.port, name="other.example", context=context)


@pytest.mark.parametrize("name", ["a b", "..", "-", "x" * 64 + ".example", "ümlaut.example"])
def test_names_that_no_machine_has(tmp_path: Path, name: str) -> None:
    done = command(tmp_path, "--make-certificate", "fine.example", "--", name)
    assert done.returncode == 2
    assert "is neither a name of a machine nor an address" in done.stderr
    assert not (tmp_path / "etc").exists()


def test_without_the_library(tmp_path: Path) -> None:
    (tmp_path / "cryptography.py").write_text("raise ModuleNotFoundError('no', name='cryptography')")
    done = subprocess.run(
        [sys.executable, "-m", "stompserver", "--make-certificate"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--make-certificate: needs the library cryptography; pip install 'stompserver[tls]'" in done.stderr


def test_check_warns_of_what_is_near_its_end(tmp_path: Path, papers: Papers) -> None:
    now = datetime.now(UTC)
    soon = papers.issue("soon", "localhost", not_before=now - timedelta(1), not_after=now + timedelta(3.5))
    done = command(tmp_path, "--check", "--tls", f"--tls-cert={soon}")
    assert done.returncode == 0
    assert "warning: " in done.stderr
    assert "expires in 3 days" in done.stderr
    done = command(tmp_path, "--check", "--tls", f"--tls-cert={tmp_path}/none")
    assert done.returncode == 2
    assert "tls-cert: " in done.stderr
    assert "no such file" in done.stderr
