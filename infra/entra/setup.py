#!/usr/bin/env python3
"""The one-time Entra set-up: the application Keywheel signs in as.

It makes what is missing and leaves the rest: an application and its service principal, a federated
credential per role of Keywheel's functions, and Microsoft Graph's permissions with admin consent.
Run it as often as you like, from the second time on with --client-id: an application is never found by
its name, which anybody may register.
It prints one JSON line: {"application", "client_id", "service_principal", "tenant", "changed"}.

Signed in as: `az login`, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
PERMISSIONS = ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All")
READ_AUDIT = ("AuditLog.Read.All", "Directory.Read.All")
MOST_FEDERATED_CREDENTIALS = 20
PATIENCE = 60.0  # seconds that a fresh object may be unknown to other replicas
CLOUDS = {  # authority, Graph, audience of a federated credential
    "public": ("https://login.microsoftonline.com", "https://graph.microsoft.com", "api://AzureADTokenExchange"),
    "usgovernment": ("https://login.microsoftonline.us", "https://graph.microsoft.us",
                     "api://AzureADTokenExchangeUSGov"),
    "china": ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn",
              "api://AzureADTokenExchangeChina"),
}


class GraphError(Exception):
    """Graph's refusal."""

    def __init__(self, status: int, body: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status}: {body[:600]}")
        self.status = status
        self.body = body
        self.retry_after = retry_after

    def passes(self) -> bool:
        """Whether waiting helps: throttling, a bad moment, or an object not yet everywhere."""
        return (self.status in (404, 409, 429) or self.status >= 500
                or "does not exist" in self.body or "concurrent requests" in self.body)


@dataclass
class Graph:
    """Microsoft Graph for one tenant."""

    base: str
    token: str
    tls: ssl.SSLContext
    changed: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        url = path if path.startswith("https://") else f"{self.base}/v1.0/{path}"
        request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.tls) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            raise GraphError(error.code, error.read().decode(errors="replace"), float(wait) if wait else None) from None

    def patiently(self, method: str, path: str, body: dict | None = None) -> dict:
        """A call on something that may have been made a moment ago."""
        deadline, pause = time.monotonic() + PATIENCE, 0.5
        while True:
            try:
                return self.call(method, path, body)
            except GraphError as error:
                pause = min(error.retry_after or pause * 1.5, 10)
                if not error.passes() or time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)

    def list(self, path: str) -> list[dict]:
        found, page = [], path
        while page:
            answer = self.patiently("GET", page)
            found += answer["value"]
            page = answer.get("@odata.nextLink", "")
        return found

    def ensure(self, what: str, find: Callable[[], dict | None], make: Callable[[], dict]) -> dict:
        """What is there, or what is made now. A lost answer may have made it: look again before making another."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if found := find():
                return found
            try:
                made = make()
            except GraphError as error:
                if not error.passes() or time.monotonic() > deadline:
                    raise
                time.sleep(min(error.retry_after or 2, 10))
                continue
            self.changed.append(what)
            return made


def quoted(value: str) -> str:
    return urllib.parse.quote("'" + value.replace("'", "''") + "'")


def named_application(graph: Graph, client_id: str) -> dict:
    """The application that the administrator names. One made a moment ago may be unknown to other replicas."""
    deadline = time.monotonic() + PATIENCE
    while not (found := graph.list(f"applications?$filter=appId%20eq%20{quoted(client_id)}")):
        if time.monotonic() > deadline:
            sys.exit(f"this tenant has no application with the client id {client_id}: "
                     "give --client-id what the first run printed, or leave it out to make an application")
        time.sleep(2)
    return found[0]


def new_application(graph: Graph, name: str, role_ids: list[str]) -> dict:
    """Never one that is there: whoever registered it holds its keys, and would be given Keywheel's permissions."""
    def find() -> None:
        if found := graph.list(f"applications?$filter=displayName%20eq%20{quoted(name)}"):
            sys.exit(f"there is an application called {name} already, with the client id "
                     f"{', '.join(one['appId'] for one in found)}. Names are not unique, and anybody may register one: "
                     "say which application is Keywheel's with --client-id, or choose another --name")

    roles = [{"id": role_id, "type": "Role"} for role_id in role_ids]
    access = [{"resourceAppId": GRAPH_APP_ID, "resourceAccess": roles}]
    return graph.ensure(f"application {name}", find, lambda: graph.call("POST", "applications", {
        "displayName": name, "signInAudience": "AzureADMyOrg", "requiredResourceAccess": access}))


def service_principal(graph: Graph, app_id: str) -> dict | None:
    found = graph.list(f"servicePrincipals?$filter=appId%20eq%20{quoted(app_id)}")
    return found[0] if found else None


def credential_name(subject: str) -> str:
    """The role's name and a hash of its ARN, for accounts may have roles of one name. Entra takes 3 to 120 letters,
    digits, - and _, the first a letter or digit."""
    role = re.sub("[^A-Za-z0-9_-]", "-", subject.rpartition("/")[2]).lstrip("-_")
    return f"{role[:100]}-{hashlib.sha256(subject.encode()).hexdigest()[:8]}".lstrip("-")


