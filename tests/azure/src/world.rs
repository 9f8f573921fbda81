//! All that changes while the emulator runs, behind one lock, and all that does not.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::clock::{Clock, Millis};
use crate::dice::Dice;
use crate::directory::Directory;
use crate::faults::{Delay, Faults};
use crate::keys::Keys;
use crate::log::{RequestRecord, Ring, SignIn};
use crate::model::View;
use crate::reports::{DirectoryAudits, Uses};
use crate::secrets::Secrets;
use crate::throttle::Budgets;
use crate::token::issuers::Issuers;

/// Addresses, names and keys: fixed at the start.
pub(crate) struct Site {
    /// `https://127.0.0.1:PORT`
    pub(crate) origin: String,
    pub(crate) tenant: Uuid,
    pub(crate) domain: String,
    pub(crate) tenant_name: String,
    pub(crate) replicas: usize,
    pub(crate) keys: &'static Keys,
}

impl Site {
    pub(crate) fn graph(&self) -> String {
        format!("{}/graph", self.origin)
    }

    pub(crate) fn arm(&self) -> String {
        format!("{}/arm", self.origin)
    }

    pub(crate) fn admin(&self) -> String {
        format!("{}/_emulator", self.origin)
    }
}

/// What changes.
pub(crate) struct World {
    pub(crate) directory: Directory,
    pub(crate) faults: Faults,
    pub(crate) budgets: Budgets,
    pub(crate) dice: Dice,
    pub(crate) secrets: Secrets,
    pub(crate) requests: Ring<RequestRecord>,
    pub(crate) sign_ins: Ring<SignIn>,
    pub(crate) directory_audits: DirectoryAudits,
    pub(crate) uses: Uses,
    pub(crate) request_count: u64,
    replicas: usize,
}

impl World {
    pub(crate) fn new(random_seed: u64, faults: Faults, replicas: usize) -> Self {
        Self {
            directory: Directory::default(),
            faults,
            budgets: Budgets::default(),
            dice: Dice::new(random_seed),
            secrets: Secrets::default(),
            requests: Ring::default(),
            sign_ins: Ring::default(),
            directory_audits: DirectoryAudits::default(),
            uses: Uses::default(),
            request_count: 0,
            replicas,
        }
    }

    /// The view of the Graph replica that a request lands on.
    pub(crate) fn graph_view(&mut self, now: Millis) -> View {
        View { replica: self.dice.below(self.replicas), now }
    }

    /// The view of the token service's replica that a request lands on; those are numbered after Graph's.
    pub(crate) fn token_view(&mut self, now: Millis) -> View {
        View { replica: self.replicas + self.dice.below(self.replicas), now }
    }

    /// When each replica, of Graph and of the token service, learns of a change made now.
    pub(crate) fn spread(&mut self, now: Millis, delay: Delay) -> Option<Box<[Millis]>> {
        self.dice.propagation(now, &delay, 2 * self.replicas)
    }

    pub(crate) fn next_request(&mut self) -> u64 {
        self.request_count += 1;
        self.request_count
    }
}

/// Everything, shared by all connections.
pub(crate) struct Shared {
    pub(crate) site: Site,
    pub(crate) clock: Clock,
    pub(crate) issuers: Issuers,
    world: Mutex<World>,
}

impl Shared {
    pub(crate) fn new(site: Site, clock: Clock, issuers: Issuers, world: World) -> Self {
        Self { site, clock, issuers, world: Mutex::new(world) }
    }

    /// The world; a panic elsewhere must not take the emulator down with it.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
