//! A sweep: compares the directory with the manifest, queues what is due, reports what it saw.
//!
//! First the listed credentials, then page by page the whole directory for rules and for what nobody
//! manages, then what others changed by Entra's directory audit. What a page gives is queued and reported
//! before the next is read, so that a sweep which runs out of time, or is throttled for longer than it has,
//! loses nothing: it goes on at its [`Cursor`].

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

mod audits;
mod credentials;
mod cursor;
mod digest;
mod found;
mod other;
mod ownership;
mod report;
mod rules;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Engine, EngineError};
use crate::graph::{CallOptions, Detail, PageLink};
use crate::http::Retry;
use crate::ids::{AppId, CredentialName, KeyOn};
use crate::queue::Queue;
use crate::rotation::finding::{Finding, inspect};
use crate::rotation::{Scope, SecretState};
use crate::secrets::Prefixes;

pub use cursor::{Cursor, Listing};
pub use digest::Digested;
use found::Object;
pub use found::{Planned, Seen};
use ownership::Ownership;
pub use report::Report;

/// What a page may need after it is read: it is not begun with less time left.
const RESERVE: Duration = Duration::from_secs(45);
/// How many credentials are looked at between two looks at the clock.
const AT_ONCE: usize = 150;

/// What a sweep is to do with what it finds.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Queue it and report it.
    Queue(&'a Queue),
    /// Nothing.
    DryRun,
}

/// What one credential's plan rests on.
type Secrets = HashMap<String, SecretState>;

