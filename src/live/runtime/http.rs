//! HTTP on a Unix socket: `POST /invoke/FUNCTION` with the event as body, `GET /metrics`, `GET /status`. On a TCP address
//! only the two that read.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::{Invocation, Runtime};

/// Bytes of an event.
const MOST_EVENT: usize = 16 * 1024 * 1024;
/// Bytes of an answer that a caller takes.
const MOST_ANSWER: usize = 256 * 1024 * 1024;

fn reading(runtime: &Arc<Runtime>) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/status", get(status)).with_state(Arc::clone(runtime))
}

/// Serves until `until` is done, and then waits for the calls that run.
///
/// # Errors
/// When the socket or the address cannot be listened on.
pub async fn serve(
    runtime: Arc<Runtime>,
    socket: &Path,
    address: Option<std::net::SocketAddr>,
    ready: impl FnOnce(Option<std::net::SocketAddr>),
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listen(socket).await?;
    let other = match address {
        Some(address) => Some(TcpListener::bind(address).await?),
        None => None,
    };
    ready(other.as_ref().and_then(|l| l.local_addr().ok()));
    let open = other.map(|listener| tokio::spawn(axum::serve(listener, reading(&runtime)).into_future()));
    let all = reading(&runtime)
        .merge(Router::new().route("/invoke/{*function}", post(invoke)).with_state(runtime))
        .layer(DefaultBodyLimit::max(MOST_EVENT));
    let served = axum::serve(listener, all).with_graceful_shutdown(until).await;
    if let Some(open) = open {
        open.abort();
    }
    let _ = std::fs::remove_file(socket);
    served
}

/// A socket that only its owner can use. One that a killed runtime left behind is replaced.
async fn listen(socket: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = socket.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let place = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", socket.display()));
    match UnixStream::connect(socket).await {
        Ok(_) => return Err(place(io::Error::new(io::ErrorKind::AddrInUse, "another runtime listens there"))),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(socket)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(socket).map_err(place)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(place)?;
    Ok(listener)
}

async fn invoke(State(runtime): State<Arc<Runtime>>, UrlPath(function): UrlPath<String>, body: Bytes) -> Response {
    let event: Value = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(_) if body.is_empty() => Value::Null,
        Err(e) => {
            return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": format!("the event is not JSON: {e}")})))
                .into_response();
        }
    };
    // A call holds its thread until the function has ended.
    let told = tokio::task::spawn_blocking(move || runtime.invoke(&function, &event)).await;
    let Ok(told) = told else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let status = match told.outcome.as_str() {
        "ok" | "error" => StatusCode::OK,
        "unknown-function" => StatusCode::NOT_FOUND,
        "not-deployed" | "setup" | "threads" | "isolation" => StatusCode::SERVICE_UNAVAILABLE,
        "time-limit" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    (status, axum::Json(told)).into_response()
}

async fn metrics(State(runtime): State<Arc<Runtime>>) -> Response {
    match tokio::task::spawn_blocking(move || runtime.snapshot().prometheus()).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status(State(runtime): State<Arc<Runtime>>) -> Response {
    match tokio::task::spawn_blocking(move || runtime.snapshot()).await {
        Ok(snapshot) => axum::Json(snapshot).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Asks a runtime to run a function.
///
/// # Errors
/// When no runtime listens there, or it does not answer as one.
pub fn ask(socket: PathBuf, function: &str, event: Vec<u8>) -> io::Result<Invocation> {
    let path: String = function
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~/".contains(&b) {
                (b as char).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let request = hyper::Request::post(format!("/invoke/{path}"))
        .header(header::HOST, "warmset")
        .body(Full::new(Bytes::from(event)))
        .map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let body = runtime.block_on(async {
        let stream = UnixStream::connect(&socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let body = Limited::new(answer.into_body(), MOST_ANSWER).collect().await.map_err(io::Error::other)?;
        Ok::<Bytes, io::Error>(body.to_bytes())
    })?;
    serde_json::from_slice(&body).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, String::from_utf8_lossy(&body).chars().take(400).collect::<String>())
    })
}
