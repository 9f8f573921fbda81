//! Graph's budgets, counted in fixed windows of the emulator's clock.

use std::collections::HashMap;

use uuid::Uuid;

use crate::clock::{Millis, SECOND};
use crate::faults::Throttle;

const UNITS_WINDOW: Millis = 10 * SECOND;
const WRITES_WINDOW: Millis = 150 * SECOND;
const KEYS_WINDOW: Millis = 60 * SECOND;

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    start: Millis,
    used: u32,
}

impl Window {
    /// Takes `cost` from the budget, or says in how many seconds there is more.
    fn take(&mut self, now: Millis, length: Millis, cost: u32, budget: u32) -> Result<(), u32> {
        if now < self.start || now >= self.start + length {
            *self = Self { start: now, used: 0 };
        }
        if self.used.saturating_add(cost) > budget {
            let wait = (self.start + length - now + SECOND - 1) / SECOND;
            return Err(u32::try_from(wait.max(1)).unwrap_or(1));
        }
        self.used += cost;
        Ok(())
    }
}

/// What a request costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) units: u32,
    pub(crate) write: bool,
    pub(crate) selects_keys: bool,
    pub(crate) report: bool,
}

/// A budget that is used up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exceeded {
    pub(crate) retry_after: u32,
    /// What `x-ms-throttle-information` says.
    pub(crate) information: &'static str,
    /// The first two parts of `x-ms-throttle-scope`.
    pub(crate) scope: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct Budgets {
    units: HashMap<Uuid, Window>,
    writes: HashMap<Uuid, Window>,
    reports: HashMap<Uuid, Window>,
    keys: Window,
}

impl Budgets {
    /// Charges a request; the good answer is the share of the unit budget in use.
    pub(crate) fn charge(
        &mut self,
        app: Uuid,
        cost: Cost,
        limits: &Throttle,
        now: Millis,
    ) -> Result<f64, Exceeded> {
        let units = self.units.entry(app).or_default();
        units.take(now, UNITS_WINDOW, cost.units, limits.units_per_10_seconds).map_err(
            |retry_after| Exceeded {
                retry_after,
                information: "ResourceUnitLimitExceeded",
                scope: "Tenant_Application/ReadWrite",
            },
        )?;
        let share = f64::from(units.used) / f64::from(limits.units_per_10_seconds.max(1));
        if cost.write {
            let writes = self.writes.entry(app).or_default();
            writes.take(now, WRITES_WINDOW, 1, limits.writes_per_150_seconds).map_err(
                |retry_after| Exceeded {
                    retry_after,
                    information: "WriteLimitExceeded",
                    scope: "Tenant_Application/Write",
                },
            )?;
        }
        if cost.report {
            let reports = self.reports.entry(app).or_default();
            reports.take(now, UNITS_WINDOW, 1, limits.reports_per_10_seconds).map_err(
                |retry_after| Exceeded {
                    retry_after,
                    information: "ReportLimitExceeded",
                    scope: "Tenant_Application/Read",
                },
            )?;
        }
        if cost.selects_keys {
            self.keys.take(now, KEYS_WINDOW, 1, limits.key_credentials_per_minute).map_err(
                |retry_after| Exceeded {
                    retry_after,
                    information: "KeyCredentialsLimitExceeded",
                    scope: "Tenant/Read",
                },
            )?;
        }
        Ok(share)
    }
}
