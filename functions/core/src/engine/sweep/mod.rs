//! A sweep: compares the directory with the manifest, queues the work that is due, and reports findings.
//!
//! A sweep goes through the listed credentials first, then page by page through the whole directory for rules and for
//! unmanaged keys, then through Entra's directory audit. The work and the findings of a page are queued and reported
//! before the next page is read. So a sweep that runs out of time, or is throttled for longer than its time, loses
//! nothing and goes on at its [`Cursor`].

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
use crate::graph::{CallOptions, Detail, DirectoryObject, PageLink, Unreadable};
use crate::http::Retry;
use crate::ids::{AppId, CredentialName, KeyOn};
use crate::queue::Queue;
use crate::rotation::SecretState;
use crate::rotation::finding::inspect;
use crate::secrets::Prefixes;

pub use audits::read_to;
pub use cursor::{Cursor, Listing};
pub use digest::Digested;
pub use found::{Planned, SweepFinding};
use ownership::Ownership;
pub use report::Report;

/// The time that a page may need after it is read. A sweep with less time left does not begin a page.
const RESERVE: Duration = Duration::from_secs(45);
/// The number of credentials that are swept between two looks at the clock.
const AT_ONCE: usize = 150;

/// Whether a sweep queues its work and reports its findings.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// The sweep queues and reports.
    Queue(&'a Queue),
    /// The sweep changes nothing.
    DryRun,
}

/// The states of the manifest's secrets by name, from their labels.
type Secrets = HashMap<String, SecretState>;

/// The state of a running sweep.
struct Sweep<'a> {
    engine: &'a Engine,
    secrets: Secrets,
    deadline: Instant,
    /// The result of the part that is being swept.
    part: Report,
}

