//! The admin address: health and metrics.

use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{App, Edge};

/// Health and metrics on the admin address, until `stop`.
///
/// # Errors
/// When the socket fails.
pub async fn serve_admin(
    socket: TcpListener,
    app: App,
    edge: Edge,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let ready = move || {
        let (app, edge) = (app.clone(), edge.clone());
        async move { readiness(&app, &edge).await }
    };
    let router = Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route(
            "/metrics",
            get(move || {
                let text = crate::telemetry::render(&metrics);
                async move {
                    (
                        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
                        text,
                    )
                }
            }),
        );
    axum::serve(socket, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

/// Ready when the store answers and nobody asked us to stop. ProBonus being down does not matter here: guests still get the last views.
async fn readiness(app: &App, edge: &Edge) -> Response {
    if edge.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match tokio::time::timeout(Duration::from_secs(2), app.store.ping()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}
