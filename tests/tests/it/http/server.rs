//! A server on a port of its own, and a client that sends and reads JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use api::detect_loop::Detector;
use api::http::{AppState, DeliveryCount, HttpConfig, Metrics, serve};
use api::intake::Intake;
use chrono::{DateTime, Utc};
use query::{Core, CoreOptions, Keep};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use serde_json::Value;
use tests::lines::Line;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// 2026-11-23T12:00:00Z
pub(super) const NOON: i64 = 1_795_435_200_000_000;
pub(super) const SECOND: i64 = 1_000_000;

pub(super) struct Server {
    pub(super) base: String,
    pub(super) state: AppState,
    pub(super) client: Client,
    stop: Option<oneshot::Sender<()>>,
    pub(super) serving: JoinHandle<()>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: header::HeaderMap,
    pub(super) text: String,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(settings: impl FnOnce(&mut HttpConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = HttpConfig::new(address);
        settings(&mut config);
        let core = Arc::new(Core::in_memory(Keep::All, CoreOptions::default()).await.unwrap());
        let now = || "2026-11-23T17:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let detector = Detector::new(
            Intake::in_memory(core, Arc::default()).await.unwrap(),
            Arc::new(now),
            Arc::new(Metrics::new()),
        );
        let next = AtomicU32::new(1);
        let state = AppState::new(detector, config)
            .with_ids(move || format!("request-{}", next.fetch_add(1, Ordering::Relaxed)))
            .with_deliveries(|| vec![DeliveryCount { sink: "soc".into(), outcome: "delivered".into(), count: 3 }]);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = {
            let state = state.clone();
            tokio::spawn(async move {
                let shutdown = async { drop(stopped.await) };
                serve(listener, state, shutdown).await.unwrap();
            })
        };
        #[allow(clippy::disallowed_methods)] // a client of our own server
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let server = Self { base: format!("http://{address}"), state, client, stop: Some(stop), serving };
        while server.get("/readyz").await.status != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(super) async fn ingest(&self, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.request(Method::POST, "/api/v1/ingest").body(body)).await
    }

    pub(super) async fn sql(&self, query: &str) -> Answer {
        let body = serde_json::json!({ "query": query }).to_string();
        Answer::of(
            self.request(Method::POST, "/api/v1/sql").header(header::CONTENT_TYPE, "application/json").body(body),
        )
        .await
    }

    /// The one value that a query returns.
    pub(super) async fn value(&self, query: &str) -> Value {
        let answer = self.sql(query).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let rows = answer.json()["rows"].clone();
        rows[0].as_object().unwrap().values().next().unwrap().clone()
    }

    pub(super) async fn patch(&self, id: &str, body: &str) -> Answer {
        Answer::of(self.request(Method::PATCH, &format!("/api/v1/findings/{id}")).body(body.to_owned())).await
    }

    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

impl Answer {
    pub(super) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Holds a problem against its shape; returns its detail.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        let keys: Vec<&String> = problem.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["detail", "instance", "status", "title", "type"]);
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("urn:meshwarden:problem:"), "{problem}");
        assert!(problem["instance"].as_str().unwrap().starts_with('/'), "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Lines of requests that nobody has to worry about.
pub(super) fn calm(lines: i64) -> String {
    (0..lines).map(|n| format!("{}\n", Line::inbound(NOON + n * SECOND, "web", "orders"))).collect()
}

/// A burst of denied requests: one finding of `authz.denied-spike`.
pub(super) fn denied(lines: i64) -> String {
    (0..lines).map(|n| format!("{}\n", Line::denied(NOON + n * SECOND, "reports", "payments"))).collect()
}
