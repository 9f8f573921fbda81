//! Turns a seed into a directory.

use std::collections::HashMap;

use uuid::Uuid;

use crate::clock::{DAY, Millis, SECOND};
use crate::error::Error;
use crate::model::{Assignment, Certificate, Entity, FederatedCredential, Kind, Password, Sight};
use crate::seed::{SeedApplication, SeedCertificate, SeedFederatedCredential, SeedPassword, time};
use crate::well_known::{GRAPH_APP_ID, Permission};
use crate::world::World;

/// Long enough for every test, and short enough that nobody reports the key.
const ADMINISTRATOR_LIFE: Millis = 700 * DAY;

/// The one principal that may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    pub(crate) app_id: Uuid,
    pub(crate) secret: String,
}

/// Microsoft Graph's own service principal and the administrator, who is homed in another tenant so that `applications` holds
/// only what was seeded.
pub(crate) fn found(world: &mut World, now: Millis) -> Administrator {
    let id = world.dice.uuid();
    let graph =
        Entity::new(Kind::ServicePrincipal, id, GRAPH_APP_ID, "Microsoft Graph".to_owned(), now);
    world.directory.table_mut(Kind::ServicePrincipal).insert(graph);

    let (id, app_id, secret) = (world.dice.uuid(), world.dice.uuid(), world.dice.secret_text());
    let mut entity = Entity::new(
        Kind::ServicePrincipal,
        id,
        app_id,
        "Azure emulator administrator".to_owned(),
        now,
    );
    for permission in Permission::ALL {
        let assignment = grant(world, permission.app_role(), now);
        entity.assignments.push(assignment);
    }
    world.secrets.insert(&secret);
    let key_id = world.dice.uuid();
    entity.passwords.push(Password {
        key_id,
        name: None,
        secret: secret.clone(),
        start: now,
        end: Some(now + ADMINISTRATOR_LIFE),
        sight: Sight::default(),
    });
    world.directory.table_mut(Kind::ServicePrincipal).insert(entity);
    Administrator { app_id, secret }
}

/// Adds the seeded applications.
pub(crate) fn plant(
    world: &mut World,
    seeds: &[SeedApplication],
    now: Millis,
) -> Result<(), Error> {
    let mut planted = Vec::new();
    for seed in seeds {
        planted.push((plant_one(world, seed, now)?, seed));
    }
    let principals: HashMap<Uuid, Uuid> =
        planted.iter().filter_map(|(ids, _)| Some((ids.app_id, ids.service_principal?))).collect();
    for (ids, seed) in planted {
        let owners: Vec<Uuid> = seed
            .owners
            .iter()
            .map(|owner| principals.get(owner).copied().unwrap_or(*owner))
            .collect();
        for (kind, id) in
            [(Kind::Application, ids.application), (Kind::ServicePrincipal, ids.service_principal)]
        {
            if let Some(entity) = id.and_then(|id| world.directory.table_mut(kind).by_id_mut(id)) {
                entity.owners.clone_from(&owners);
            }
        }
    }
    Ok(())
}

struct Planted {
    app_id: Uuid,
    application: Option<Uuid>,
    service_principal: Option<Uuid>,
}

fn plant_one(world: &mut World, seed: &SeedApplication, now: Millis) -> Result<Planted, Error> {
    let app_id = seed.app_id.unwrap_or_else(|| world.dice.uuid());
    for kind in [Kind::Application, Kind::ServicePrincipal] {
        if world.directory.table(kind).by_app(app_id).is_some() {
            return Err(Error::seed(format!("appId {app_id} stands twice")));
        }
    }
    let created = time(&seed.created, now)?;
    let deleted = seed.deleted.as_deref().map(|at| time(at, now)).transpose()?;
    let base = |kind, id| {
        let mut entity = Entity::new(kind, id, app_id, seed.display_name.clone(), created);
        entity.tags.clone_from(&seed.tags);
        entity.audience = seed.audience;
        entity
    };
    let mut planted = Planted { app_id, application: None, service_principal: None };
    if seed.application {
        let mut entity =
            base(Kind::Application, seed.object_id.unwrap_or_else(|| world.dice.uuid()));
        entity.enabled = !seed.disabled;
        entity.passwords = passwords(world, &seed.passwords, now)?;
        entity.certificates = seed
            .certificates
            .iter()
            .map(|c| certificate(world, c, now))
            .collect::<Result<_, _>>()?;
        entity.federated = seed.federated_credentials.iter().map(|f| federated(world, f)).collect();
        entity.extra.extend(seed.properties.clone());
        planted.application = Some(insert(world, entity, deleted)?);
    }
    if seed.service_principal {
        let mut entity = base(
            Kind::ServicePrincipal,
            seed.service_principal_id.unwrap_or_else(|| world.dice.uuid()),
        );
        entity.enabled = seed.account_enabled;
        entity.passwords = passwords(world, &seed.service_principal_passwords, now)?;
        for role in &seed.roles {
            let permission = Permission::named(role)
                .ok_or_else(|| Error::seed(format!("unknown role `{role}`")))?;
            let assignment = grant(world, permission.app_role(), now);
            entity.assignments.push(assignment);
        }
        planted.service_principal = Some(insert(world, entity, deleted)?);
    }
    Ok(planted)
}

