//! A service on loopback that answers whatever it was told to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// One answer, for whatever is asked.
#[derive(Clone, Default)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers, as they go over the wire.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, headers, body } = self;
        write!(f, "{status} {headers:?} {:?}", String::from_utf8_lossy(body))
    }
}

/// What serves, and the runtime that clients of it run on.
pub struct StandIn {
    /// Where.
    pub url: String,
    /// Runs the client.
    pub runtime: Runtime,
    reply: Arc<Mutex<Reply>>,
}

impl StandIn {
    /// Serves as long as the program runs.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let reply = Arc::<Mutex<Reply>>::default();
        let told = Arc::clone(&reply);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let reply = told.lock().unwrap().clone();
                tokio::spawn(async move { serve(stream, &reply).await });
            }
        });
        Self { url, runtime, reply }
    }

    /// What it answers from now on.
    pub fn tell(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }
}

async fn serve(mut stream: TcpStream, reply: &Reply) -> Option<()> {
    let mut asked = Vec::new();
    let end = loop {
        if stream.read_buf(&mut asked).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = asked.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&asked[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    while asked.len() < end + length {
        if stream.read_buf(&mut asked).await.ok()? == 0 {
            return None;
        }
    }
    let Reply { status, headers, body } = reply;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
    stream.shutdown().await.ok()
}
