//! Sweeps credentials: compares the keys of their objects with their secrets.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::other::of_other;
use super::ownership::ownership;
use super::{AT_ONCE, Cursor, Listing, Planned, Sweep, SweepFinding};
use crate::engine::{Engine, EngineError};
use crate::graph::{Detail, DirectoryObject, Unreadable};
use crate::ids::{AppId, CredentialName, KeyOn};
use crate::manifest::Credential;
use crate::rotation::observed::most_keys;
use crate::rotation::plan::{self, Plan};
use crate::rotation::{Principal, SecretState};

impl Sweep<'_> {
    /// Sweeps some of the credentials that the manifest lists, those after the cursor's by name.
    pub(super) async fn listed(&mut self, at: &Cursor) -> Result<Cursor, EngineError> {
        let Engine { manifest, graph, .. } = self.engine;
        let after = at.next.as_deref();
        let rest = manifest
            .credentials()
            .filter(|credential| after.is_none_or(|after| credential.name.0.as_str() > after));
        let some: Vec<Credential> = rest.take(AT_ONCE).cloned().collect();
        let on: BTreeSet<AppId> = some.iter().map(|credential| credential.application).collect();
        let beside = |credential: &&Credential| on.contains(&credential.application);
        let all: Vec<Credential> = manifest.credentials().filter(beside).cloned().collect();
        let ids: Vec<AppId> = on.into_iter().collect();
        // Graph rations certificates. They are read with the pages of all applications.
        let last = some.last().filter(|_| some.len() == AT_ONCE);
        let next = match last {
            Some(last) => Cursor::at(Listing::Credentials, Some(last.name.0.clone())),
            None => Cursor::at(Listing::Applications, None),
        };
        let options = self.options();
        let (kind, keys) = (KeyOn::Application, Detail::Keys);
        let applications = graph.objects_by_app_id(kind, &ids, keys, &options).await?;
        // An application that cannot be read is a finding of its page, and does not count as gone.
        let readable = |one: &Credential| !is_among(&applications.unreadable, one.application);
        let some: Vec<Credential> = some.into_iter().filter(readable).collect();
        let applications = by_app_id(applications.items);
        self.part.objects += applications.len();
        let before = self.part.findings.len();
        self.credentials(&some, &all, &applications).await?;
        let found = self.part.findings.get_mut(before..).unwrap_or_default();
        self.engine.name_object_ids(found, &options).await?;
        Ok(next)
    }

    /// Sweeps these credentials. `all`: every credential on the same applications, those swept before or after too.
    pub(super) async fn credentials(
        &mut self,
        credentials: &[Credential],
        all: &[Credential],
        applications: &HashMap<AppId, DirectoryObject>,
    ) -> Result<(), EngineError> {
        let engine = self.engine;
        let ids: BTreeSet<AppId> =
            credentials.iter().map(|credential| credential.application).collect();
        let ids: Vec<AppId> = ids.into_iter().collect();
        let options = self.options();
        let (kind, keys) = (KeyOn::ServicePrincipal, Detail::Keys);
        let principals = engine.graph.objects_by_app_id(kind, &ids, keys, &options).await?;
        let unreadable = principals.unreadable;
        let principals = by_app_id(principals.items);
        self.part.objects += principals.len();
        let readable = |one: &&Credential| !is_among(&unreadable, one.application);
        for credential in credentials.iter().filter(readable) {
            let both = (
                applications.get(&credential.application),
                principals.get(&credential.application),
            );
            let (holder, other) = match credential.settings.key_on {
                KeyOn::Application => both,
                KeyOn::ServicePrincipal => (both.1, both.0),
            };
            let principal = holder.map(|object| Principal {
                object_id: object.id,
                has_service_principal: both.1.is_some(),
                locked: other.is_some_and(|other| other.locks_principal),
                most_keys: most_keys(object.sign_in_audience.as_deref()),
                keys: object.keys.clone(),
            });
            self.credential(credential, holder, principal.as_ref());
            if let Some(object) = holder {
                self.part.findings.extend(of_other(credential, object, other));
            }
        }
        let swept: BTreeSet<&CredentialName> =
            credentials.iter().map(|credential| &credential.name).collect();
        for ((application, on), owned) in
            ownership(all, |credential| engine.terms(credential, None).scope)
        {
            let objects = match on {
                KeyOn::Application => applications,
                KeyOn::ServicePrincipal => &principals,
            };
            // An object that several credentials share is inspected once, with the first of them.
            let first = owned.credential.as_ref().is_some_and(|first| swept.contains(first));
            if let Some(object) = objects.get(&application).filter(|_| first) {
                self.inspect(object, &owned);
            }
        }
        Ok(())
    }

    fn credential(
        &mut self,
        credential: &Credential,
        holder: Option<&DirectoryObject>,
        principal: Option<&Principal>,
    ) {
        let secret = self.secrets.get(credential.secret.as_str()).cloned();
        let secret = secret.unwrap_or(SecretState::Missing);
        let end = current_end(&secret, principal);
        self.part.ends.extend(end.map(|end| (credential.name.clone(), end)));
        let terms = self.engine.terms(credential, None);
        let now = self.engine.graph.now();
        let Plan { work, findings } =
            plan::plan(&terms, credential.settings.trigger, &secret, principal, now);
        self.part.credentials += 1;
        self.part.planned.extend(work.into_iter().map(|work| Planned {
            credential: credential.name.clone(),
            application: credential.application,
            work,
        }));
        let about = |finding| SweepFinding::about(credential, holder, finding);
        self.part.findings.extend(findings.into_iter().map(about));
    }
}

fn is_among(unreadable: &[Unreadable], application: AppId) -> bool {
    unreadable.iter().any(|object| object.app_id == Some(application))
}

/// Gives the time at which the key of the current version expires, if known.
fn current_end(secret: &SecretState, principal: Option<&Principal>) -> Option<DateTime<Utc>> {
    let SecretState::Present(view) = secret else { return None };
    principal?.key(view.key_of(view.current()?)?)?.end
}

fn by_app_id(objects: Vec<DirectoryObject>) -> HashMap<AppId, DirectoryObject> {
    objects.into_iter().map(|object| (object.app_id, object)).collect()
}