fn insert(world: &mut World, entity: Entity, deleted: Option<Millis>) -> Result<Uuid, Error> {
    let (kind, id) = (entity.kind, entity.id);
    if world.directory.any(id).is_some() {
        return Err(Error::seed(format!("object id {id} stands twice")));
    }
    world.directory.table_mut(kind).insert(entity);
    if let Some(at) = deleted {
        world.directory.soft_delete(kind, id, at, None);
    }
    Ok(id)
}

fn passwords(
    world: &mut World,
    seeds: &[SeedPassword],
    now: Millis,
) -> Result<Vec<Password>, Error> {
    let mut passwords = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let secret = seed.secret.clone().unwrap_or_else(|| world.dice.secret_text());
        world.secrets.insert(&secret);
        passwords.push(Password {
            key_id: seed.key_id.unwrap_or_else(|| world.dice.uuid()),
            name: seed.display_name.clone(),
            secret,
            start: time(&seed.start, now)?,
            end: seed.end.as_deref().map(|end| time(end, now)).transpose()?,
            sight: Sight::default(),
        });
    }
    Ok(passwords)
}

fn certificate(
    world: &mut World,
    seed: &SeedCertificate,
    now: Millis,
) -> Result<Certificate, Error> {
    Ok(Certificate {
        key_id: seed.key_id.unwrap_or_else(|| world.dice.uuid()),
        name: seed.display_name.clone(),
        start: time(&seed.start, now)?,
        end: seed.end.as_deref().map(|end| time(end, now)).transpose()?,
    })
}

fn federated(world: &mut World, seed: &SeedFederatedCredential) -> FederatedCredential {
    FederatedCredential {
        id: seed.id.unwrap_or_else(|| world.dice.uuid()),
        name: seed.name.clone(),
        issuer: seed.issuer.clone(),
        subject: seed.subject.clone(),
        audiences: seed.audiences.clone(),
        description: seed.description.clone(),
        sight: Sight::default(),
    }
}

/// An assignment of one of Graph's roles.
fn grant(world: &mut World, role: Uuid, now: Millis) -> Assignment {
    let resource = world
        .directory
        .table(Kind::ServicePrincipal)
        .by_app(GRAPH_APP_ID)
        .map_or(Uuid::nil(), |graph| graph.id);
    Assignment { id: assignment_id(world), role, resource, created: now }
}

/// Assignment ids are not GUIDs but 32 bytes in base64url.
pub(crate) fn assignment_id(world: &mut World) -> String {
    use base64::Engine;
    let (a, b) = (world.dice.uuid(), world.dice.uuid());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([*a.as_bytes(), *b.as_bytes()].concat())
}

/// A tenant of any size: applications of one password each, whose ends are spread over two years, one in ten expired.
pub(crate) fn synthesise(world: &mut World, count: usize, now: Millis) {
    for number in 1..=count {
        let spread = Millis::try_from(number).unwrap_or(0);
        let name = format!("synthetic-{number:06}");
        let created = now - 800 * DAY + spread * SECOND;
        let app_id = world.dice.uuid();
        let mut application =
            Entity::new(Kind::Application, world.dice.uuid(), app_id, name.clone(), created);
        if number % 10 == 0 {
            application.tags.push("synthetic-tenth".to_owned());
        }
        let end = now + ((spread % 800) - 80) * DAY;
        let secret = world.dice.secret_text();
        world.secrets.insert(&secret);
        let key_id = world.dice.uuid();
        let sight = Sight::default();
        application.passwords = vec![Password {
            key_id,
            name: None,
            secret,
            start: end - 730 * DAY,
            end: Some(end),
            sight,
        }];
        world.directory.table_mut(Kind::Application).insert(application);
        let principal =
            Entity::new(Kind::ServicePrincipal, world.dice.uuid(), app_id, name, created);
        world.directory.table_mut(Kind::ServicePrincipal).insert(principal);
    }
}
