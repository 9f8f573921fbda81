//! Listings, page by page.

use std::fmt::{self, Write};

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::{Call, Caller};
use super::error::{AzureError, short};
use crate::ids::AppId;

/// The most pages of a listing that is read as a whole.
const MOST_PAGES: usize = 20;

/// A link to the next page of a listing. The link always leads to the service that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLink(pub(crate) Url);

impl fmt::Display for PageLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The items that cannot be read. They are left out of `items`.
    pub unreadable: Vec<Unreadable>,
    /// The next page, if any.
    pub next: Option<PageLink>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), unreadable: Vec::new(), next: None }
    }
}

impl<T> Page<T> {
    /// Appends a further page.
    pub(crate) fn extend(&mut self, page: Self) {
        self.items.extend(page.items);
        self.unreadable.extend(page.unreadable);
        self.next = page.next;
    }
}

/// An object of a listing that is not as its service documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The listing, and the object's id and name if they can be read.
    pub object: String,
    /// The object's client id, if any.
    pub app_id: Option<AppId>,
    /// The reason.
    pub why: String,
}

impl Unreadable {
    fn new(listing: &str, object: &Value, why: &serde_json::Error) -> Self {
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(short);
        let mut shown = format!("{listing} {}", text("id").as_deref().unwrap_or("without an id"));
        if let Some(name) = text("displayName") {
            let _ = write!(shown, " ({name})");
        }
        let app_id = text("appId").and_then(|id| id.parse().ok());
        Self { object: shown, app_id, why: short(&why.to_string()) }
    }

    /// Names an entry of a report by its id.
    pub(crate) fn entry(listing: &str, id: &str, why: &str) -> Self {
        Self { object: format!("{listing} {}", short(id)), app_id: None, why: why.to_owned() }
    }
}

#[derive(Deserialize)]
struct Wire {
    value: Vec<Value>,
    /// Graph writes `@odata.nextLink`, ARM `nextLink`.
    #[serde(rename = "@odata.nextLink", alias = "nextLink")]
    next: Option<String>,
}

impl<R: fmt::Display> Caller<R> {
    /// Reads a link that was written down; `None`: the link leads away from this service, and the token would go there.
    pub(crate) fn page_link(&self, text: &str) -> Option<PageLink> {
        let (link, root) = (Url::parse(text).ok()?, &self.service.root);
        // The parts are compared one by one, because `Url::origin` takes `blob:https://…` for the inner address.
        let here = link.scheme() == root.scheme()
            && link.host() == root.host()
            && link.port_or_known_default() == root.port_or_known_default();
        // A name before the host would be sent along with the token.
        let anonymous = link.username().is_empty() && link.password().is_none();
        (here && anonymous).then_some(PageLink(link))
    }

    /// Reads one page.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Page<T>, AzureError<R>> {
        let wire: Wire = self.read(call).await?;
        let next = match wire.next.map(|link| self.page_link(&link)) {
            None => None,
            Some(None) => return Err(self.malformed(call, "its nextLink leads elsewhere")),
            // A sweep would go on for ever, in one function after the other.
            Some(Some(PageLink(link))) if link == call.url => {
                return Err(self.malformed(call, "its nextLink leads to itself"));
            }
            Some(link) => link,
        };
        let mut page = Page { next, ..Page::default() };
        for object in wire.value {
            match T::deserialize(&object) {
                Ok(item) => page.items.push(item),
                Err(why) => page.unreadable.push(Unreadable::new(&call.object, &object, &why)),
            }
        }
        Ok(page)
    }

    /// Reads a page and all further pages.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Page<T>, AzureError<R>> {
        let mut all: Page<T> = self.page(call).await?;
        for _ in 1..MOST_PAGES {
            let Some(PageLink(url)) = all.next.take() else { return Ok(all) };
            all.extend(self.page(&call.at(url)).await?);
        }
        match all.next {
            None => Ok(all),
            Some(_) => Err(self.malformed(call, "it has too many pages")),
        }
    }
}