impl Engine {
    /// Sweeps from the cursor until all is seen or the deadline is near.
    pub async fn sweep(
        &self,
        from: Cursor,
        mode: Mode<'_>,
        deadline: Instant,
    ) -> Result<Report, EngineError> {
        let secrets = self.labels().await?;
        let mut report = Report::default();
        let mut cursor = Some(from);
        while let Some(at) = cursor {
            let begun = report.objects + report.audit_pages > 0;
            if Instant::now() + RESERVE >= deadline && begun {
                report.rest = Some(at);
                break;
            }
            match self.sweep_part(&at, &secrets, mode, deadline).await {
                Ok((part, next)) => {
                    report.add(part);
                    let planned = report.planned.len();
                    info!(?at, objects = report.objects, planned, "swept a part");
                    cursor = next;
                }
                Err(failure) if begun && passes(&failure) => {
                    warn!(?at, %failure, "this part is left to a further sweep");
                    report.rest = Some(at);
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(report)
    }

    /// Reads a part, and queues and reports what it gave. One that fails is swept as a whole again.
    async fn sweep_part(
        &self,
        at: &Cursor,
        secrets: &Secrets,
        mode: Mode<'_>,
        deadline: Instant,
    ) -> Result<(Report, Option<Cursor>), EngineError> {
        let (mut part, mut mark) = (Report::default(), None);
        let next = if at.listing == Listing::DirectoryAudits {
            self.sweep_audits(at, &mut mark, &mut part, deadline).await?
        } else {
            self.read_part(at, secrets, &mut part, deadline).await?
        };
        if let Mode::Queue(queue) = mode {
            self.queue_planned(queue, &part.planned).await?;
            self.report_findings(&part.findings, deadline).await?;
            // Only what was told counts as read.
            self.leave_mark(mark).await?;
        }
        Ok((part, next))
    }

    async fn read_part(
        &self,
        at: &Cursor,
        secrets: &Secrets,
        report: &mut Report,
        deadline: Instant,
    ) -> Result<Option<Cursor>, EngineError> {
        let options = CallOptions::until(read_by(deadline));
        // A link of another Graph begins the listing again.
        let link = at.next.as_deref().and_then(|link| self.graph.page_link(link));
        let (listing, next) = match at.listing {
            Listing::Credentials => {
                return self.sweep_listed(at.next.as_deref(), secrets, report, &options).await;
            }
            Listing::Applications => {
                let detail = Detail::KeysAndCertificates;
                let page = self.graph.applications(detail, link.as_ref(), &options).await?;
                report.findings.extend(page.unreadable.into_iter().map(Seen::unreadable));
                let tagged = self.tagged(at, &page.items);
                let objects = page.items.into_iter().map(Object::from).collect();
                self.sweep_applications(objects, secrets, report, &options).await?;
                let Some(next) = page.next.map(|next| next.to_string()) else {
                    report.findings.extend(self.rules_in_vain(tagged.as_ref()));
                    return Ok(Some(Cursor::at(Listing::ServicePrincipals, None)));
                };
                return Ok(Some(Cursor {
                    tagged,
                    ..Cursor::at(Listing::Applications, Some(next))
                }));
            }
            Listing::ServicePrincipals => {
                let detail = Detail::KeysAndCertificates;
                let page = self.graph.service_principals(detail, link.as_ref(), &options).await?;
                report.findings.extend(page.unreadable.into_iter().map(Seen::unreadable));
                let objects = page.items.into_iter().map(Object::from).collect();
                self.sweep_service_principals(objects, report);
                (Listing::DirectoryAudits, page.next)
            }
            Listing::DirectoryAudits => return Ok(None),
        };
        let next = next.as_ref().map(PageLink::to_string);
        let listing = if next.is_some() { at.listing } else { listing };
        Ok(Some(Cursor::at(listing, next)))
    }

    /// The labels of all secrets that the manifest may speak of, without any value.
    async fn labels(&self) -> Result<Secrets, EngineError> {
        let listed = self.manifest.credentials().map(|credential| credential.secret.as_str());
        let ruled = self.manifest.rules().iter().map(|rule| rule.secret().prefix());
        let prefixes: Prefixes = listed.chain(ruled).collect();
        let mut secrets = Secrets::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.secrets.list(&prefixes, next.as_deref()).await?;
            for listed in page.items {
                let deleted = listed.state == SecretState::ScheduledForDeletion;
                // The listing lags: one of the same name may have been made since.
                if !(deleted && secrets.contains_key(&listed.name)) {
                    secrets.insert(listed.name, listed.state);
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(secrets);
            }
        }
    }

    async fn sweep_applications(
        &self,
        objects: Vec<Object>,
        secrets: &Secrets,
        report: &mut Report,
        options: &CallOptions,
    ) -> Result<(), EngineError> {
        report.objects += objects.len();
        let listed = self.listed();
        let (mut ruled, mut of_rules) = (Vec::new(), HashMap::new());
        for mut object in objects {
            let listed = listed.get(&object.application);
            let mut owned = Ownership::by_nobody(listed.map(|listed| listed.name.clone()));
            let mut beside = false;
            if listed.is_some_and(|listed| listed.on.contains(&KeyOn::Application)) {
                // Its keys were looked at as a credential's.
                object.keys.clear();
            } else if let Some(managed) = self.manifest.by_tags(object.application, &object.tags) {
                let credential = managed.credential;
                let (name, on) = (credential.name.clone(), credential.settings.key_on);
                ruled.push(credential);
                if on == KeyOn::Application {
                    of_rules.insert(object.application, object);
                    continue;
                }
                owned.credential = Some(name);
                beside = true;
            }
            self.inspect_object(&object, &owned, report);
            if beside {
                // Whether its service principal is locked is asked of it.
                of_rules.insert(object.application, object);
            }
        }
        for some in ruled.chunks(AT_ONCE) {
            self.sweep_credentials(some, some, &of_rules, secrets, report, options).await?;
        }
        Ok(())
    }

    /// Service principals have passwords and certificates of their own, which no portal page shows.
    fn sweep_service_principals(&self, objects: Vec<Object>, report: &mut Report) {
        report.objects += objects.len();
        let listed = self.listed();
        for mut object in objects {
            let listed = listed.get(&object.application);
            let ruled = self.manifest.by_tags(object.application, &object.tags);
            let on_principal = KeyOn::ServicePrincipal;
            let managed = listed.is_some_and(|listed| listed.on.contains(&on_principal))
                || ruled.is_some_and(|ruled| ruled.credential.settings.key_on == on_principal);
            if managed {
                object.keys.clear();
            }
            self.inspect_object(&object, &Ownership::by_nobody(None), report);
        }
    }

    fn listed(&self) -> HashMap<AppId, Listed> {
        let mut listed = HashMap::new();
        for credential in self.manifest.credentials() {
            let entry = listed.entry(credential.application);
            let name = || Listed { name: credential.name.clone(), on: BTreeSet::new() };
            entry.or_insert_with(name).on.insert(credential.settings.key_on);
        }
        listed
    }

    fn inspect_object(&self, object: &Object, owned: &Ownership, report: &mut Report) {
        let scopes: Vec<&Scope> = owned.scopes.iter().collect();
        let (soon, lifetime) = (owned.soon, owned.lifetime);
        let now = self.graph.now();
        let found = inspect(&object.keys, &object.certificates, &scopes, soon, lifetime, now);
        // The manifest names them already: they go when the overlap is over.
        let named = |finding: &Finding| finding.key().is_some_and(|key| owned.named.contains(&key));
        let found = found.into_iter().filter(|finding| !named(finding));
        report.findings.extend(found.map(|finding| Seen {
            credential: owned.credential.clone(),
            application: object.application,
            display_name: object.display_name.clone(),
            finding,
        }));
    }
}

/// When the reading of a part has to be over: what it gave is still to be told, and the sweep to be handed on.
fn read_by(deadline: Instant) -> Instant {
    deadline.checked_sub(RESERVE / 3).unwrap_or(deadline)
}

/// Whether a failure may be over when a further sweep goes on.
fn passes(failure: &EngineError) -> bool {
    failure.retry() != Retry::Never
}

/// What the manifest's own entries say of an application.
struct Listed {
    /// The first of them, by name.
    name: CredentialName,
    /// Where they keep their keys.
    on: BTreeSet<KeyOn>,
}
