"""JSON web tokens (RFC 7519) as passcodes: signed by somebody else, checked here with a key."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.types import Options

from stompserver.errors import ConfigError
from stompserver.security.account import Account, usable

log = logging.getLogger("stompserver")

FAMILIES: Final = {
    "HS256": "oct", "HS384": "oct", "HS512": "oct",
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
    "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC",
    "EDDSA": "OKP",
}  # fmt: skip
"""The algorithms that there are, in capitals, and the kind of key that each takes (RFC 7518, RFC 8037)."""

SKEW: Final = 60.0
"""Seconds by which the clock of who made a token may be ahead of ours (``nbf``)."""

LONGEST: Final = 16 * 1024
"""Characters of a token."""

MOST_GROUPS: Final = 1000
"""Groups of a token that count."""

_NAMES: Final = {name: "EdDSA" if name == "EDDSA" else name for name in FAMILIES}
_SECRET: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Octets that a secret has at least (RFC 7518, 3.2)."""

_UNTIMED: Final[Options] = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
"""The time is looked at here, by a clock that is passed in."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the kind ``family``; ``id`` and ``algorithm`` are "" where its file does not say."""

    family: str
    id: str
    algorithm: str
    material: Any


class WebTokens:
    """Checks tokens with ``keys``, by one of the ``algorithms`` alone. ``login`` and ``groups`` are the names of
    claims, a dot leads into a claim of claims. ``audience`` and ``issuer`` have to be those of the token; "" is any.
    ``wall`` is Unix time in s. ``complain`` takes why a token was refused.
    """

    name: Final = "jwt"

    def __init__(
        self,
        keys: Sequence[Key],
        algorithms: Sequence[str],
        login: str,
        groups: str,
        audience: str,
        issuer: str,
        wall: Callable[[], float],
        complain: Callable[[str], None] = log.warning,
    ) -> None:
        self._keys = tuple(keys)
        self._algorithms = frozenset(algorithms)
        self._login = login
        self._groups = groups
        self._audience = audience or None
        self._issuer = issuer or None
        self._wall = wall
        self._complain = complain

    def recognise(self, login: str, passcode: str) -> Account | None:
        """Who the token says that is, for who gives the same login or none."""
        if passcode.count(".") != 2 or not passcode.startswith("eyJ") or len(passcode) > LONGEST:
            # "eyJ" is how a JSON object begins in base64.
            return None
        try:
            account = self._account(jwt.get_unverified_header(passcode), passcode)
        except jwt.PyJWTError as problem:
            self._complain(f"accounts: a JWT was refused: {problem}")
            return None
        if login not in ("", account.login):
            self._complain("accounts: a JWT was refused: the login of CONNECT is not that of the token")
            return None
        return account

    def _account(self, header: dict[str, Any], token: str) -> Account:
        """Raises PyJWTError."""
        claims = self._claims(header, token)
        now = self._wall()
        expires = _time(claims, "exp")
        if expires is not None and now >= expires:
            raise jwt.ExpiredSignatureError("it has expired")
        begins = _time(claims, "nbf")
        if begins is not None and now + SKEW < begins:
            raise jwt.ImmatureSignatureError("it is not valid yet")
        login = _claim(claims, self._login)
        if not usable(login):
            raise jwt.InvalidTokenError(f"its claim {self._login} is no login")
        return Account(str(login), _groups(_claim(claims, self._groups)), expires)

    def _claims(self, header: dict[str, Any], token: str) -> dict[str, Any]:
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise jwt.InvalidAlgorithmError(
                f"its algorithm {str(algorithm)[:20]} is not among jwt-algorithms"
            )
        family = FAMILIES[algorithm.upper()]
        # What is signed by one kind of key is never checked with another kind.
        fitting = [key for key in self._keys if key.family == family and key.algorithm in ("", algorithm)]
        id = header.get("kid")
        if id is not None and any(key.id for key in fitting):
            fitting = [key for key in fitting if key.id in ("", id)]
        problem: jwt.PyJWTError = jwt.InvalidKeyError("there is no key for it")
        for key in fitting:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.material,
                    algorithms=[algorithm],
                    audience=self._audience,
                    issuer=self._issuer,
                    options={**_UNTIMED, "verify_aud": self._audience is not None},
                )
                return claims
            except jwt.InvalidSignatureError as wrong:
                problem = wrong
        raise problem


