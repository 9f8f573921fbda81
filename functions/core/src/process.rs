//! The protection of a process's memory.

use std::io::{Write, stderr};
use std::panic;

/// Keeps secrets in memory out of files: switches core dumps off, and keeps texts out of panic messages.
///
/// A process calls this first of all. A protection that the system does not allow is left out, because a process without
/// the protection is better than no process.
pub fn harden() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // The limit above does not stop dumps that are piped to a program. This also keeps all but root from attaching.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    panic::set_hook(Box::new(|panicked| {
        // The message is left out, because the message of a wrong cut quotes the text.
        let at = panicked.location().map(ToString::to_string).unwrap_or_default();
        let line = serde_json::json!({ "level": "ERROR", "message": "Keywheel panicked; this is a defect of Keywheel", "at": at });
        let _ = writeln!(stderr(), "{line}");
    }));
}
