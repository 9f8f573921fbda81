//! Starting and stopping, and what a test does to a running emulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use crate::clock::{Clock, moment};
use crate::error::Error;
use crate::faults::Faults;
use crate::keys::Keys;
use crate::log::{RequestRecord, SignIn};
use crate::populate::{Administrator, found, plant, synthesise};
use crate::seed::Seed;
use crate::token::issuers::Issuers;
use crate::world::{Shared, Site, World};
use crate::{admin, server, tls};

/// How an emulator is to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    listen: SocketAddr,
    seed: Seed,
    applications: usize,
    faults: Faults,
    replicas: usize,
    random_seed: u64,
    tls_dir: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: Seed::default(),
            applications: 0,
            faults: Faults::default(),
            replicas: 3,
            random_seed: 0,
            tls_dir: None,
        }
    }
}

impl Builder {
    /// Where to listen: loopback only. A random port of 127.0.0.1 where not said.
    pub fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// What the tenant holds.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Adds so many made-up applications.
    pub fn applications(mut self, applications: usize) -> Self {
        self.applications = applications;
        self
    }

    /// What goes wrong from the start.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// How many replicas Graph has, and the token service likewise; three where not said.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas.max(1);
        self
    }

    /// The seed of all chance.
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random_seed = seed;
        self
    }

    /// Where to write the certificate authority, as `ca.pem`.
    pub fn tls_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.tls_dir = Some(dir.into());
        self
    }

    /// Starts it; it answers when this returns.
    pub async fn start(self) -> Result<Emulator, Error> {
        if !self.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(self.listen));
        }
        self.faults.check().map_err(|reason| Error::Document { what: "faults", reason })?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // reqwest is built without a provider of its own; someone else may have been faster, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let listening = |source| Error::Listen { address: self.listen, source };
        let listener = TcpListener::bind(self.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let identity = tls::identity(address.ip())?;
        let ca_path =
            self.tls_dir.as_deref().map(|dir| write_ca(dir, &identity.ca_pem)).transpose()?;

        let clock = Clock::default();
        clock.set_skew(self.faults.skew());
        let now = clock.now();
        let mut world = World::new(self.random_seed, self.faults, self.replicas);
        let tenant = self.seed.tenant.id.unwrap_or_else(|| world.dice.uuid());
        let administrator = found(&mut world, now);
        plant(&mut world, &self.seed.applications, now)?;
        synthesise(&mut world, self.applications, now);
        let site = Site {
            origin: format!("https://{address}"),
            tenant,
            domain: self.seed.tenant.domain,
            tenant_name: self.seed.tenant.display_name,
            replicas: self.replicas,
            keys: Keys::shared()?,
        };
        let shared = Arc::new(Shared::new(site, clock, Issuers::new(self.seed.issuers)?, world));
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(server::run(
            listener,
            TlsAcceptor::from(identity.server),
            Arc::clone(&shared),
            stopped,
        ));
        Ok(Emulator {
            shared,
            ca_pem: identity.ca_pem,
            ca_path,
            administrator,
            address,
            stop,
            serving,
        })
    }
}

fn write_ca(dir: &std::path::Path, pem: &str) -> Result<PathBuf, Error> {
    let path = dir.join("ca.pem");
    let failed = |source| Error::File { path: path.clone(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    std::fs::write(&path, pem).map_err(failed)?;
    Ok(path)
}

/// A running emulator; it stops when dropped.
pub struct Emulator {
    shared: Arc<Shared>,
    ca_pem: String,
    ca_path: Option<PathBuf>,
    administrator: Administrator,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// Where everything is: what the program prints when it is ready.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Endpoints {
    /// Base of `/{tenant}/oauth2/v2.0/token`.
    pub authority: String,
    /// Base of `/v1.0/…`.
    pub graph: String,
    /// Base of Azure Resource Manager, which is empty.
    pub arm: String,
    /// The certificate authority's file, where there is one.
    pub ca: Option<PathBuf>,
    /// The tenant's id.
    pub tenant: Uuid,
    /// Base of what tests may set and see.
    pub admin: String,
    /// A principal that may do everything …
    pub client_id: Uuid,
    /// … and its secret.
    pub client_secret: String,
}

impl Emulator {
    /// An emulator to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where everything is.
    pub fn endpoints(&self) -> Endpoints {
        let site = &self.shared.site;
        Endpoints {
            authority: site.origin.clone(),
            graph: site.graph(),
            arm: site.arm(),
            ca: self.ca_path.clone(),
            tenant: site.tenant,
            admin: site.admin(),
            client_id: self.administrator.app_id,
            client_secret: self.administrator.secret.clone(),
        }
    }

    /// The certificate authority that clients must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) -> Result<(), Error> {
        admin::set_faults(&self.shared, faults)
            .map_err(|reason| Error::Document { what: "faults", reason })
    }

    /// The faults in force; `times` counted down.
    pub fn faults(&self) -> Faults {
        self.shared.world().faults.clone()
    }

    /// Steps the clock.
    pub fn advance(&self, seconds: i64) {
        admin::advance(&self.shared.clock, seconds);
    }

    /// The emulator's time.
    pub fn now(&self) -> DateTime<Utc> {
        moment(self.shared.clock.now())
    }

    /// The whole directory, without secret texts.
    pub fn state(&self) -> Value {
        admin::state(&self.shared, false)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.world().requests.iter().cloned().collect()
    }

    /// The sign-ins so far.
    pub fn sign_ins(&self) -> Vec<SignIn> {
        self.shared.world().sign_ins.iter().cloned().collect()
    }

    /// Every secret text there ever was.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.world().secrets.iter().map(str::to_owned).collect()
    }

    /// Stops it and waits for its connections to close.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.serving).await {
            tracing::debug!(%error, "the listener had stopped");
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.serving.abort();
    }
}
