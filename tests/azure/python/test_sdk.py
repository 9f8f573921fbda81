"""Microsoft's own clients against the emulator: azure-identity and msgraph-sdk, over TLS."""

import datetime
import uuid

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.applications.applications_request_builder import (
    ApplicationsRequestBuilder,
)
from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
    AddPasswordPostRequestBody,
)
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.audit_logs.directory_audits.directory_audits_request_builder import (
    DirectoryAuditsRequestBuilder,
)
from msgraph.generated.models.application import Application
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_credential import PasswordCredential

BILLING = "00000000-0000-0000-0000-000000000a11"
FIRST = "the-first-secret-of-billing-0123456789ab"
SCOPE = "https://graph.microsoft.com/.default"


def credential(emulator, client_id=None, secret=None):
    return ClientSecretCredential(
        str(emulator.tenant),
        client_id or emulator.client_id,
        secret or emulator.client_secret,
        authority=emulator.authority,
        disable_instance_discovery=True,
        retry_total=0,
    )


def graph(emulator):
    provider = AzureIdentityAuthenticationProvider(
        credential(emulator),
        scopes=[f"{emulator.graph}/.default"],
        allowed_hosts=["127.0.0.1"],
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{emulator.graph}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def listing(**query):
    parameters = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(**query)
    return RequestConfiguration(query_parameters=parameters)


def test_signs_in(emulator):
    token = credential(emulator).get_token(SCOPE)
    assert token.token.count(".") == 2
    remaining = token.expires_on - datetime.datetime.now().timestamp()
    assert 3000 < remaining < 3700


def test_wrong_and_expired_secrets_are_named(emulator):
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential(emulator, BILLING, "nonsense").get_token(SCOPE)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        credential(emulator, str(uuid.uuid4()), "nonsense").get_token(SCOPE)
    emulator.steer("clock", {"advance_seconds": 3 * 365 * 86400})
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000222"):
        credential(emulator, BILLING, FIRST).get_token(SCOPE)


async def test_lists_in_pages(emulator):
    client = graph(emulator)
    page = await client.applications.get(listing(select=["id", "appId", "displayName"], top=100))
    found = list(page.value)
    pages = 1
    while page.odata_next_link:
        page = await client.applications.with_url(page.odata_next_link).get()
        found += page.value
        pages += 1
    assert pages == 3
    assert len({one.app_id for one in found}) == 251
    tagged = await client.applications.get(listing(filter="tags/any(t:t eq 'rotate')"))
    assert [one.display_name for one in tagged.value] == ["billing"]
    assert tagged.value[0].password_credentials[0].hint == FIRST[:3]


async def test_rotates(emulator):
    client = graph(emulator)
    billing = await client.applications_with_app_id(BILLING).get()
    item = client.applications.by_application_id(billing.id)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=90)
    body = AddPasswordPostRequestBody(
        password_credential=PasswordCredential(display_name="rotated", end_date_time=end)
    )
    added = await item.add_password.post(body)
    assert added.hint == added.secret_text[:3]
    assert abs((added.end_date_time - end).total_seconds()) < 1
    credential(emulator, BILLING, added.secret_text).get_token(SCOPE)

    await item.remove_password.post(RemovePasswordPostRequestBody(key_id=added.key_id))
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential(emulator, BILLING, added.secret_text).get_token(SCOPE)
    with pytest.raises(ODataError) as refused:
        await item.remove_password.post(RemovePasswordPostRequestBody(key_id=added.key_id))
    assert refused.value.response_status_code == 400
    assert "No password credential found with keyId" in refused.value.error.message
    assert added.secret_text not in str(emulator.steer("requests"))


async def test_creates_and_deletes(emulator):
    client = graph(emulator)
    made = await client.applications.post(Application(display_name="made"))
    await client.applications.by_application_id(made.id).delete()
    deleted = await client.directory.deleted_items.graph_application.get()
    assert [one.display_name for one in deleted.value] == ["made"]
    with pytest.raises(ODataError) as missing:
        await client.applications.by_application_id(made.id).get()
    assert missing.value.error.code == "Request_ResourceNotFound"


async def test_retries_when_throttled(emulator):
    rule = {"kind": "too_many_requests", "operation": "list", "times": 2}
    emulator.steer("faults", {"rules": [rule]})
    page = await graph(emulator).applications.get()
    assert len(page.value) == 100
    statuses = [one["status"] for one in emulator.steer("requests") if one["operation"] == "list"]
    assert statuses == [429, 429, 200]


async def test_reads_who_changed_keys(emulator):
    client = graph(emulator)
    billing = await client.applications_with_app_id(BILLING).get()
    item = client.applications.by_application_id(billing.id)
    added = await item.add_password.post(
        AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="theirs"))
    )
    # The audit is late, as there.
    emulator.steer("clock", {"advance_seconds": 24 * 3600})
    query = DirectoryAuditsRequestBuilder.DirectoryAuditsRequestBuilderGetQueryParameters
    keys = "Update application – Certificates and secrets management "
    filtered = query(filter=f"activityDisplayName eq '{keys}'")
    page = await graph(emulator).audit_logs.directory_audits.get(
        RequestConfiguration(query_parameters=filtered)
    )
    [entry] = page.value
    assert entry.category == "ApplicationManagement" and entry.result == "success"
    assert entry.initiated_by.app.service_principal_id
    [target] = entry.target_resources
    assert (target.id, target.type) == (billing.id, "Application")
    [change] = [one for one in target.modified_properties if one.display_name == "KeyDescription"]
    assert str(added.key_id) in change.new_value and str(added.key_id) not in change.old_value
    assert added.secret_text not in str(page.value)
