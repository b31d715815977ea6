//! `GET /openapi.json`: the description of all of this, made from the handlers.

use std::sync::LazyLock;

use axum::Json;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::problem::ProblemJson;
use super::{detections, findings, health, ingest, metrics, sql};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "meshwarden",
        description = "Security analytics for Envoy and Istio access logs.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        ingest::ingest,
        findings::list,
        findings::one,
        findings::patch,
        detections::detections,
        sql::sql,
        health::healthz,
        health::readyz,
        metrics::metrics,
        openapi,
    ),
    components(schemas(ProblemJson)),
    modifiers(&Bearer),
    security(("bearer" = []), ()),
    tags(
        (name = "ingest", description = "Lines in"),
        (name = "findings", description = "What was found, and what people say about it"),
        (name = "detections", description = "What is looked for"),
        (name = "sql", description = "Questions"),
        (name = "operation", description = "For whoever runs it"),
    ),
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("MESHWARDEN_ADMIN_TOKEN of the server; needed where it is set"))
            .build();
        api.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

static TEXT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(Description::openapi()).unwrap_or_default());

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(crate) async fn openapi() -> Json<&'static Value> {
    Json(&TEXT)
}
