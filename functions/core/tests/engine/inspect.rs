//! One credential as it stands, beside the objects that hold keys of others.

use std::collections::BTreeSet;

use super::sweep::{OTHER, findings};
use super::*;
use crate::rotation::finding::Finding;

#[tokio::test]
async fn the_other_object_tells_of_locks_and_of_keys_that_are_named_there() {
    let on_principal = ONE.replace(
        "    settle: 1s\n",
        &format!(
            "    settle: 1s\n    key_on: servicePrincipal\n    retire_keys: [{}, {}, {}]\n",
            Uuid::from_u128(1),
            Uuid::from_u128(2),
            Uuid::from_u128(3)
        ),
    );
    let locked = json!({ "isEnabled": true, "allProperties": true });
    let app = SeedApplication {
        passwords: vec![password(1)],
        service_principal_passwords: vec![password(2)],
        properties: [("servicePrincipalLockConfiguration".to_owned(), locked)].into(),
        ..named("one", APP)
    };
    let world = World::new(vec![app], &format!("credentials:{on_principal}")).await;
    let expected = findings([
        ("named-key-elsewhere", APP),
        ("named-key-nowhere", APP),
        ("secret-missing", APP),
        ("service-principal-locked", APP),
    ]);
    world.sweep().await;
    assert_eq!(world.found(), expected);

    let engine = world.engine().await;
    let inspection = engine.inspect(&credential(&engine), deadline()).await.unwrap();
    let seen: BTreeSet<_> =
        inspection.plan.findings.iter().map(|finding| (finding.name().to_owned(), APP)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_look_plans_as_a_sweep_would() {
    let shared = SeedApplication {
        passwords: vec![password(0x66)],
        service_principal_passwords: vec![password(0x88)],
        ..named("one", APP)
    };
    let two = ONE.replace("one", "two");
    let world = World::new(vec![shared], &format!("credentials:{ONE}{two}")).await;
    world
        .work(&Job { credential: CredentialName("two".to_owned()), ..rotation(&token(2), None) })
        .await;
    let engine = world.engine().await;
    let inspection = engine.inspect(&credential(&engine), deadline()).await.unwrap();
    assert_eq!(inspection.plan.work.len(), 1);
    let names: Vec<_> = inspection.plan.findings.iter().map(Finding::name).collect();
    assert_eq!(names, ["secret-missing", "foreign-key"], "two's key is not foreign");
    assert!(inspection.version_state(&token(1).into()).is_none(), "there is no secret");
    assert_eq!(inspection.principal.unwrap().keys.len(), 2);

    let keys = [0x66, 0x88, 0x99].map(|key| Uuid::from_u128(key).to_string()).join(", ");
    world.manifest(&format!("credentials:{ONE}    retire_keys: [{keys}]\n"));
    let engine = world.engine().await;
    let inspection = engine.inspect(&credential(&engine), deadline()).await.unwrap();
    let names: Vec<_> = inspection.plan.findings.iter().map(Finding::name).collect();
    assert!(!names.contains(&"foreign-key"), "it is named: {names:?}");
    assert!(names.contains(&"named-key-elsewhere"), "{names:?}");
    assert!(names.contains(&"named-key-nowhere"), "{names:?}");

    world.work(&rotation(&token(1), None)).await;
    let inspection = engine.inspect(&credential(&engine), deadline()).await.unwrap();
    assert!(inspection.version_state(&token(1).into()).is_some());
}

#[tokio::test]
async fn an_object_id_given_for_a_client_id_is_named_by_sweep_and_inspect() {
    for (on, seeded) in [
        ("application", SeedApplication { object_id: Some(APP.0), ..named("one", OTHER) }),
        (
            "service principal",
            SeedApplication { service_principal_id: Some(APP.0), ..named("one", OTHER) },
        ),
    ] {
        let world = World::new(vec![seeded], &format!("credentials:{ONE}")).await;
        world.sweep().await;
        assert_eq!(world.found(), findings([("object-id-given", APP)]), "{on}");
        let engine = world.engine().await;
        let inspection = engine.inspect(&credential(&engine), deadline()).await.unwrap();
        let [finding] = &inspection.plan.findings[..] else {
            panic!("{:?}", inspection.plan.findings)
        };
        let text = finding.explanation();
        assert!(text.contains(on) && text.contains(&OTHER.to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_rule_makes_a_credential_only_of_what_its_tag_is_on() {
    let rules = "rules:\n  - match: { tag: red }\n    secret: keywheel/red/{appId}\n";
    let red = SeedApplication { tags: vec!["red".to_owned()], ..named("one", APP) };
    let world = World::new(vec![red, named("two", OTHER)], rules).await;
    let engine = world.engine().await;
    let name = CredentialName(format!("keywheel/red/{APP}"));
    assert_eq!(engine.ruled(APP, deadline()).await.unwrap().unwrap().name, name);
    assert!(engine.ruled(OTHER, deadline()).await.unwrap().is_none());
    let (all, _) = engine.all_ruled(deadline()).await.unwrap();
    assert_eq!(all.into_iter().map(|one| one.name).collect::<Vec<_>>(), [name]);
    world.manifest(&format!("credentials:{ONE}"));
    assert!(world.engine().await.all_ruled(deadline()).await.unwrap().0.is_empty());
}
