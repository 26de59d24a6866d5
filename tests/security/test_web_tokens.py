"""JSON web tokens: keys of each kind, what is in a token, and what nobody may get in with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import ConfigError
from stompserver.security.account import Account
from stompserver.security.web_tokens import Key, WebTokens, algorithms_of, key_set, one_key

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> bytes:
    octets: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return octets


def reader(
    keys: list[Key], algorithms: list[str], audience: str = "", issuer: str = "", **words: Any
) -> tuple[WebTokens, list[str]]:
    told: list[str] = []
    made = WebTokens(
        keys,
        algorithms,
        words.get("login", "sub"),
        words.get("groups", "groups"),
        audience,
        issuer,
        lambda: NOW,
        told.append,
    )
    return made, told


def secret_reader(**words: Any) -> tuple[WebTokens, list[str]]:
    return reader([Key("oct", "", "", SECRET.encode())], ["HS256"], **words)


def signed(claims: dict[str, Any], **words: Any) -> str:
    return jwt.encode(claims, SECRET, "HS256", **words)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS256", RSA), ("PS512", RSA), ("ES256", EC), ("EdDSA", ED)],
    ids=lambda each: str(each)[:6],
)
def test_a_public_key_checks_what_its_owner_signed(tmp_path: Path, algorithm: str, key: Any) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    here, told = reader(one_key(path, [algorithm]), [algorithm])
    token = jwt.encode({"sub": "alice", "exp": NOW + 10}, key, algorithm)
    assert here.recognise("", token) == Account("alice", frozenset(), NOW + 10)
    head, body, signature = token.split(".")
    wrong = "A" if signature[5] != "A" else "B"
    assert here.recognise("", f"{head}.{body}.{signature[:5]}{wrong}{signature[6:]}") is None
    assert told == ["accounts: a JWT was refused: Signature verification failed"]


def test_a_secret_is_a_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    here, _ = reader(one_key(path, ["HS256"]), ["HS256"])
    assert here.recognise("alice", signed({"sub": "alice"})) == Account("alice")


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    """The classic: who knows the public key signs with it as if it were a secret."""
    path = tmp_path / "key.pem"
    path.write_bytes(pem(RSA))
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(b'{"sub":"admin"}').rstrip(b"=")
    mac = hmac.digest(pem(RSA), head + b"." + body, hashlib.sha256)
    forged = (head + b"." + body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()
    here, told = reader(one_key(path, ["RS256"]), ["RS256"])
    assert here.recognise("", forged) is None
    assert told == ["accounts: a JWT was refused: its algorithm HS256 is not among jwt-algorithms"]
    # Also where both kinds are taken, each by its own key.
    keys = [*one_key(path, ["RS256"]), Key("oct", "", "", SECRET.encode())]
    both, told = reader(keys, ["RS256", "HS256"])
    assert both.recognise("", forged) is None
    assert both.recognise("", signed({"sub": "me"})) == Account("me")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 1, ["HS256"], "hs256", "HS512"])
def test_no_other_algorithm_is_taken(algorithm: Any) -> None:
    def part(content: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    here, told = secret_reader()
    for signature in ("", "AAAA"):
        token = f"{part({'alg': algorithm})}.{part({'sub': 'admin'})}.{signature}"
        assert here.recognise("", token) is None
    assert told


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"sub": "a", "exp": NOW}, "it has expired"),
        ({"sub": "a", "exp": NOW - 1}, "it has expired"),
        ({"sub": "a", "nbf": NOW + 61}, "it is not valid yet"),
        ({"sub": "a", "exp": "soon"}, "its claim exp is no time"),
        ({"sub": "a", "exp": True}, "its claim exp is no time"),
        ({"sub": "a", "exp": 1e300}, "its claim exp is no time"),
        ({"exp": NOW + 1}, "its claim sub is no login"),
        ({"sub": ""}, "its claim sub is no login"),
        ({"sub": "two\nlines"}, "its claim sub is no login"),
        ({"sub": "a" * 1025}, "its claim sub is no login"),
    ],
)
def test_a_token_that_is_refused(claims: dict[str, Any], why: str) -> None:
    here, told = secret_reader()
    assert here.recognise("", signed(claims)) is None
    assert told == [f"accounts: a JWT was refused: {why}"]


def test_the_clock_of_who_signs_may_be_a_little_ahead() -> None:
    here, _ = secret_reader()
    assert here.recognise("", signed({"sub": "a", "nbf": NOW + 59, "iat": NOW + 59})) == Account("a")


@pytest.mark.parametrize(
    ("claims", "right"),
    [
        ({"aud": "broker", "iss": "me"}, True),
        ({"aud": ["other", "broker"], "iss": "me"}, True),
        ({"aud": "other", "iss": "me"}, False),
        ({"iss": "me"}, False),
        ({"aud": "broker"}, False),
        ({"aud": "broker", "iss": "you"}, False),
    ],
)
def test_audience_and_issuer(claims: dict[str, Any], right: bool) -> None:
    here, _ = secret_reader(audience="broker", issuer="me")
    assert (here.recognise("", signed({"sub": "a", **claims})) is not None) == right


def test_without_an_audience_any_is_taken() -> None:
    here, _ = secret_reader()
    assert here.recognise("", signed({"sub": "a", "aud": "other"})) == Account("a")


@pytest.mark.parametrize(
    ("name", "claims", "groups"),
    [
        ("groups", {"groups": ["staff", "ops"]}, {"staff", "ops"}),
        ("scope", {"scope": "send  consume"}, {"send", "consume"}),
        ("realm_access.roles", {"realm_access": {"roles": ["admin"]}}, {"admin"}),
        ("https://a.b/roles", {"https://a.b/roles": ["x"]}, {"x"}),
        ("groups", {"groups": [1, "", "ok", None, "a\nb"]}, {"ok"}),
        ("groups", {"groups": 7}, set()),
        ("groups", {}, set()),
        ("sub.more", {}, set()),
    ],
)
def test_groups(name: str, claims: dict[str, Any], groups: set[str]) -> None:
    here, _ = secret_reader(groups=name)
    account = here.recognise("", signed({"sub": "a", **claims}))
    assert account is not None and account.groups == groups


def test_the_login_may_be_another_claim() -> None:
    here, _ = secret_reader(login="user.name")
    assert here.recognise("", signed({"sub": "1", "user": {"name": "alice"}})) == Account("alice")


def test_connect_may_not_say_another_login() -> None:
    here, told = secret_reader()
    assert here.recognise("bob", signed({"sub": "alice"})) is None
    assert told == ["accounts: a JWT was refused: the login of CONNECT is not that of the token"]


@given(st.text() | st.from_regex(r"eyJ[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_no_text_is_a_fault(text: str) -> None:
    here, _ = secret_reader()
    assert here.recognise("", text) is None


@given(
    st.dictionaries(
        st.sampled_from(["sub", "exp", "nbf", "groups"]),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_whatever_is_signed_is_a_login_or_refused(claims: dict[str, Any]) -> None:
    here, _ = secret_reader()
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), head + b"." + body, "sha256")).rstrip(b"=")
    account = here.recognise("", b".".join([head, body, mac]).decode())
    if account is not None:
        assert account.login == claims["sub"]
        assert account.expires is None or account.expires > NOW


# Files of keys


def jwk(key: Any, algorithm: str, **more: str) -> dict[str, Any]:
    made: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**made, **more}


def test_of_a_key_set_the_key_with_the_id_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = [
        jwk(RSA, "RS256", kid="1"),
        jwk(OTHER_RSA, "RS256", kid="2"),
        jwk(EC, "ES256", kid="3", use="sig"),
    ]
    path.write_text(json.dumps({"keys": [*keys, jwk(RSA, "RS256", kid="4", use="enc"), {"kty": "new"}]}))
    found = key_set(path, ["RS256", "ES256"])
    assert [key.id for key in found] == ["1", "2", "3"]
    here, told = reader(found, ["RS256", "ES256"])
    for key, algorithm, id in [(RSA, "RS256", "1"), (OTHER_RSA, "RS256", "2"), (EC, "ES256", "3")]:
        assert here.recognise("", jwt.encode({"sub": "a"}, key, algorithm, headers={"kid": id})) == Account(
            "a"
        )
        assert here.recognise("", jwt.encode({"sub": "a"}, key, algorithm)) == Account("a")
    assert here.recognise("", jwt.encode({"sub": "a"}, RSA, "RS256", headers={"kid": "2"})) is None
    assert here.recognise("", jwt.encode({"sub": "a"}, RSA, "RS256", headers={"kid": "9"})) is None
    assert told[-1] == "accounts: a JWT was refused: there is no key for it"


def test_a_key_is_for_its_own_algorithm(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(RSA, "RS256", alg="RS512")]}))
    here, _ = reader(key_set(path, ["RS256", "RS512"]), ["RS256", "RS512"])
    assert here.recognise("", jwt.encode({"sub": "a"}, RSA, "RS512")) == Account("a")
    assert here.recognise("", jwt.encode({"sub": "a"}, RSA, "RS256")) is None


@pytest.mark.parametrize(
    ("content", "algorithms", "text"),
    [
        (pem(RSA), ["HS256"], "jwt-key is a public key, which is no secret for HS256"),
        (pem(RSA), ["ES256"], "jwt-key is of the kind RSA, which is not that of ES256"),
        (pem(RSA), ["RS256", "ES256"], "jwt-key is of the kind RSA, which is not that of RS256, ES256"),
        (SECRET.encode(), ["RS256"], "jwt-key is no PEM, so it is a secret, and fits only HS256"),
        (b"short\n", ["HS256"], "jwt-key has 5 octets; HS256 takes at least 32"),
        (SECRET.encode(), ["HS256", "HS512"], "jwt-key has 32 octets; HS512 takes at least 64"),
        (
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            ["RS256"],
            "jwt-key cannot be read",
        ),
        (
            RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            ["RS256"],
            "jwt-key has a private key in it; give the public one",
        ),
    ],
)
def test_a_key_that_cannot_be_used(tmp_path: Path, content: bytes, algorithms: list[str], text: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=text):
        one_key(path, algorithms)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "is no JSON web key set"),
        ("[]", "is no JSON web key set"),
        ('{"keys": 1}', "is no JSON web key set"),
        ('{"keys": []}', "has no key that fits jwt-algorithms: RS256"),
        ('{"keys": [{"kty": "EC"}]}', "has no key that fits"),
        ('{"keys": [{"kty": "RSA"}]}', "key 1 cannot be read"),
    ],
)
def test_a_key_set_that_cannot_be_used(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=text):
        key_set(path, ["RS256"])


def test_algorithms_are_said() -> None:
    assert algorithms_of(["rs256", "EdDSA"]) == ["RS256", "EdDSA"]
    for names in ([], ["none"], ["RS257"]):
        with pytest.raises(ConfigError, match="jwt-algorithms"):
            algorithms_of(names)
