//! Calls of Azure's REST APIs: bearer tokens, bounded tries, errors with the ids of their requests, pages.
//!
//! The client of a service says where the service is, which permission each call needs, and what the service's own
//! error codes mean.

mod call;
mod error;
mod page;

pub use call::CallOptions;
pub(crate) use call::{Call, Caller, Service, scope};
pub(crate) use error::request_id;
pub use error::{AzureError, Kind};
pub use page::{Page, PageLink, Unreadable};
