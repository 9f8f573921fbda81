"""Outbound identity federation: STS tokens a third party can verify, and the issuer that publishes the keys."""

from __future__ import annotations

import base64
import json
import time
import uuid
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from ministack.core import iam_actions
from ministack.core.iam_evaluator import caller_arn
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

ISSUER_PATH = "/_local/oidc"
_issuer = ""
_enabled = True
_keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}
_ahead = 0.0  # seconds that tests have let pass for STS


def advance(seconds: float) -> float:
    """Let time pass for the tokens made from now on, as it does for whoever checks them. Gives the sum."""
    global _ahead
    _ahead += seconds
    return _ahead


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int | None = None) -> str:
    return _b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def documents() -> dict[str, dict]:
    """What the issuer publishes, by path below it."""
    rsa_key, ec_key = (_keys[name].public_key().public_numbers() for name in ("RS256", "ES384"))
    return {
        "/.well-known/openid-configuration": {
            "issuer": _issuer, "jwks_uri": f"{_issuer}/.well-known/jwks.json", "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ES384"]},
        "/.well-known/jwks.json": {"keys": [
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "RS256-1",
             "n": _number(rsa_key.n), "e": _number(rsa_key.e)},
            {"kty": "EC", "use": "sig", "alg": "ES384", "kid": "ES384-1", "crv": "P-384",
             "x": _number(ec_key.x, 48), "y": _number(ec_key.y, 48)}]},
    }


def sign(algorithm: str, claims: dict) -> str:
    parts = [{"alg": algorithm, "typ": "JWT", "kid": f"{algorithm}-1"}, claims]
    unsigned = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    if algorithm == "RS256":
        signature = _keys[algorithm].sign(unsigned.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(_keys[algorithm].sign(unsigned.encode(), ec.ECDSA(hashes.SHA384())))
        signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    return f"{unsigned}.{_b64(signature)}"


def subject() -> str:
    """The caller as a token names it: a session is its role."""
    arn = caller_arn()
    if ":assumed-role/" not in arn:
        return arn
    name = arn.split(":assumed-role/")[1].split("/")[0]
    role = iam._roles.get(name)
    return role["Arn"] if role else f"arn:aws:iam::{get_account_id()}:role/{name}"


def _refused(code: str, message: str, status: int = 400) -> tuple:
    return sts._error(status, code, message, ns="sts")


def _audiences(params: dict[str, list[str]]) -> list[str]:
    return [value for key, values in params.items() if key.startswith("Audience.member.") for value in values]


def get_web_identity_token(params: dict[str, list[str]]) -> tuple:
    algorithm = (params.get("SigningAlgorithm") or [""])[0]
    audiences = _audiences(params)
    seconds = (params.get("DurationSeconds") or ["300"])[0]
    if not _enabled:
        return _refused("OutboundWebIdentityFederationDisabledException",
                        "The outbound web identity federation feature is not enabled for this account.")
    if algorithm not in _keys:
        return _refused("ValidationError", f"Value '{algorithm}' at 'signingAlgorithm' failed to satisfy constraint: "
                        "Member must satisfy enum value set: [ES384, RS256]")
    if not 1 <= len(audiences) <= 10 or not all(1 <= len(audience) <= 1000 for audience in audiences):
        return _refused("ValidationError", "Value at 'audience' failed to satisfy constraint: 1 to 10 members of "
                        "1 to 1000 characters")
    if not seconds.isdigit() or not 60 <= int(seconds) <= 3600:
        return _refused("ValidationError", f"Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
                        "Member must have value between 60 and 3600")
    now = int(time.time() + _ahead)
    expires = now + int(seconds)
    token = sign(algorithm, {
        "iss": _issuer, "aud": audiences[0] if len(audiences) == 1 else audiences, "sub": subject(),
        "iat": now, "exp": expires, "jti": str(uuid.uuid4()),
        "https://sts.amazonaws.com/": {"aws_account": get_account_id(), "source_region": get_region()}})
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
    return sts._xml(200, "GetWebIdentityTokenResponse",
                    f"<GetWebIdentityTokenResult><WebIdentityToken>{escape(token)}</WebIdentityToken>"
                    f"<Expiration>{stamp}</Expiration></GetWebIdentityTokenResult>", ns="sts")


def _account_setting(action: str) -> tuple:
    """IAM's switch for the feature; it is on from the start."""
    global _enabled
    if action.startswith("Enable"):
        _enabled = True
    elif action.startswith("Disable"):
        _enabled = False
    if action.startswith("Get") and not _enabled:
        return iam._error(404, "FeatureDisabled", "Outbound web identity federation is not enabled.")
    inner = "" if action.startswith("Disable") else f"<IssuerIdentifier>{_issuer}</IssuerIdentifier>"
    if action.startswith("Get"):
        inner += "<JwtVendingEnabled>true</JwtVendingEnabled>"
    return sts._xml(200, f"{action}Response", f"<{action}Result>{inner}</{action}Result>", ns="iam")


_SETTINGS = {"EnableOutboundWebIdentityFederation", "DisableOutboundWebIdentityFederation",
             "GetOutboundWebIdentityFederationInfo"}


def _form(body: bytes, query: dict) -> dict[str, list[str]]:
    return {**query, **parse_qs(body.decode("utf-8", errors="replace"))}


def install(endpoint: str) -> None:
    global _issuer
    _issuer = endpoint + ISSUER_PATH
    _keys["RS256"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _keys["ES384"] = ec.generate_private_key(ec.SECP384R1())
    their_sts, their_iam = sts.handle_request, iam.handle_request
    their_context = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, params: dict) -> dict:
        """The condition keys a policy may hold a token to."""
        keys = their_context(service, action, body, params)
        if action == "sts:GetWebIdentityToken":
            asked = _form(body, params)
            keys |= {"sts:identitytokenaudience": _audiences(asked),
                     "sts:signingalgorithm": (asked.get("SigningAlgorithm") or [""])[0],
                     "sts:durationseconds": (asked.get("DurationSeconds") or ["300"])[0]}
        return keys

    async def sts_request(method: str, path: str, headers: dict, body: bytes, query: dict) -> tuple:
        params = _form(body, query)
        if params.get("Action") == ["GetWebIdentityToken"]:
            return get_web_identity_token(params)
        return await their_sts(method, path, headers, body, query)

    async def iam_request(method: str, path: str, headers: dict, body: bytes, query: dict) -> tuple:
        action = (_form(body, query).get("Action") or [""])[0]
        if action in _SETTINGS:
            return _account_setting(action)
        return await their_iam(method, path, headers, body, query)

    sts.handle_request, iam.handle_request = sts_request, iam_request
    iam_actions.request_tag_context = context
