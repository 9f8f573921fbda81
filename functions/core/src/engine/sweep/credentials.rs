//! Sweeps credentials: compares the keys of their objects with their secrets.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::found::{Object, Planned, Seen};
use super::other::of_other;
use super::ownership::ownership;
use super::{AT_ONCE, Cursor, Listing, Sweep};
use crate::engine::{Engine, EngineError};
use crate::graph::{Detail, Unreadable};
use crate::ids::{AppId, CredentialName, KeyOn};
use crate::manifest::Credential;
use crate::rotation::plan::{self, Plan};
use crate::rotation::{Principal, SecretState};

impl Sweep<'_> {
    /// Some of the credentials that the manifest lists, after the one by name that the cursor is at.
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
        // Their certificates come with the page of all applications: Graph rations those.
        let last = some.last().filter(|_| some.len() == AT_ONCE);
        let next = match last {
            Some(last) => Cursor::at(Listing::Credentials, Some(last.name.0.clone())),
            None => Cursor::at(Listing::Applications, None),
        };
        let options = self.options();
        let applications = graph.applications_by_app_id(&ids, Detail::Keys, &options).await?;
        // An application that cannot be read is a finding of its page, and does not count as gone.
        let readable = |one: &Credential| !is_among(&applications.unreadable, one.application);
        let some: Vec<Credential> = some.into_iter().filter(readable).collect();
        let applications = by_app_id(applications.items.into_iter().map(Object::from));
        self.part.objects += applications.len();
        let before = self.part.findings.len();
        self.credentials(&some, &all, &applications).await?;
        let found = self.part.findings.get_mut(before..).unwrap_or_default();
        self.engine.name_object_ids(found, &options).await?;
        Ok(next)
    }

    /// `all` are the credentials on the same applications, those swept before or after among them.
    pub(super) async fn credentials(
        &mut self,
        credentials: &[Credential],
        all: &[Credential],
        applications: &HashMap<AppId, Object>,
    ) -> Result<(), EngineError> {
        let engine = self.engine;
        let ids: BTreeSet<AppId> =
            credentials.iter().map(|credential| credential.application).collect();
        let ids: Vec<AppId> = ids.into_iter().collect();
        let options = self.options();
        let principals =
            engine.graph.service_principals_by_app_id(&ids, Detail::Keys, &options).await?;
        let unreadable = principals.unreadable;
        let principals = by_app_id(principals.items.into_iter().map(Object::from));
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
                most_keys: object.most_keys,
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
            // One that several credentials share is inspected once: with the first of them.
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
        holder: Option<&Object>,
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
        self.part.findings.extend(findings.into_iter().map(|finding| Seen {
            credential: Some(credential.name.clone()),
            application: credential.application,
            display_name: holder.and_then(|object| object.display_name.clone()),
            finding,
        }));
    }
}

fn is_among(unreadable: &[Unreadable], application: AppId) -> bool {
    unreadable.iter().any(|object| object.app_id == Some(application))
}

/// When the key of the current version expires, where both are known.
fn current_end(secret: &SecretState, principal: Option<&Principal>) -> Option<DateTime<Utc>> {
    let SecretState::Present(view) = secret else { return None };
    principal?.key(view.key_of(view.current()?)?)?.end
}

fn by_app_id(objects: impl Iterator<Item = Object>) -> HashMap<AppId, Object> {
    objects.map(|object| (object.application, object)).collect()
}
