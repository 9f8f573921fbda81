//! Listings: what is left out, and how many pages there are.

use super::*;

/// One fails the listing of nobody else, and none passes for an application without keys.
#[tokio::test]
async fn an_object_that_is_not_as_documented_is_left_out_and_named() {
    let odd = |name: &str, property: &str, value: Value| SeedApplication {
        properties: [(property.to_owned(), value)].into(),
        ..SeedApplication::named(name)
    };
    let applications = vec![
        SeedApplication::named("good"),
        odd("no tags", "tags", Value::Null),
        odd("no id", "appId", Value::Null),
        odd("no list", "passwordCredentials", Value::Null),
        odd(
            "bad date",
            "passwordCredentials",
            json!([{"keyId": Uuid::nil(), "endDateTime": "soon"}]),
        ),
    ];
    let world = start(Emulator::builder().seed(Seed { applications, ..Seed::default() })).await;
    let page = world
        .graph
        .objects(KeyOn::Application, Detail::KeysAndCertificates, None, &options())
        .await
        .unwrap();
    let mut names: Vec<_> =
        page.items.iter().filter_map(|app| app.display_name.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["good", "no tags"]);
    let mut unreadable: Vec<_> = page.unreadable.iter().collect();
    unreadable.sort_by(|one, other| one.why.cmp(&other.why));
    assert_eq!(unreadable.len(), 3);
    for name in ["(no id)", "(no list)", "(bad date)"] {
        assert!(unreadable.iter().any(|object| object.object.ends_with(name)), "{unreadable:?}");
    }
    let left_out =
        |name: &str| unreadable.iter().find(|object| object.object.ends_with(name)).unwrap();
    assert_eq!(left_out("(no id)").app_id, None);
    let app = left_out("(no list)").app_id.unwrap();
    let read = world
        .graph
        .objects_by_app_id(KeyOn::Application, &[app], Detail::Keys, &options())
        .await
        .unwrap();
    assert_eq!((read.items.len(), read.unreadable.len()), (0, 1));
    let state = world.emulator.state();
    let nameless = state["applications"].as_array().unwrap().iter();
    let nameless = nameless.filter(|one| one["display_name"] == "no id").map(|one| &one["id"]);
    let ids: Vec<ObjectId> = nameless.map(|id| id.as_str().unwrap().parse().unwrap()).collect();
    let read = world.graph.objects_by_id(KeyOn::Application, &ids, &options()).await.unwrap();
    assert_eq!((read.items.len(), read.unreadable.len()), (0, 1), "it is told of, not dropped");
}

/// Graph may give fewer at once than were asked for, and says where it goes on.
#[tokio::test]
async fn objects_by_id_are_read_on_as_many_pages_as_there_are() {
    let id = |number: u128| Uuid::from_u128(number);
    let stub = Stub::start(move |request| {
        let host = request.head.lines().find_map(|line| line.strip_prefix("host: "))?;
        let next = format!("http://{host}/v1.0/applications?$skiptoken=2");
        let object = |number| json!({"id": id(number), "appId": id(number + 10), "displayName": "a", "tags": []});
        let page = if request.line.contains("skiptoken") {
            json!({"value": [object(2)]})
        } else {
            json!({"value": [object(1)], "@odata.nextLink": next})
        };
        Some((200, page.to_string()))
    })
    .await;
    let graph = graph_world::graph_at(&stub.url);
    let ids = [ObjectId(id(1)), ObjectId(id(2))];
    let read = graph.objects_by_id(KeyOn::Application, &ids, &options()).await.unwrap();
    let found: Vec<_> = read.items.iter().map(|object| object.app_id.0).collect();
    assert_eq!(found, [id(11), id(12)]);
    let requests = stub.requests.lock().unwrap();
    let ids: BTreeSet<_> = requests
        .iter()
        .filter_map(|sent| sent.head.lines().find(|line| line.starts_with("client-request-id")))
        .collect();
    assert_eq!(ids.len(), 2, "each page has a request id of its own");
}

#[tokio::test]
async fn certificates_come_where_they_are_asked_for() {
    let world = world().await;
    let detail = Detail::KeysAndCertificates;
    let apps = world
        .graph
        .objects_by_app_id(KeyOn::Application, &[AppId(APP)], detail, &options())
        .await
        .unwrap();
    let apps = apps.items;
    assert!(apps[0].certificates[0].end.is_some());
    assert_eq!(apps[0].tags, ["keywheel"]);
    let page =
        world.graph.objects(KeyOn::ServicePrincipal, Detail::Keys, None, &options()).await.unwrap();
    assert!(page.items.iter().any(|principal| principal.app_id == AppId(APP)));
}