def algorithms_of(names: Sequence[str]) -> list[str]:
    """As tokens have them. Raises ConfigError."""
    if not names:
        raise ConfigError("jwt-algorithms: say by which algorithms tokens are signed, for example RS256")
    for name in names:
        if name.upper() not in FAMILIES:
            known = ", ".join(_NAMES.values())
            raise ConfigError(f"jwt-algorithms: {name[:20]!r} is not taken; known: {known}")
    return [_NAMES[name.upper()] for name in names]


def one_key(path: Path, algorithms: Sequence[str]) -> list[Key]:
    """The key of ``jwt-key``: a public key or certificate as PEM, or a secret. Raises ConfigError."""
    octets = _read(path, "jwt-key")
    families = {FAMILIES[name.upper()] for name in algorithms}
    if b"-----BEGIN " not in octets:
        if families != {"oct"}:
            raise ConfigError(
                f"{path}: jwt-key is no PEM, so it is a secret, and fits only HS256, HS384 and HS512"
            )
        secret = octets.strip()
        least = max(_SECRET[name] for name in algorithms)
        if len(secret) < least:
            raise ConfigError(
                f"{path}: jwt-key has {len(secret)} octets; {max(algorithms)} takes at least {least}"
            )
        return [Key("oct", "", "", secret)]
    if "oct" in families:
        raise ConfigError(f"{path}: jwt-key is a public key, which is no secret for HS256 and its like")
    if b"PRIVATE KEY-----" in octets:
        raise ConfigError(f"{path}: jwt-key has a private key in it; give the public one")
    try:
        if b"-----BEGIN CERTIFICATE-----" in octets:
            material: Any = load_pem_x509_certificate(octets).public_key()
        else:
            material = load_pem_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise ConfigError(f"{path}: jwt-key cannot be read: {problem}") from None
    family = _family(material)
    if families != {family}:
        raise ConfigError(
            f"{path}: jwt-key is of the kind {family}, which is not that of {', '.join(algorithms)}"
        )
    return [Key(family, "", "", material)]


def key_set(path: Path, algorithms: Sequence[str]) -> list[Key]:
    """The keys of ``jwt-keys``, a JSON web key set (RFC 7517). Raises ConfigError."""
    try:
        content = json.loads(_read(path, "jwt-keys"))
        given = content["keys"]
        if not isinstance(given, list):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f'{path}: jwt-keys is no JSON web key set: {{"keys": [...]}}') from None
    families = {FAMILIES[name.upper()] for name in algorithms}
    keys = []
    for number, each in enumerate(given, 1):
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("kty") not in families:
            continue
        try:
            material = jwt.PyJWK(each).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm) as problem:
            raise ConfigError(f"{path}: jwt-keys: key {number} cannot be read: {problem}") from None
        if hasattr(material, "public_key"):
            material = material.public_key()
        keys.append(Key(str(each["kty"]), str(each.get("kid", "")), str(each.get("alg", "")), material))
    if not keys:
        raise ConfigError(f"{path}: jwt-keys has no key that fits jwt-algorithms: {', '.join(algorithms)}")
    return keys


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read {option}: {error.strerror}") from None


def _family(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC"
    return "OKP" if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)) else "unknown"


def _claim(claims: dict[str, Any], name: str) -> object:
    """The claim of that name, or within a claim, as in realm_access.roles; None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _groups(claim: object) -> frozenset[str]:
    """A list of names, or names with blanks between them (as ``scope`` has them, RFC 8693)."""
    given = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset([each for each in given if usable(each)][:MOST_GROUPS])


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise jwt.InvalidTokenError(f"its claim {name} is no time")
    return float(value)
