//! The admin endpoint: `/metrics`, `/health`, `/status`. Read-only; no access control, so it belongs on loopback.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::oneshot;
use weir_engine::agent::Watched;

use crate::exit::Failure;
use crate::metrics;

/// Answers until dropped, on a thread of its own.
pub(crate) struct Endpoint {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens on `address` (`HOST:PORT`).
    pub(crate) fn start(address: &str, watched: Watched) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).map_err(|error| {
            Failure::because(
                &format!("the admin endpoint cannot listen on {address}; choose another with --admin"),
                &error,
            )
        })?;
        let fail = |error: std::io::Error| Failure::because("the admin endpoint did not start", &error);
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("weir-admin".into()).spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!(%error, "the admin endpoint did not start"),
                };
                let stop = async {
                    let _ = ended.await;
                };
                let serve = axum::serve(listener, routes(watched)).with_graceful_shutdown(stop);
                if let Err(error) = serve.await {
                    tracing::error!(%error, "the admin endpoint ended");
                }
            });
        });
        Ok(Self { address, end: Some(end), thread: Some(thread.map_err(fail)?) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn routes(watched: Watched) -> Router {
    Router::new()
        .route("/", get(|| async { "weir admin endpoint: /status (JSON), /health (JSON), /metrics (OpenMetrics)\n" }))
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/metrics", get(metrics_text))
        .with_state(watched)
}

async fn status(State(watched): State<Watched>) -> Response {
    Json(watched.status()).into_response()
}

/// 200 if live and ready, 503 if not; degraded is told in the body and does not change the code, since restarting a
/// degraded agent (what supervisors do on 503) mends nothing.
async fn health(State(watched): State<Watched>) -> Response {
    let health = watched.status().health;
    let code = if health.live && health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(health)).into_response()
}

async fn metrics_text(State(watched): State<Watched>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    match metrics::encode(watched.status()) {
        Ok(text) => (content_type, text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics could not be written: {error}\n")).into_response()
        }
    }
}
