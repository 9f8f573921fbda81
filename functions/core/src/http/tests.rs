use super::*;

#[test]
fn only_what_never_leaves_the_machine_goes_without_tls() {
    for (address, permitted) in [
        ("https://graph.microsoft.com/v1.0", true),
        ("http://graph.microsoft.com/v1.0", false),
        ("http://127.0.0.1:4566/", true),
        ("http://localhost:4566/", true),
        ("http://localhost.example.com/", false),
        ("http://[::1]:80/", true),
        ("http://169.254.169.254/latest", true),
        ("http://[fd00:ec2::254]/latest", true),
        ("http://10.0.0.1/", false),
        ("ftp://127.0.0.1/", false),
    ] {
        assert_eq!(is_permitted(&address.parse().unwrap()), permitted, "{address}");
    }
}

/// A listener that reads what comes, says this, and keeps or closes the connection.
async fn says(answer: &'static [u8], keeps: bool) -> Url {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
            kept.extend(keeps.then_some(stream));
        }
    });
    url
}

async fn failure(url: Url) -> SendError {
    let http = Http::with_roots(b"").unwrap();
    let request = http.request(reqwest::Method::POST, url).timeout(Duration::from_millis(200));
    http.send(request.build().unwrap()).await.unwrap_err()
}

/// What the service may have seen must not be taken for unsent: a key would be minted twice.
#[tokio::test]
async fn whether_anything_was_sent_is_told_apart() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", closed.local_addr().unwrap()).parse().unwrap();
    drop(closed);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let large = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n";
    for (url, expected, nothing_sent) in [
        (nobody, "no connection: Connection refused", true),
        ("http://example.com/".parse().unwrap(), "refused to send", true),
        (says(b"", true).await, "no answer in time", false),
        (says(half, true).await, "no answer in time", false),
        (says(large, true).await, "no answer in time", false),
        (says(b"", false).await, "the connection was cut", false),
        (says(half, false).await, "the connection was cut", false),
    ] {
        let error = failure(url).await;
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
        assert_eq!(error.nothing_sent(), nothing_sent, "{error}");
        let again = !matches!(error, SendError::Insecure(_));
        assert_eq!(error.is_transient(), again, "{error}");
    }
}

#[tokio::test]
async fn no_more_of_an_answer_is_read_than_a_receiver_may_say() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwelcome!!";
    let http = Http::with_roots(b"").unwrap();
    for (most, read) in [(7, &b"welcome"[..]), (9, b"welcome!!"), (20, b"welcome!!")] {
        let url = says(answer, false).await;
        let request = http.request(reqwest::Method::POST, url).build().unwrap();
        assert_eq!(http.tell(request, most).await.unwrap().body.as_slice(), read, "{most}");
    }
    let url = says(answer, false).await;
    let request = http.request(reqwest::Method::POST, url).build().unwrap();
    assert_eq!(http.send(request).await.unwrap().body.as_slice(), b"welcome!!");
    let away = http.request(reqwest::Method::POST, "http://example.com/".parse().unwrap());
    let refused = http.tell(away.build().unwrap(), 9).await.unwrap_err();
    assert!(matches!(refused, SendError::Insecure(_)), "{refused}");
}

/// Sends so many bytes in two parts.
async fn sends(bytes: usize) -> Url {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\nab");
            let _ = stream.write_all(head.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = stream.write_all(&vec![b'c'; bytes - 2]).await;
        }
    });
    url
}

#[tokio::test]
async fn an_answer_is_read_to_its_end_and_no_larger_one_is() {
    let http = Http::with_roots(b"").unwrap();
    let request = |url| http.request(reqwest::Method::GET, url).build().unwrap();
    let told = http.tell(request(sends(9).await), 20).await.unwrap();
    assert_eq!(told.body.as_slice(), b"abccccccc");
    assert!(!format!("{told:?}").contains("99"), "a body may hold a secret: {told:?}");
    assert!(format!("{told:?}").contains("200"), "{told:?}");
    let largest = http.send(request(sends(MAX_BODY).await)).await.unwrap();
    assert_eq!(largest.body.len(), MAX_BODY);
    let larger = http.send(request(sends(MAX_BODY + 1).await)).await.unwrap_err();
    assert!(matches!(larger, SendError::TooLarge), "{larger}");
}

#[test]
fn this_machine_is_told_from_its_neighbours() {
    for (address, is) in [
        ("http://127.0.0.1:4566/", true),
        ("http://localhost/", true),
        ("http://[::1]/", true),
        ("https://127.0.0.1/", false),
        ("https://localhost/", false),
        ("http://169.254.169.254/", false),
        ("http://example.com/", false),
    ] {
        assert_eq!(is_loopback(&address.parse().unwrap()), is, "{address}");
    }
}

#[test]
fn a_clock_that_no_clock_is_wrong_by_is_not_believed() {
    let ahead_by = |days: i64| {
        let date = (Utc::now() + TimeDelta::days(days)).to_rfc2822();
        ahead(&HeaderMap::from_iter([(DATE, date.parse().unwrap())])).map(|by| by.num_hours())
    };
    for days in [-3649, -1, 0, 1, 3649] {
        let hours = ahead_by(days).unwrap();
        assert!((hours - 24 * days).abs() <= 1, "{days}: {hours}");
    }
    assert_eq!((ahead_by(3651), ahead_by(-3651)), (None, None));
}

#[test]
fn a_client_is_built_without_further_roots() {
    Http::with_roots(b"").unwrap().unpooled().unwrap();
}
