//! HTTP on a Unix socket: `POST /invoke/FUNCTION` with the event as body, `GET /metrics`, `GET /status`. On a TCP address
//! only the two that read.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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

/// Bytes of a Unix socket's path, unix(7), the NUL at its end not counted.
const LONGEST_SOCKET: usize = 107;

fn reading(runtime: &Arc<Runtime>) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/status", get(status)).with_state(Arc::clone(runtime))
}

/// Whether a runtime can listen there, so that nothing is installed in vain.
///
/// # Errors
/// When the path is too long, its folder cannot be written, or another runtime listens there.
pub fn check(socket: &Path) -> io::Result<()> {
    let length = socket.as_os_str().len();
    if length > LONGEST_SOCKET {
        let why = format!("{} is too long for a socket: {length} bytes of at most {LONGEST_SOCKET}", socket.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let place = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", socket.display()));
    match std::os::unix::net::UnixStream::connect(socket) {
        Ok(_) => Err(place(io::Error::new(io::ErrorKind::AddrInUse, "another runtime listens there"))),
        Err(_) if socket.symlink_metadata().is_ok_and(|m| !m.file_type().is_socket()) => {
            Err(place(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")))
        }
        Err(_) => Ok(()),
    }
}

/// Serves until `until` is done, and then waits for the calls that run, though no longer than `longest`.
///
/// # Errors
/// When the socket or the address cannot be listened on.
pub async fn serve(
    runtime: Arc<Runtime>,
    socket: &Path,
    address: Option<std::net::SocketAddr>,
    ready: impl FnOnce(Option<std::net::SocketAddr>),
    until: impl Future<Output = ()> + Send + 'static,
    longest: Duration,
) -> io::Result<()> {
    // First what leaves nothing behind where the other fails.
    let other = match address {
        Some(address) => {
            let place = |e: io::Error| io::Error::new(e.kind(), format!("{address}: {e}"));
            Some(TcpListener::bind(address).await.map_err(place)?)
        }
        None => None,
    };
    let listener = listen(socket)?;
    ready(other.as_ref().and_then(|l| l.local_addr().ok()));
    let open = other.map(|listener| tokio::spawn(axum::serve(listener, reading(&runtime)).into_future()));
    let loading = Arc::clone(&runtime);
    let all = reading(&runtime)
        .merge(Router::new().route("/invoke/{*function}", post(invoke)).with_state(runtime))
        .layer(DefaultBodyLimit::max(MOST_EVENT));
    let (told, over) = tokio::sync::oneshot::channel();
    let until = async move {
        until.await;
        loading.stop_loading();
        drop(loading);
        let _ = told.send(());
    };
    let served = axum::serve(listener, all).with_graceful_shutdown(until).into_future();
    // A caller that sends half a request and waits must not keep it from ending.
    let late = async {
        let _ = over.await;
        tokio::time::sleep(longest).await;
    };
    let served = tokio::select! {
        served = served => served,
        () = late => Ok(()),
    };
    if let Some(open) = open {
        open.abort();
    }
    let _ = std::fs::remove_file(socket);
    served
}

/// A socket that only its owner can use. One that a killed runtime left behind is replaced.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    let folder = socket.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", socket.display()));
    std::fs::create_dir_all(folder).map_err(place)?;
    // Two that start at once must not each take the other's socket for a dead one's.
    let lock = std::fs::File::open(folder).map_err(place)?;
    lock.lock().map_err(place)?;
    check(socket)?;
    if socket.symlink_metadata().is_ok() {
        std::fs::remove_file(socket).map_err(place)?;
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
    if event.len() > MOST_EVENT {
        let why = format!("the event has {} bytes, and {MOST_EVENT} are taken", event.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
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
    let (body, status) = runtime.block_on(async {
        let stream = UnixStream::connect(&socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_ANSWER).collect().await.map_err(io::Error::other)?;
        Ok::<_, io::Error>((body.to_bytes(), status))
    })?;
    serde_json::from_slice(&body).map_err(|_| {
        let said: String = String::from_utf8_lossy(&body).chars().take(400).collect();
        io::Error::new(io::ErrorKind::InvalidData, format!("it answered {status}: {said}"))
    })
}
