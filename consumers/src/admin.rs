//! The admin endpoint of a worker: `/healthz`, `/readyz`, `/metrics`, `/status`, `POST /breaker/resume` and `skip`.
//!
//! It serves on a thread of its own and never holds the worker's loop up. Connections, idle time, request
//! size and time are bounded. It has no authentication: it belongs on a loopback or a private address.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use prometheus::{Registry, TextEncoder};
use serde::Deserialize;
use serde_json::json;
use tapewatch_eventlog::TopicPartition;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::board::{Before, Board};
use crate::words;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// A connection on which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(75);
/// How long the loop may take to close a breaker: it commits a round meanwhile.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an open connection may keep the endpoint from ending.
const FAREWELL: Duration = Duration::from_millis(500);
/// No request needs a body.
const BODY: usize = 1024;

/// A listening endpoint. Dropping it ends it.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Listens on `address` (`HOST:PORT`; port 0 takes a free one) and answers for the worker of `board`.
    ///
    /// # Errors
    /// If the address cannot be listened on, or the system refuses a thread.
    pub fn listen(address: &str, board: Arc<Board>, registry: Option<Registry>) -> io::Result<Self> {
        // Bound here, so that a taken port is the caller's error and not a line in a log.
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let app = router(Desk { board, registry });
        let body = move || {
            runtime.block_on(async move {
                if let Err(error) = answer(listener, app, stopped).await {
                    tracing::error!(%address, %error, "the admin endpoint ended");
                }
            });
            runtime.shutdown_timeout(FAREWELL);
        };
        let thread = std::thread::Builder::new().name("admin".into()).spawn(body)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}

async fn answer(
    listener: std::net::TcpListener,
    app: Router,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener =
        Bounded { listener: TcpListener::from_std(listener)?, room: Arc::new(Semaphore::new(CONNECTIONS)) };
    tokio::select! {
        ended = async { serve(listener, app).await } => ended,
        // The sender is dropped, never used.
        _ = stopped => Ok(()),
    }
}

#[derive(Clone)]
struct Desk {
    board: Arc<Board>,
    registry: Option<Registry>,
}

fn router(desk: Desk) -> Router {
    let metrics = desk.registry.is_some();
    let mut router = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/breaker/resume", post(resume))
        .route("/breaker/skip", post(skip));
    if metrics {
        router = router.route("/metrics", get(expose));
    }
    router.layer(DefaultBodyLimit::max(BODY)).with_state(desk)
}

async fn health(State(desk): State<Desk>) -> (StatusCode, String) {
    match desk.board.ailment() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn ready(State(desk): State<Desk>) -> (StatusCode, String) {
    match desk.board.unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn status(State(desk): State<Desk>) -> Response {
    Json(desk.board.status()).into_response()
}

async fn expose(State(desk): State<Desk>) -> Response {
    let families = desk.registry.map(|registry| registry.gather()).unwrap_or_default();
    match TextEncoder::new().encode_to_string(&families) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    worker: Option<String>,
    topic: String,
    partition: i32,
    who: String,
    why: String,
    /// Where a skip ends.
    to: Option<i64>,
}

type Answer = (StatusCode, Json<serde_json::Value>);

async fn resume(State(desk): State<Desk>, Query(asked): Query<Close>) -> Answer {
    if asked.to.is_some() {
        let problem = "`to` says where a skip ends: POST /breaker/skip, or leave it out to read all again";
        return refuse(StatusCode::BAD_REQUEST, problem.into());
    }
    close(desk, asked, Before::ReadAgain).await
}

async fn skip(State(desk): State<Desk>, Query(asked): Query<Close>) -> Answer {
    let before = Before::Skipped(asked.to);
    close(desk, asked, before).await
}

async fn close(desk: Desk, asked: Close, before: Before) -> Answer {
    for (name, text) in [("who", &asked.who), ("why", &asked.why)] {
        if let Err(problem) = words::check(name, text) {
            return refuse(StatusCode::BAD_REQUEST, problem);
        }
    }
    let here = desk.board.status().worker;
    if let Some(other) = asked.worker.filter(|name| *name != here) {
        return refuse(StatusCode::CONFLICT, format!("this is {here}, not {other}"));
    }
    let at = TopicPartition::new(asked.topic, asked.partition);
    let Some(outcome) = desk.board.ask(at.clone(), before, (asked.who, asked.why)) else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait already".into());
    };
    match timeout(ANSWER, outcome).await {
        Ok(Ok(Ok(Some(skipped)))) => {
            let text = at.to_string();
            (StatusCode::OK, Json(json!({ "resumed": true, "source": text, "skipped": skipped })))
        }
        Ok(Ok(Err(why))) => refuse(StatusCode::CONFLICT, why),
        Ok(Ok(Ok(None))) => {
            let problem = format!("no task of {here} here has an open breaker on {at}");
            refuse(StatusCode::NOT_FOUND, problem)
        }
        Ok(Err(_)) => refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{here} is stopping or joining again")),
        Err(_) => refuse(
            StatusCode::GATEWAY_TIMEOUT,
            format!(
                "{here} has not answered for {} s and goes on: what is done so far is journalled. See /status, then \
                 ask again",
                ANSWER.as_secs()
            ),
        ),
    }
}

fn refuse(code: StatusCode, problem: String) -> Answer {
    (code, Json(json!({ "resumed": false, "problem": problem })))
}

/// Accepts only as many connections as there is room for.
struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.expect("the semaphore is never closed");
        let (stream, peer) = serve::Listener::accept(&mut self.listener).await;
        (Connection { stream, idle: Box::pin(sleep(IDLE)), _room: room }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing comes.
struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return read;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
