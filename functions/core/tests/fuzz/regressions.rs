//! What fuzzing and reading found, in its smallest form.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use keywheel_core::graph::{CallOptions, Detail, Kind, Object};
use keywheel_core::http::Retry;
use keywheel_core::ids::{AppId, KeyOn, ObjectId};
use keywheel_core::queue::Job;
use keywheel_core::rotation::names::Label;
use keywheel_core::secrets;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::answers::World;
use crate::stand_in::Reply;

const ID: &str = "a1b2c3d4-0000-4000-8000-000000000001";

fn reply(status: u16, headers: &str, body: &serde_json::Value) -> Reply {
    Reply { status, headers: headers.to_owned(), body: body.to_string().into_bytes() }
}

#[test]
fn a_page_that_leads_to_itself_ends_the_listing() {
    let world = World::start();
    let at = format!("{}/v1.0/applications?$skiptoken=x", world.service.url);
    let link = world.graph.page_link(&at).unwrap();
    let options = CallOptions::until(Instant::now() + Duration::from_secs(10));
    let page = json!({ "value": [], "@odata.nextLink": at });
    let asked = world.graph.objects(KeyOn::Application, Detail::Keys, Some(&link), &options);
    let error = world.after(reply(200, "", &page), asked).unwrap_err();
    assert_eq!(*error.kind(), Kind::Malformed("its nextLink leads to itself"));

    let page = json!({ "SecretList": [], "NextToken": "x" });
    let error = world
        .after(reply(200, "", &page), world.secrets.list(&secrets::Prefixes::default(), Some("x")))
        .unwrap_err();
    assert_eq!(error.kind, secrets::Kind::Endless);
}

#[test]
fn a_page_link_carries_no_name_and_no_other_scheme() {
    let world = World::start();
    let url = &world.service.url;
    for odd in
        [format!("blob:{url}/"), url.replace("//", "//name:word@"), url.replace("//", "//name@")]
    {
        assert_eq!(world.graph.page_link(&odd), None, "{odd}");
    }
}

#[test]
fn requests_to_aws_are_signed_whatever_date_its_last_answer_had() {
    let world = World::start();
    let secret = json!({ "Name": "a", "ARN": "arn", "VersionIdsToStages": {} });
    let last_second_of_all = "date: Fri, 31 Dec 9999 23:59:59 GMT\r\n";
    world.after(reply(200, last_second_of_all, &secret), world.secrets.describe("a")).unwrap();
    // The SDK signs with that date plus what has passed since.
    let over = Instant::now() + Duration::from_secs(1);
    world.service.runtime.block_on(async { tokio::time::sleep_until(over).await });
    world.after(reply(200, "", &secret), world.secrets.describe("a")).unwrap();
}

#[test]
fn no_time_of_graphs_is_beyond_reckoning() {
    let world = World::start();
    let object = Object { on: KeyOn::Application, id: ObjectId(Uuid::nil()) };
    let options = CallOptions::until(Instant::now() + Duration::from_secs(10));
    let date = "date: Mon, 31 Dec 262142 23:59:59 GMT\r\n";
    let minted =
        json!({ "keyId": ID, "secretText": "x", "endDateTime": "+262142-12-31T23:59:59Z" });
    let end = Utc::now() + TimeDelta::days(9);
    let asked = world.graph.add_password(object, "x", end, &options);
    let added = world.after(reply(200, date, &minted), asked).unwrap();
    assert_eq!(added.end.unwrap().to_rfc3339(), "9999-12-31T23:59:59+00:00");
    assert!((world.graph.now() - Utc::now()).num_days() == 0);
}

#[test]
fn no_wait_is_longer_than_a_day() {
    let world = World::start();
    let options = CallOptions::until(Instant::now() + Duration::from_secs(2));
    let forever = reply(429, "retry-after: 18446744073709551615\r\n", &json!({}));
    let asked = world.graph.principal(AppId(Uuid::nil()), KeyOn::ServicePrincipal, &options);
    let error = world.after(forever, asked).unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_hours(24)));
}

#[test]
fn a_label_of_a_time_that_nobody_writes_is_somebody_elses() {
    for text in ["keywheel:since:8210266876799", "keywheel:void:253402300800", "keywheel:since:-1"]
    {
        assert_eq!(Label::parse(text), Label::Other(text.to_owned()));
    }
}

#[test]
fn a_job_that_was_handed_on_beyond_counting_stays_there() {
    let work = json!({ "kind": "retire", "version": null, "key": ID });
    let job = json!({ "schema": 1, "credential": "a", "application": ID, "requested_by": "x", "work": work,
        "continuation": u32::MAX });
    let job = Job::parse(&job.to_string()).unwrap();
    assert_eq!(job.continued().continuation, u32::MAX);
}
