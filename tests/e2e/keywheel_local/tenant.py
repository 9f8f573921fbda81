"""A tenant in the middle of its life: applications, the secrets an earlier Keywheel left, the manifest over them."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from . import names
from .stack import Stack

ID = "72f988bf-86f1-41af-91ab-2d7cd011db48"
ACCOUNT, REGION = "111122223333", "eu-central-1"
DEFAULTS = {"rotate_before": "30d", "lifetime": "180d", "overlap": "24h", "settle": "2s"}
DAY = 86_400


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Key:
    """A password, as the emulator's seed has it."""

    start: str
    end: str | None
    display_name: str | None = None
    key_id: str = field(default_factory=new_id)
    secret: str = field(default_factory=lambda: f"Sd~{secrets.token_urlsafe(30)}")


@dataclass
class App:
    """An application; ``known`` is false for one that the tenant does not have."""

    name: str
    keys: list[Key] = field(default_factory=list)
    principal_keys: list[Key] = field(default_factory=list)
    certificates: list[dict[str, str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    service_principal: bool = True
    known: bool = True
    audience: str = "AzureADMyOrg"
    properties: dict[str, Any] = field(default_factory=dict)
    app_id: str = field(default_factory=new_id)
    object_id: str = field(default_factory=new_id)
    principal_id: str = field(default_factory=new_id)

    def seed(self) -> dict[str, Any]:
        return {
            "app_id": self.app_id, "object_id": self.object_id, "service_principal_id": self.principal_id,
            "display_name": self.name, "tags": self.tags, "created": "-300d",
            "audience": self.audience, "properties": self.properties, "certificates": self.certificates,
            "service_principal": self.service_principal,
            "passwords": [asdict(key) for key in self.keys],
            "service_principal_passwords": [asdict(key) for key in self.principal_keys],
        }


@dataclass
class Version:
    """A version of a secret; without a ``since`` it is one that somebody made by hand."""

    key: Key
    since_days_ago: float | None
    rotation: str = field(default_factory=new_id)


@dataclass
class Credential:
    """An entry of the manifest and what its secret holds, oldest version first."""

    name: str
    app: App
    secret: str
    fields: dict[str, Any] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)

    @property
    def on_principal(self) -> bool:
        return self.fields.get("key_on") == "servicePrincipal"

    @property
    def keys(self) -> list[Key]:
        return self.app.principal_keys if self.on_principal else self.app.keys

    @property
    def scope(self) -> str:
        return names.scope(ACCOUNT, REGION, self.secret)

    @property
    def current(self) -> Version | None:
        return self.versions[-1] if self.versions else None


@dataclass
class Tenant:
    """Built up by its methods; then ``seed``, ``manifest`` and ``plant`` make it real."""

    defaults: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    apps: list[App] = field(default_factory=list)
    credentials: dict[str, Credential] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)

    def app(self, name: str, **fields: Any) -> App:
        app = App(name, **fields)
        self.apps.append(app)
        return app

    def credential(self, name: str, app: App | None = None, **fields: Any) -> Credential:
        """A credential whose secret does not exist yet."""
        credential = Credential(name, app or self.app(name), f"keywheel/{name}", fields)
        self.credentials[name] = credential
        return credential

    def managed(self, name: str, ends: str | None, since: float = 100, app: App | None = None,
                **fields: Any) -> Credential:
        """A credential whose current key Keywheel minted ``since`` days ago."""
        credential = self.credential(name, app, **fields)
        self.turned(credential, ends, since)
        return credential

    def turned(self, credential: Credential, ends: str | None, since: float) -> Version:
        """One more rotation in the credential's past."""
        rotation = new_id()
        key = Key(f"-{since}d", ends, names.display_name(credential.scope, rotation))
        credential.keys.append(key)
        version = Version(key, since, rotation)
        credential.versions.append(version)
        return version

    def by_hand(self, name: str, ends: str, version: str | None = None, **fields: Any) -> Credential:
        """A credential whose secret somebody made and stored, under this version's id or a new one."""
        credential = self.credential(name, **fields)
        key = Key("-100d", ends, "made by hand")
        credential.keys.append(key)
        credential.versions.append(Version(key, None, version or new_id()))
        return credential

    def orphan(self, credential: Credential, age: str = "-3d") -> Key:
        """A key of a try that was cut off before it was stored."""
        key = Key(age, "+170d", names.display_name(credential.scope, new_id()))
        credential.keys.append(key)
        return key

    # ---- made real ---------------------------------------------------------------------------------------------------
    def seed(self) -> str:
        applications = [app.seed() for app in self.apps if app.known]
        return json.dumps({"tenant": {"id": ID}, "applications": applications})

    def manifest(self) -> str:
        """JSON, which is YAML."""
        credentials = {one.name: {"application": one.app.app_id, "secret": one.secret, **one.fields}
                       for one in self.credentials.values()}
        whole = {"tenant": ID, "defaults": self.defaults, "credentials": credentials, "rules": self.rules,
                 "notifications": self.notifications}
        return json.dumps(whole, indent=1)

    def plant(self, stack: Stack) -> None:
        """Put the secrets of the past into Secrets Manager."""
        assert (stack.aws_ready["account"], stack.aws_ready["region"]) == (ACCOUNT, REGION)
        manager = stack.client("secretsmanager")
        for credential in self.credentials.values():
            for version in credential.versions:
                _plant(manager, credential, version)


def _plant(manager: Any, credential: Credential, version: Version) -> None:
    value = version.key.secret if version.since_days_ago is None else json.dumps({
        "tenant_id": ID, "client_id": credential.app.app_id, "client_secret": version.key.secret,
        "key_id": version.key.key_id, "expires_on": "see Graph"})
    named = {"SecretString": value, "ClientRequestToken": version.rotation}
    if version is credential.versions[0]:
        manager.create_secret(Name=credential.secret, **named)
    else:
        manager.put_secret_value(SecretId=credential.secret, VersionStages=["AWSCURRENT"], **named)
    if version.since_days_ago is not None:
        since = int(time.time() - version.since_days_ago * DAY)
        for label in (names.KEY + version.key.key_id, f"{names.SINCE}{since}"):
            manager.update_secret_version_stage(SecretId=credential.secret, VersionStage=label,
                                                MoveToVersionId=version.rotation)
