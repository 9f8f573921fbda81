"""GetWebIdentityToken: a token anyone can verify with the keys its issuer publishes."""

from __future__ import annotations

import base64
import json
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

FUNCTION = """
import boto3

def handle(event):
    return boto3.client("sts").get_web_identity_token(**event)["WebIdentityToken"]
"""


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def published(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def verified(aws, token: str) -> dict:
    header, claims, signature = token.split(".")
    issuer = json.loads(decoded(claims))["iss"]
    assert issuer == aws.ready["oidc_issuer"]
    discovery = published(f"{issuer}/.well-known/openid-configuration")
    assert discovery["issuer"] == issuer
    kid = json.loads(decoded(header))["kid"]
    key = next(key for key in published(discovery["jwks_uri"])["keys"] if key["kid"] == kid)
    n, e = (int.from_bytes(decoded(key[part]), "big") for part in "ne")
    rsa.RSAPublicNumbers(e, n).public_key().verify(
        decoded(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(decoded(claims))


def test_a_function_gets_a_token_in_its_roles_name(aws, name):
    aws.function(name, FUNCTION, [{"Effect": "Allow", "Action": "sts:GetWebIdentityToken", "Resource": "*"}])
    event = {"Audience": ["api://AzureADTokenExchange"], "SigningAlgorithm": "RS256", "DurationSeconds": 120}
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    claims = verified(aws, json.load(answer["Payload"]))
    assert claims["sub"] == f"arn:aws:iam::{aws.ready['account']}:role/{name}-role"
    assert claims["aud"] == "api://AzureADTokenExchange"
    assert claims["exp"] - claims["iat"] == 120
    assert abs(claims["iat"] - time.time()) < 10


def test_it_lives_five_minutes_unless_asked_otherwise(aws):
    token = aws.client("sts").get_web_identity_token(Audience=["a", "b"], SigningAlgorithm="RS256")
    claims = verified(aws, token["WebIdentityToken"])
    assert claims["exp"] - claims["iat"] == 300
    assert claims["aud"] == ["a", "b"]


@pytest.mark.parametrize("wrong", [{"DurationSeconds": 3601}, {"DurationSeconds": 59}, {"SigningAlgorithm": "HS256"}])
def test_what_aws_refuses_is_refused(aws, wrong):
    with pytest.raises((ClientError, Exception), match="ValidationError|validation"):
        aws.client("sts").get_web_identity_token(**{"Audience": ["a"], "SigningAlgorithm": "RS256"} | wrong)


def test_a_role_without_the_permission_gets_none(aws, name):
    aws.function(name, FUNCTION)
    event = {"Audience": ["a"], "SigningAlgorithm": "RS256"}
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    assert "AccessDenied" in json.load(answer["Payload"])["errorMessage"]


def test_the_account_can_switch_it_off(aws):
    iam, sts = aws.client("iam"), aws.client("sts")
    assert iam.get_outbound_web_identity_federation_info()["IssuerIdentifier"] == aws.ready["oidc_issuer"]
    iam.disable_outbound_web_identity_federation()
    try:
        with pytest.raises(sts.exceptions.ClientError, match="OutboundWebIdentityFederationDisabled"):
            sts.get_web_identity_token(Audience=["a"], SigningAlgorithm="RS256")
    finally:
        iam.enable_outbound_web_identity_federation()


def test_a_policy_can_hold_a_role_to_one_audience(aws, name):
    aws.function(name, FUNCTION, [{
        "Effect": "Allow", "Action": "sts:GetWebIdentityToken", "Resource": "*", "Condition": {
            "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": "api://AzureADTokenExchange"},
            "StringEquals": {"sts:SigningAlgorithm": "RS256"}}}])
    got = {}
    for audience in ("api://AzureADTokenExchange", "elsewhere"):
        event = {"Audience": [audience], "SigningAlgorithm": "RS256"}
        answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
        got[audience] = isinstance(json.load(answer["Payload"]), str)
    assert got == {"api://AzureADTokenExchange": True, "elsewhere": False}
