//! Checks of Keywheel's own application in Entra.

use std::collections::BTreeSet;

use keywheel_core::graph::FederatedCredential;
use keywheel_core::ids::{AppId, KeyOn};
use keywheel_core::manifest::{Credential, Manifest};
use keywheel_core::rotation::RetireWhen;
use uuid::{Uuid, uuid};

use super::aws::is_federated;
use super::deployment::DEPLOY;
use super::manifest::named;
use super::seen::Seen;
use super::verdict::Verdict;

/// Permissions of Microsoft Graph. Their ids are the same in every tenant.
const OWNED_BY: Uuid = uuid!("18a4783c-866b-4cc7-a460-3d5e5662c884");
const ALL: Uuid = uuid!("1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9");
const READ_AUDIT: [(Uuid, &str); 2] = [
    (uuid!("b0afded3-3588-46d8-8b3d-9842eff778da"), "AuditLog.Read.All"),
    (uuid!("7ab1d382-f21e-4acd-a863-ba3e13f7da61"), "Directory.Read.All"),
];

pub(super) fn sign_in(seen: &Seen) -> Verdict {
    seen.tenant.judge(|tenant| Verdict::passed(format!("signed in to Entra, tenant {tenant}")))
}

/// Names Keywheel's application, as far as its client id is known.
fn client(seen: &Seen) -> String {
    seen.client.map_or_else(|| "<client_id>".to_owned(), |client| client.to_string())
}

/// Gives the command that sets Keywheel's application up, with the permission that was chosen.
fn setup(seen: &Seen) -> String {
    let all = seen.permissions.get().is_some_and(|granted| granted.contains(&ALL));
    let permission = if all { " --permission Application.ReadWrite.All" } else { "" };
    format!("infra/entra/setup.py --client-id {}{permission}", client(seen))
}

pub(super) fn application(seen: &Seen) -> Verdict {
    let client = client(seen);
    seen.own.judge(|own| match own.as_ref().map(|own| own.principal) {
        None => Verdict::failed(
            format!("the tenant has no application with the client id {client}"),
            "give the client_id that infra/entra/setup.py printed, as ClientId or with --client-id",
        ),
        Some(None) => Verdict::failed(
            format!("the application {client} has no service principal, so that nobody can sign in as it"),
            format!("run `{}`", setup(seen)),
        ),
        Some(Some((_, false))) => Verdict::failed(
            format!("the service principal of the application {client} is disabled"),
            "enable it in Entra: Enterprise applications, Properties, Enabled for users to sign-in",
        ),
        Some(Some((principal, true))) => {
            Verdict::passed(format!("Keywheel's application is {client}, its service principal {principal}"))
        }
    })
}

pub(super) fn permissions(seen: &Seen) -> Verdict {
    let setup = setup(seen);
    seen.permissions.judge(|granted| {
        if granted.contains(&ALL) {
            Verdict::passed("Application.ReadWrite.All is consented to: every application may be changed")
        } else if granted.contains(&OWNED_BY) {
            Verdict::passed("Application.ReadWrite.OwnedBy is consented to: owned applications may be \
            changed")
        } else {
            Verdict::failed(
                "nobody has consented to Application.ReadWrite.OwnedBy or Application.ReadWrite.All",
                format!("run `{setup} --permission Application.ReadWrite.OwnedBy` as an administrator"),
            )
        }
    })
}

pub(super) fn audit_permissions(seen: &Seen) -> Verdict {
    let setup = setup(seen);
    seen.parameters.given("the stack", |parameters| {
        let watches =
            parameters.is("WatchDirectoryAudits", "true") && !parameters.is("Cloud", "china");
        let when_unused = seen.manifest.get().is_some_and(retires_when_unused);
        if !watches && !when_unused {
            return Verdict::skipped("nothing reads the directory audit or the report of sign-ins");
        }
        seen.permissions.given("the permissions", |granted| {
            let lacking: Vec<_> =
                READ_AUDIT.iter().filter(|(id, _)| !granted.contains(id)).collect();
            if lacking.is_empty() {
                return Verdict::passed(
                    "the directory audit and the report of sign-ins may be read",
                );
            }
            let names: Vec<_> = lacking.iter().map(|(_, name)| *name).collect();
            Verdict::warned(
                format!(
                    "nobody has consented to {}: changes by others and last sign-ins are not seen",
                    names.join(" and ")
                ),
                format!(
                    "run `{setup} --read-audit`, or deploy with WatchDirectoryAudits=false and \
                without `retire: when-unused`"
                ),
            )
        })
    })
}

fn retires_when_unused(manifest: &Manifest) -> bool {
    let ruled = manifest.rules().iter().map(|rule| rule.credential_for(AppId(Uuid::nil())));
    let mut all = manifest.credentials().cloned().chain(ruled);
    all.any(|credential| credential.settings.policy.retire == RetireWhen::WhenUnused)
}

/// The outputs that name the roles which sign in to Entra.
const ROLES: [&str; 2] = ["SweepRoleArn", "RotateRoleArn"];

