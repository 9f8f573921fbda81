//! Each change that succeeds is written into the directory audit, with who made it.

use crate::graph::{Answer, Call};
use crate::model::Kind;
use crate::operation::Operation;
use crate::reports::{DirectoryAudit, Initiator, Subject};

/// As Entra writes it: with an en dash, and a blank at the end.
const APPLICATION_KEYS: &str = "Update application – Certificates and secrets management ";
const NEW_APPLICATION_KEYS: &str = "Create application – Certificates and secrets management ";

impl Call<'_> {
    /// Does the work, and writes down what it changed.
    pub(super) fn audited(&mut self) -> Answer {
        if self.route.operation.is_read() {
            return self.answer();
        }
        let before = self.subject();
        let principal = before.as_ref().and_then(|subject| self.principal_of(subject));
        let reply = self.answer()?;
        let subject = match (&before, self.route.kind) {
            (Some(before), _) => Some(self.again(before)),
            (None, Some(kind)) => {
                self.world.directory.table(kind).iter().next_back().map(Subject::of)
            }
            (None, None) => None,
        };
        if let Some(subject) = subject {
            self.write_down(before.map(|before| before.keys), subject);
        }
        // It goes along with its application.
        if let Some(principal) = principal {
            self.write("Remove service principal".to_owned(), principal, None);
        }
        Ok(reply)
    }

    /// What the request is about, as it is before the work; `None` for what is only made by it.
    fn subject(&self) -> Option<Subject> {
        let named = match self.route.key.as_ref()? {
            super::Key::Id(id) => self.world.directory.any(*id),
            _ => None,
        };
        self.found().or(named).map(Subject::of)
    }

    fn principal_of(&self, subject: &Subject) -> Option<Subject> {
        let deletes =
            self.route.operation == Operation::Delete && subject.kind == Kind::Application;
        let principal = self.world.directory.table(Kind::ServicePrincipal).by_app(subject.app_id);
        principal.filter(|_| deletes).map(Subject::of)
    }

    /// The same object after the work; as it was, if it is gone.
    fn again(&self, before: &Subject) -> Subject {
        let entity = self.world.directory.any(before.id);
        entity.map_or_else(|| before.clone(), Subject::of)
    }

    fn write_down(&mut self, keys_before: Option<Vec<String>>, subject: Subject) {
        use Operation as Op;
        let (noun, is_application) = match subject.kind {
            Kind::Application => ("application", true),
            Kind::ServicePrincipal => ("service principal", false),
        };
        let before = keys_before.unwrap_or_default();
        let keys_changed = before != subject.keys;
        let activity = match self.route.operation {
            Op::Create => {
                self.write(format!("Add {noun}"), subject.clone(), None);
                if is_application {
                    self.write(NEW_APPLICATION_KEYS.to_owned(), subject, Some(before));
                }
                return;
            }
            Op::AddPassword | Op::RemovePassword | Op::Update if keys_changed => {
                let more = subject.keys.len() > before.len();
                let activity = match (is_application, more) {
                    (true, _) => APPLICATION_KEYS,
                    (false, true) => "Add service principal credentials",
                    (false, false) => "Remove service principal credentials",
                };
                self.write(activity.to_owned(), subject, Some(before));
                return;
            }
            Op::Delete if is_application => "Delete application".to_owned(),
            Op::Delete => "Remove service principal".to_owned(),
            Op::Restore => format!("Restore {noun}"),
            Op::DeletePermanently => format!("Hard Delete {noun}"),
            Op::AddOwner => format!("Add owner to {noun}"),
            Op::RemoveOwner => format!("Remove owner from {noun}"),
            Op::CreateAppRoleAssignment => {
                "Add app role assignment to service principal".to_owned()
            }
            Op::DeleteAppRoleAssignment => {
                "Remove app role assignment from service principal".to_owned()
            }
            _ => format!("Update {noun}"),
        };
        self.write(activity, subject, None);
    }

    fn write(&mut self, activity: String, target: Subject, keys_before: Option<Vec<String>>) {
        let now = self.view.now;
        let delay = self.world.faults.lag.directory_audits;
        let shown_from = self.world.dice.propagation(now, &delay, 1);
        let by = match &self.caller.person {
            Some(person) => Initiator::User(person.clone()),
            None => Initiator::App {
                service_principal: self.caller.object_id,
                display_name: self
                    .world
                    .directory
                    .any(self.caller.object_id)
                    .map(|principal| principal.display_name.clone()),
            },
        };
        let entry = DirectoryAudit {
            number: 0,
            id: String::new(),
            correlation: self.world.dice.uuid(),
            at: now,
            shown_from: shown_from.and_then(|times| times.first().copied()).unwrap_or(now),
            activity,
            by,
            target,
            keys_before,
        };
        self.world.directory_audits.push(entry);
    }
}
