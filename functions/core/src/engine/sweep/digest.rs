//! The digest: all that expires soon, in the whole directory.

use std::collections::HashMap;

use chrono::TimeDelta;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Cursor, Listing, Object, RESERVE, Seen, passes, read_by};
use crate::engine::{Engine, EngineError};
use crate::events::{Digest, DigestEvent, EventType, Expiring};
use crate::graph::{CallOptions, Detail, Page, PageLink};

/// What expires within this time is told.
const SOON: TimeDelta = TimeDelta::days(60);

/// What a digest came to.
#[derive(Clone, Debug)]
pub struct Digested {
    /// What expires soon, as far as it was read.
    pub digest: Digest,
    /// Applications and service principals read.
    pub objects: usize,
    /// Where it goes on, if its time was not enough.
    pub rest: Option<Cursor>,
}

impl Engine {
    /// Reads the directory from the cursor on, and tells what expires soon once all is read (not in a dry run).
    pub async fn digest(
        &self,
        from: Cursor,
        dry_run: bool,
        deadline: Instant,
    ) -> Result<Digested, EngineError> {
        let mut digest = from.digest.clone().unwrap_or_default();
        let mut objects = 0;
        let mut cursor = Some(from);
        while let Some(at) = cursor {
            if Instant::now() + RESERVE >= deadline && objects > 0 {
                return Ok(unfinished(digest, objects, at));
            }
            let (page, left_out, next) = match self.digest_page(&at, deadline).await {
                Ok(read) => read,
                Err(failure) if objects > 0 && passes(&failure) => {
                    warn!(%failure, objects, "this page is left to a further digest");
                    return Ok(unfinished(digest, objects, at));
                }
                Err(failure) => return Err(failure),
            };
            if !dry_run {
                self.report_findings(&left_out, deadline).await?;
            }
            objects += page.len();
            for object in page {
                self.expiring(&object, &mut digest);
            }
            cursor = next;
        }
        info!(total = digest.total, objects, "digested");
        if !dry_run {
            let tenant = self.manifest.tenant().to_string();
            let event = DigestEvent::new(&tenant, digest.clone(), self.graph.now());
            self.bus.put_message(&EventType::DigestExpiring, &event, deadline).await?;
        }
        Ok(Digested { digest, objects, rest: None })
    }

    async fn digest_page(
        &self,
        at: &Cursor,
        deadline: Instant,
    ) -> Result<(Vec<Object>, Vec<Seen>, Option<Cursor>), EngineError> {
        let options = CallOptions::until(read_by(deadline));
        let detail = Detail::KeysAndCertificates;
        let link = at.next.as_deref().and_then(|link| self.graph.page_link(link));
        let on = |listing, next: Option<PageLink>| {
            next.map(|next| Cursor::at(listing, Some(next.to_string())))
        };
        if at.listing == Listing::ServicePrincipals {
            let page = self.graph.service_principals(detail, link.as_ref(), &options).await?;
            let (objects, left_out, next) = split(page);
            return Ok((objects, left_out, on(Listing::ServicePrincipals, next)));
        }
        let page = self.graph.applications(detail, link.as_ref(), &options).await?;
        let (objects, left_out, next) = split(page);
        let next = on(Listing::Applications, next)
            .unwrap_or_else(|| Cursor::at(Listing::ServicePrincipals, None));
        Ok((objects, left_out, Some(next)))
    }

    fn expiring(&self, object: &Object, digest: &mut Digest) {
        let now = self.graph.now();
        let soon = |end: &chrono::DateTime<chrono::Utc>| *end > now && *end <= now + SOON;
        let due = object.keys.iter().any(|key| key.end.as_ref().is_some_and(soon))
            || object.certificates.iter().any(|one| one.end.as_ref().is_some_and(soon));
        if !due {
            return;
        }
        let managed = self.manifest.of_application(object.application, &object.tags);
        let credentials = managed.iter().map(|managed| &managed.credential);
        let some = credentials.clone().next().map(|credential| credential.name.clone());
        let scoped: HashMap<_, _> = credentials
            .map(|credential| (credential.name.clone(), self.terms(credential, None).scope))
            .collect();
        let expiring = |credential, expires_on, managed| Expiring {
            credential,
            application: object.application,
            display_name: object.display_name.clone(),
            key: None,
            certificate: None,
            expires_on,
            managed,
        };
        for key in &object.keys {
            let Some(end) = key.end.filter(soon) else { continue };
            let minter = scoped.iter().find(|(_, scope)| key.minted_by(scope).is_some());
            let managed = minter.is_some();
            let credential = minter.map(|(name, _)| name.clone()).or_else(|| some.clone());
            digest.add(Expiring { key: Some(key.key_id), ..expiring(credential, end, managed) });
        }
        for certificate in &object.certificates {
            let Some(end) = certificate.end.filter(soon) else { continue };
            let certificate = Some(certificate.key_id);
            digest.add(Expiring { certificate, ..expiring(some.clone(), end, false) });
        }
    }
}

/// Takes a page apart: its objects, what is told of those that cannot be read, and where the listing goes on.
fn split<T>(page: Page<T>) -> (Vec<Object>, Vec<Seen>, Option<PageLink>)
where
    Object: From<T>,
{
    let objects = page.items.into_iter().map(Object::from).collect();
    (objects, page.unreadable.into_iter().map(Seen::unreadable).collect(), page.next)
}

/// What was read so far, to be gone on with from here.
fn unfinished(digest: Digest, objects: usize, at: Cursor) -> Digested {
    let rest = Some(Cursor { digest: Some(digest.clone()), ..at });
    Digested { digest, objects, rest }
}