impl Engine {
    /// Sweeps from the cursor until the end of the sweep, or until the deadline is near.
    pub async fn sweep(
        &self,
        from: Cursor,
        mode: Mode<'_>,
        deadline: Instant,
    ) -> Result<Report, EngineError> {
        let (secrets, part) = (self.labels().await?, Report::default());
        let mut sweep = Sweep { engine: self, secrets, deadline, part };
        let mut report = Report::default();
        let mut cursor = Some(from);
        while let Some(at) = cursor {
            let begun = report.objects + report.audit_pages > 0;
            if Instant::now() + RESERVE >= deadline && begun {
                report.rest = Some(at);
                break;
            }
            match sweep.part(&at, mode).await {
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

    /// Reads the labels of all secrets that the manifest can name, without any value.
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
                // The listing lags. A secret of the same name may have been made since.
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

    /// Reads the link of a page. With a link of another Graph the listing begins again.
    fn link(&self, at: &Cursor) -> Option<PageLink> {
        at.next.as_deref().and_then(|link| self.graph.page_link(link))
    }

    fn listed(&self) -> HashMap<AppId, ListedApplication> {
        let mut listed = HashMap::new();
        for credential in self.manifest.credentials() {
            let entry = listed.entry(credential.application);
            let name = || ListedApplication { name: credential.name.clone(), on: BTreeSet::new() };
            entry.or_insert_with(name).on.insert(credential.settings.key_on);
        }
        listed
    }
}

impl Sweep<'_> {
    /// Sweeps a part, and queues and reports the result. A part that fails is swept again as a whole.
    async fn part(
        &mut self,
        at: &Cursor,
        mode: Mode<'_>,
    ) -> Result<(Report, Option<Cursor>), EngineError> {
        let (next, mark) = match at.listing {
            Listing::Credentials => (Some(self.listed(at).await?), None),
            Listing::Applications => (Some(self.applications(at).await?), None),
            Listing::ServicePrincipals => (Some(self.service_principals(at).await?), None),
            Listing::DirectoryAudits => self.audits(at).await?,
        };
        let part = std::mem::take(&mut self.part);
        if let Mode::Queue(queue) = mode {
            self.engine.queue_planned(queue, &part.planned).await?;
            self.engine.report_findings(&part.findings, self.deadline).await?;
            // Only entries that were reported count as read.
            self.engine.leave_mark(mark).await?;
        }
        Ok((part, next))
    }

    fn options(&self) -> CallOptions {
        CallOptions::until(read_by(self.deadline))
    }

    fn report_unreadable(&mut self, unreadable: Vec<Unreadable>) {
        self.part.findings.extend(unreadable.into_iter().map(SweepFinding::unreadable));
    }

    /// Reads a page of a listing. Gives its objects, and the link to the next page.
    async fn page(
        &mut self,
        on: KeyOn,
        at: &Cursor,
    ) -> Result<(Vec<DirectoryObject>, Option<String>), EngineError> {
        let Engine { graph, .. } = self.engine;
        let (detail, link) = (Detail::KeysAndCertificates, self.engine.link(at));
        let page = graph.objects(on, detail, link.as_ref(), &self.options()).await?;
        self.report_unreadable(page.unreadable);
        self.part.objects += page.items.len();
        Ok((page.items, page.next.as_ref().map(PageLink::to_string)))
    }

    async fn applications(&mut self, at: &Cursor) -> Result<Cursor, EngineError> {
        let engine = self.engine;
        let (objects, next) = self.page(KeyOn::Application, at).await?;
        let tagged = engine.tagged(at, &objects);
        let listed = engine.listed();
        let (mut ruled, mut of_rules) = (Vec::new(), HashMap::new());
        for mut object in objects {
            let listed = listed.get(&object.app_id);
            let mut owned = Ownership::by_nobody(listed.map(|listed| listed.name.clone()));
            let mut beside = false;
            if listed.is_some_and(|listed| listed.on.contains(&KeyOn::Application)) {
                // These keys were compared as a credential's.
                object.keys.clear();
            } else if let Some(managed) = engine.manifest.by_tags(object.app_id, &object.tags) {
                let credential = managed.credential;
                let (name, on) = (credential.name.clone(), credential.settings.key_on);
                ruled.push(credential);
                if on == KeyOn::Application {
                    of_rules.insert(object.app_id, object);
                    continue;
                }
                owned.credential = Some(name);
                beside = true;
            }
            self.inspect(&object, &owned);
            if beside {
                // The application says whether its service principal is locked.
                of_rules.insert(object.app_id, object);
            }
        }
        for some in ruled.chunks(AT_ONCE) {
            self.credentials(some, some, &of_rules).await?;
        }
        if next.is_none() {
            self.part.findings.extend(engine.rules_in_vain(tagged.as_ref()));
            return Ok(Cursor::at(Listing::ServicePrincipals, None));
        }
        Ok(Cursor { tagged, ..Cursor::at(Listing::Applications, next) })
    }

    /// Sweeps a page of service principals.
    ///
    /// They have passwords and certificates of their own, which no portal page shows.
    async fn service_principals(&mut self, at: &Cursor) -> Result<Cursor, EngineError> {
        let engine = self.engine;
        let (objects, next) = self.page(KeyOn::ServicePrincipal, at).await?;
        let listed = engine.listed();
        for mut object in objects {
            let listed = listed.get(&object.app_id);
            let ruled = engine.manifest.by_tags(object.app_id, &object.tags);
            let on_principal = KeyOn::ServicePrincipal;
            let managed = listed.is_some_and(|listed| listed.on.contains(&on_principal))
                || ruled.is_some_and(|ruled| ruled.credential.settings.key_on == on_principal);
            if managed {
                object.keys.clear();
            }
            self.inspect(&object, &Ownership::by_nobody(None));
        }
        Ok(match next {
            Some(_) => Cursor::at(Listing::ServicePrincipals, next),
            None => Cursor::at(Listing::DirectoryAudits, None),
        })
    }

    fn inspect(&mut self, object: &DirectoryObject, owned: &Ownership) {
        let now = self.engine.graph.now();
        let found = inspect(&object.keys, &object.certificates, &owned.expected, now).into_iter();
        self.part.findings.extend(found.map(|finding| SweepFinding {
            credential: owned.credential.clone(),
            application: object.app_id,
            display_name: object.display_name.clone(),
            finding,
        }));
    }
}

/// Gives the time at which the reading of a part must end, so that there is time to report its result and to hand the
/// sweep on.
fn read_by(deadline: Instant) -> Instant {
    deadline.checked_sub(RESERVE / 3).unwrap_or(deadline)
}

/// Says whether a failure may have passed when a further sweep goes on.
fn passes(failure: &EngineError) -> bool {
    failure.retry() != Retry::Never
}

/// The credentials that the manifest lists for an application.
struct ListedApplication {
    /// The first name.
    name: CredentialName,
    /// The objects that hold their keys.
    on: BTreeSet<KeyOn>,
}