def ensure_federated_credential(graph: Graph, application: str, issuer: str, subject: str, audience: str) -> None:
    """One for each subject. Entra compares issuer and subject with their case."""
    path = f"applications/{application}/federatedIdentityCredentials"
    name = credential_name(subject)
    wanted = {"issuer": issuer, "subject": subject, "audiences": [audience]}
    existing = graph.list(path)

    def find() -> dict | None:
        return next((entry for entry in graph.list(path) if entry["name"] == name), None)

    if not any(entry["name"] == name for entry in existing) and len(existing) >= MOST_FEDERATED_CREDENTIALS:
        sys.exit(f"the application already has {len(existing)} federated credentials, as many as Entra allows")
    found = graph.ensure(f"federated credential {name}", find, lambda: graph.patiently(
        "POST", path, {"name": name, "description": "Keywheel", **wanted}))
    if any(found.get(key) != value for key, value in wanted.items()):
        graph.patiently("PATCH", f"{path}/{found['id']}", wanted)
        graph.changed.append(f"federated credential {name}")


def ensure_permission(graph: Graph, principal: str, resource: str, role_id: str, name: str) -> None:
    """Admin consent to an application permission is an appRoleAssignment."""
    path = f"servicePrincipals/{principal}/appRoleAssignments"

    def find() -> dict | None:
        return next((entry for entry in graph.list(path)
                     if entry["appRoleId"] == role_id and entry["resourceId"] == resource), None)

    graph.ensure(f"permission {name}", find, lambda: graph.patiently(
        "POST", path, {"principalId": principal, "resourceId": resource, "appRoleId": role_id}))


def token_of_az(resource: str) -> str:
    command = ["az", "account", "get-access-token", "--resource", resource, "--output", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("az is not installed; install the Azure CLI and run `az login`, or set AZURE_TENANT_ID, "
                 "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET")
    if done.returncode:
        sys.exit(f"az gives no token: {done.stderr.strip()}; run `az login`")
    return json.loads(done.stdout)["accessToken"]


def token(authority: str, resource: str, tls: ssl.SSLContext) -> str:
    """A token for Graph: of the client secret in the environment, else of `az login`."""
    secret = os.environ.get("AZURE_CLIENT_SECRET")
    if not secret:
        return token_of_az(resource)
    form = urllib.parse.urlencode({
        "grant_type": "client_credentials", "client_id": os.environ["AZURE_CLIENT_ID"],
        "client_secret": secret, "scope": f"{resource}/.default"}).encode()
    url = f"{authority.rstrip('/')}/{os.environ['AZURE_TENANT_ID']}/oauth2/v2.0/token"
    try:
        with urllib.request.urlopen(url, form, timeout=60, context=tls) as answer:
            return json.load(answer)["access_token"]
    except urllib.error.HTTPError as error:
        sys.exit(f"sign-in refused: {json.load(error).get('error_description', error)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client-id", type=uuid.UUID,
                        help="of Keywheel's application, as the first run printed it; without it, one is made")
    parser.add_argument("--name", default="Keywheel", help="the display name of an application that is made")
    parser.add_argument("--cloud", choices=CLOUDS, default=os.environ.get("KEYWHEEL_CLOUD", "public"))
    parser.add_argument("--permission", choices=PERMISSIONS, default=PERMISSIONS[0],
                        help="OwnedBy where Keywheel's application owns what it turns, else All")
    parser.add_argument("--read-audit", action="store_true",
                        help="also permission to read the directory audit and the report of sign-ins")
    parser.add_argument("--issuer", help="of the account's outbound identity federation")
    parser.add_argument("--subject", action="append", default=[], help="ARN of a function's role; once for each role")
    chosen = parser.parse_args()
    if bool(chosen.issuer) != bool(chosen.subject):
        parser.error("--issuer and --subject go together")
    return chosen


def main() -> None:
    chosen = arguments()
    authority, resource, audience = CLOUDS[chosen.cloud]
    authority = os.environ.get("AZURE_AUTHORITY_HOST") or authority
    base = (os.environ.get("KEYWHEEL_GRAPH_ENDPOINT") or resource).rstrip("/").removesuffix("/v1.0")
    tls = ssl.create_default_context(cafile=os.environ.get("KEYWHEEL_CA_FILE") or None)
    graph = Graph(base, token(authority, resource, tls), tls)

    microsoft_graph = service_principal(graph, GRAPH_APP_ID)
    if microsoft_graph is None:
        sys.exit("this tenant has no service principal of Microsoft Graph")
    permissions = [chosen.permission, *(READ_AUDIT if chosen.read_audit else ())]
    known = {role["value"]: role["id"] for role in microsoft_graph["appRoles"]}
    if chosen.client_id:
        application = named_application(graph, str(chosen.client_id))
    else:
        application = new_application(graph, chosen.name, [known[name] for name in permissions])
    app_id = application["appId"]
    principal = graph.ensure("service principal", lambda: service_principal(graph, app_id),
                             lambda: graph.patiently("POST", "servicePrincipals", {"appId": app_id}))
    for subject in chosen.subject:
        ensure_federated_credential(graph, application["id"], chosen.issuer, subject, audience)
    for name in permissions:
        ensure_permission(graph, principal["id"], microsoft_graph["id"], known[name], name)
    print(json.dumps({"application": application["id"], "client_id": app_id, "service_principal": principal["id"],
                      "tenant": principal.get("appOwnerOrganizationId"), "changed": graph.changed}))


if __name__ == "__main__":
    main()
