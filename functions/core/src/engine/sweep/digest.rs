//! The digest: all that expires soon, in the whole directory.

use std::collections::HashMap;

use chrono::TimeDelta;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Cursor, Listing, RESERVE, SweepFinding, passes, read_by};
use crate::engine::{Engine, EngineError};
use crate::events::{Digest, DigestEvent, EventType, Expiring};
use crate::graph::{CallOptions, Detail, DirectoryObject, Page};
use crate::ids::KeyOn;

/// The digest lists keys and certificates that expire within this time.
const SOON: TimeDelta = TimeDelta::days(60);

/// The result of a digest.
#[derive(Clone, Debug)]
pub struct Digested {
    /// The keys and certificates that expire soon, as far as the directory was read.
    pub digest: Digest,
    /// The number of applications and service principals that were read.
    pub objects: usize,
    /// The place where the digest goes on, if its time was not enough.
    pub rest: Option<Cursor>,
}

impl Engine {
    /// Reads the directory from the cursor on. Sends the digest once all is read (not in a dry run).
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
            let (page, next) = match self.digest_page(&at, deadline).await {
                Ok(read) => read,
                Err(failure) if objects > 0 && passes(&failure) => {
                    warn!(%failure, objects, "this page is left to a further digest");
                    return Ok(unfinished(digest, objects, at));
                }
                Err(failure) => return Err(failure),
            };
            if !dry_run {
                let left_out = page.unreadable.into_iter().map(SweepFinding::unreadable);
                self.report_findings(&left_out.collect::<Vec<_>>(), deadline).await?;
            }
            objects += page.items.len();
            for object in page.items {
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
    ) -> Result<(Page<DirectoryObject>, Option<Cursor>), EngineError> {
        use Listing::{Applications, ServicePrincipals};
        let (on, listing, after) = match at.listing {
            ServicePrincipals => (KeyOn::ServicePrincipal, ServicePrincipals, None),
            _ => (KeyOn::Application, Applications, Some(Cursor::at(ServicePrincipals, None))),
        };
        let (detail, link) = (Detail::KeysAndCertificates, self.link(at));
        let options = CallOptions::until(read_by(deadline));
        let page = self.graph.objects(on, detail, link.as_ref(), &options).await?;
        let next = page.next.as_ref().map(|next| Cursor::at(listing, Some(next.to_string())));
        Ok((page, next.or(after)))
    }

    fn expiring(&self, object: &DirectoryObject, digest: &mut Digest) {
        let now = self.graph.now();
        let soon = |end: &chrono::DateTime<chrono::Utc>| *end > now && *end <= now + SOON;
        let due = object.keys.iter().any(|key| key.end.as_ref().is_some_and(soon))
            || object.certificates.iter().any(|one| one.end.as_ref().is_some_and(soon));
        if !due {
            return;
        }
        let managed = self.manifest.of_application(object.app_id, &object.tags);
        let credentials = managed.iter().map(|managed| &managed.credential);
        let some = credentials.clone().next().map(|credential| credential.name.clone());
        let scoped: HashMap<_, _> = credentials
            .map(|credential| (credential.name.clone(), self.terms(credential, None).scope))
            .collect();
        let expiring = |credential, expires_on, managed| Expiring {
            credential,
            application: object.app_id,
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

/// Makes the result of a digest that goes on here.
fn unfinished(digest: Digest, objects: usize, at: Cursor) -> Digested {
    let rest = Some(Cursor { digest: Some(digest.clone()), ..at });
    Digested { digest, objects, rest }
}