pub(super) fn federated_credentials(seen: &Seen) -> Verdict {
    if seen.parameters.get().is_some_and(|parameters| !is_federated(parameters)) {
        return Verdict::skipped(
            "the functions do not sign in with a federated credential: SignIn is not federated",
        );
    }
    let setup = setup(seen);
    seen.federated.judge(|federated| {
        seen.issuer.given("the issuer", |issuer| {
            let Some(issuer) = issuer else {
                return Verdict::skipped("the account issues no tokens");
            };
            seen.stack.given("the stack", |stack| {
                let Some(stack) = stack else { return Verdict::skipped("there is no stack") };
                let role = |name: &&str| stack.outputs.get(*name).map(String::as_str);
                let roles: Vec<&str> = ROLES.iter().filter_map(role).collect();
                if roles.len() < ROLES.len() {
                    return Verdict::failed("the stack has no outputs that name the roles", DEPLOY);
                }
                let wanted = Wanted { issuer, audience: &seen.audience };
                let faults: Vec<_> =
                    roles.iter().filter_map(|role| wanted.fault(role, federated)).collect();
                if faults.is_empty() {
                    return Verdict::passed(format!(
                        "{} roles may sign in by a federated credential",
                        roles.len()
                    ));
                }
                let subjects = roles.join(" --subject ");
                Verdict::failed(
                    faults.join("; "),
                    format!("run `{setup} --issuer {issuer} --subject {subjects}`"),
                )
            })
        })
    })
}

/// The issuer and the audience that each federated credential must have.
struct Wanted<'a> {
    issuer: &'a str,
    audience: &'a str,
}

impl Wanted<'_> {
    /// Says what keeps a role from signing in. Entra compares each text with its case.
    fn fault(&self, role: &str, federated: &[FederatedCredential]) -> Option<String> {
        let of_role: Vec<_> = federated.iter().filter(|one| one.subject == role).collect();
        if of_role.iter().any(|one| one.issuer == self.issuer && one.audiences == [self.audience]) {
            return None;
        }
        if let Some(one) = of_role.iter().find(|one| one.issuer == self.issuer) {
            let (audiences, wanted) = (one.audiences.join(", "), self.audience);
            return Some(format!(
                "the federated credential {} has the audience {audiences}, and not {wanted}",
                one.name
            ));
        }
        if let Some(one) = of_role.first() {
            let (name, issuer, wanted) = (&one.name, &one.issuer, self.issuer);
            return Some(format!(
                "the federated credential {name} has the issuer {issuer}, and not {wanted}"
            ));
        }
        let similar = federated.iter().find(|one| one.subject.eq_ignore_ascii_case(role));
        Some(match similar {
            Some(one) => format!(
                "the federated credential {} has the subject {}, in another case than {role}",
                one.name, one.subject
            ),
            None => format!("no federated credential has the subject {role}"),
        })
    }
}

pub(super) fn listed_applications(seen: &Seen) -> Verdict {
    seen.manifest.given("the manifest", |manifest| {
        seen.objects.judge(|objects| {
            let of = |one: &Credential, on| objects.get(&(one.application, on));
            let principal = |one: &Credential| of(one, KeyOn::ServicePrincipal);
            let those = |wrong: &dyn Fn(&Credential) -> bool| -> Vec<String> {
                manifest.credentials().filter(|one| wrong(one)).map(described).collect()
            };
            let unknown = those(&|one| of(one, one.settings.key_on).is_none());
            let alone = those(&|one| principal(one).is_none());
            let disabled = those(&|one| principal(one).is_some_and(|found| !found.enabled));
            if !unknown.is_empty() {
                return Verdict::failed(
                    format!("the tenant does not have {}", named(&unknown)),
                    "give the client id (not the object id) of an application of this tenant, and check key_on",
                );
            }
            if !alone.is_empty() {
                return Verdict::failed(
                    format!("there is no service principal, so nobody can sign in: {}", named(&alone)),
                    "create each: az ad sp create --id <client id>",
                );
            }
            if !disabled.is_empty() {
                return Verdict::failed(
                    format!("the service principal is disabled: {}", named(&disabled)),
                    "enable each in Entra, or take the credential out of the manifest",
                );
            }
            Verdict::passed("the tenant has each listed application, with a service principal that may sign in")
        })
    })
}

fn described(credential: &Credential) -> String {
    format!("{} ({})", credential.name, credential.application)
}

pub(super) fn ownership(seen: &Seen) -> Verdict {
    let sees_all = |granted: &BTreeSet<Uuid>| granted.contains(&ALL);
    if seen.permissions.get().is_some_and(sees_all) {
        return Verdict::skipped(
            "with Application.ReadWrite.All Keywheel need not own an application",
        );
    }
    seen.manifest.given("the manifest", |manifest| {
        seen.objects.given("the listed applications", |objects| {
            seen.owned.judge(|owned| {
                let is_foreign = |one: &&Credential| {
                    let holder = objects.get(&(one.application, one.settings.key_on));
                    holder.is_some_and(|holder| !owned.contains(&holder.id))
                };
                let foreign: Vec<_> = manifest.credentials().filter(is_foreign).collect();
                let Some(first) = foreign.first() else {
                    return Verdict::passed("Keywheel owns each listed application");
                };
                let all: Vec<_> = foreign.iter().map(|one| described(one)).collect();
                Verdict::failed(format!("Keywheel does not own {}", named(&all)), own(seen, first))
            })
        })
    })
}

/// Says how to make Keywheel the owner.
fn own(seen: &Seen, credential: &Credential) -> String {
    let principal = seen.own.get().and_then(|own| own.as_ref()?.principal);
    let principal =
        principal.map_or_else(|| "<service_principal>".to_owned(), |(id, _)| id.to_string());
    match credential.settings.key_on {
        KeyOn::Application => format!(
            "run `az ad app owner add --id {} --owner-object-id {principal}` for each",
            credential.application
        ),
        KeyOn::ServicePrincipal => {
            format!(
                "make {principal} an owner of the service principal, as infra/entra/README.md shows"
            )
        }
    }
}
