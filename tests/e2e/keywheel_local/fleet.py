"""The demo's tenant: sixteen applications, each in another state."""

from __future__ import annotations

from .tenant import App, Credential, Key, Tenant

ROTATED = "expired", "expiring", "partner", "adopted", "first"  # fleet members besides
FRESH = "fresh", "two-keys", "shared"
STOPPED = {"unknown": "unknown-key", "gone": "application-gone", "no-principal": "no-service-principal"}


class Fleet(Tenant):
    """``members``: the two that a rule finds by their tag; ``watched``: those that nobody manages."""

    def __init__(self, **defaults: str) -> None:
        super().__init__()
        self.defaults |= defaults
        self.managed("expired", "-2d", 182)
        self.managed("expiring", "+10d", 170)
        self.managed("fresh", "+150d", 30)
        self._two_keys()
        self._shared()
        self.managed("partner", "+5d", 175, key_on="servicePrincipal")
        adopted = self.by_hand("adopted", "+20d", adopt=True)
        adopted.fields["retire_keys"] = [adopted.versions[0].key.key_id]
        self.credential("first")
        self.by_hand("unknown", "+20d")
        self.credential("gone", self.app("gone", known=False))
        self.credential("no-principal", self.app("no-principal", service_principal=False))
        self.members = [self._member("fleet-a"), self._member("fleet-b")]
        self.rules.append({"match": {"tag": "keywheel"}, "secret": "keywheel/entra/{appId}"})
        self.watched: dict[str, App] = {
            "expiring-certificate": self.app("certificate", certificates=[
                {"display_name": "tls", "start": "-300d", "end": "+9d"}]),
            "endless-key": self.app("endless", keys=[Key("-900d", None, "for ever")]),
            "expiring-key": self.app("forgotten", keys=[Key("-350d", "+6d", "ci")]),
        }

    def _two_keys(self) -> None:
        """An old key whose overlap is over, and one of a try that was cut off."""
        two = self.credential("two-keys")
        self.old = self.turned(two, "+60d", 120).key
        self.turned(two, "+160d", 20)
        self.lost = self.orphan(two)

    def _shared(self) -> None:
        shared = self.managed("shared", "+120d", 60)
        self.foreign = Key("-40d", "+140d", "somebody's")
        shared.app.keys.append(self.foreign)

    def _member(self, name: str) -> Credential:
        """A credential that the manifest does not list: the rule's tag is on its application."""
        app = self.app(name, tags=["keywheel"])
        return Credential(f"keywheel/entra/{app.app_id}", app, f"keywheel/entra/{app.app_id}")

    @property
    def everyone(self) -> dict[str, Credential]:
        """All credentials, the rule's included, by a name for people."""
        return self.credentials | {one.app.name: one for one in self.members}

    @property
    def rotated(self) -> dict[str, Credential]:
        names = (*ROTATED, *(one.app.name for one in self.members))
        return {name: self.everyone[name] for name in names}
