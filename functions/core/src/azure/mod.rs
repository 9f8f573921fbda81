//! Calls Azure's REST APIs: bearer tokens, bounded tries, errors with the ids of their requests, pages.
//!
//! A client of one service says where that service is, what a token is asked for, which permission each call needs, and
//! what the service's own error codes mean.

mod call;
mod error;
mod page;

pub use call::CallOptions;
pub(crate) use call::{Call, Caller, Service, scope};
pub(crate) use error::request_id;
pub use error::{AzureError, Kind};
pub use page::{Page, PageLink, Unreadable};
